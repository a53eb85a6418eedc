"""What Tiercel finds through the entry point `tiercel.dispatchers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiercel.spi import COMMON_OPTIONS, SPI_VERSION, Dispatcher, DispatcherSpec, hookimpl


def make(options: Mapping[str, Any]) -> Dispatcher:
    """Make a dispatcher; it connects when it sends the first task.

    Raises:
        ConfigurationError: An option has a value that cannot work.
    """
    from tiercel_celery.dispatcher import CeleryDispatcher

    return CeleryDispatcher(**options)


@hookimpl
def tiercel_dispatchers() -> list[DispatcherSpec]:
    """Provide `dispatcher="celery"`."""
    options = COMMON_OPTIONS | {"app", "beat"}
    return [DispatcherSpec("celery", make, SPI_VERSION, options, crosses_processes=True)]
