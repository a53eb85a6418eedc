"""The application in Django."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class StoreConfig(AppConfig):
    name = "tests.brokers.store"
    label = "store"

    def ready(self) -> None:
        """Say which broker there is."""
        import_module("tests.brokers.store.broker")
