"""What Tiercel finds through the entry point `tiercel.dispatchers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiercel.spi import COMMON_OPTIONS, SPI_VERSION, Dispatcher, DispatcherSpec, hookimpl


def make(options: Mapping[str, Any]) -> Dispatcher:
    """Make a dispatcher; raises `ConfigurationError` for a value that cannot work."""
    from tiercel_huey.dispatcher import HueyDispatcher

    return HueyDispatcher(**options)


@hookimpl
def tiercel_dispatchers() -> list[DispatcherSpec]:
    """Provide `huey`."""
    options = COMMON_OPTIONS | {"timeout", "url"}
    return [DispatcherSpec("huey", make, SPI_VERSION, options, crosses_processes=True)]
