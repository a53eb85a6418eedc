"""What Tiercel finds through the entry point `tiercel.dispatchers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiercel.spi import COMMON_OPTIONS, SPI_VERSION, Dispatcher, DispatcherSpec, hookimpl

OPTIONS = (COMMON_OPTIONS - {"priority"}) | {"group", "save", "timeout"}
"""What the dispatcher understands. django-q2 has no priorities."""


def make(options: Mapping[str, Any]) -> Dispatcher:
    """Make a dispatcher; raises `ConfigurationError` for a value or settings that cannot work."""
    from tiercel_django_q.dispatcher import DjangoQDispatcher

    return DjangoQDispatcher(**options)


@hookimpl
def tiercel_dispatchers() -> list[DispatcherSpec]:
    """Provide `django_q`."""
    return [DispatcherSpec("django_q", make, SPI_VERSION, OPTIONS, crosses_processes=True)]
