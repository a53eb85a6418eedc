"""Imports the cached functions; the older version of the store does it in the other order."""

from __future__ import annotations

import os
from importlib import import_module

MODULES = ["tests.brokers.store.prices", "tests.brokers.store.stocks"]

for module in reversed(MODULES) if os.environ.get("STORE_VERSION") == "old" else MODULES:
    import_module(module)
