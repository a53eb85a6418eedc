"""The shop as an application of Django."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "packages.integrations.opentelemetry.tests.traced"
    label = "traced_shop"

    def ready(self) -> None:
        """Have the cached function known to workers."""
        import_module(f"{self.name}.shop")
