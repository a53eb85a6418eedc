"""The application in a Django project."""

from __future__ import annotations

import os
from importlib import import_module

from django.apps import AppConfig


class WarehouseConfig(AppConfig):
    name = "tests.brokers.warehouse"
    label = "shop"

    def ready(self) -> None:
        """Import the cached functions, in programs that are told which."""
        if "SHOP_MODULE" in os.environ:
            import_module(os.environ["SHOP_MODULE"])
