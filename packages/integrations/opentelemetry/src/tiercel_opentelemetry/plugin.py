"""What Tiercel finds through the entry point `tiercel.observers`."""

from __future__ import annotations

from tiercel.spi import SPI_VERSION, Observer, ObserverSpec, hookimpl


def make() -> Observer:
    """Return the observer of this process; raises `ConfigurationError` for a wrong variable."""
    from tiercel_opentelemetry.observer import OBSERVER

    return OBSERVER


@hookimpl
def tiercel_observers() -> list[ObserverSpec]:
    """Provide `opentelemetry`."""
    return [ObserverSpec("opentelemetry", make, SPI_VERSION)]
