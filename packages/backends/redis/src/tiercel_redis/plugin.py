"""What Tiercel finds through the entry points: one spec per URL scheme, nothing imported early."""

from __future__ import annotations

from tiercel.spi import SPI_VERSION, Backend, BackendLocation, BackendSpec, hookimpl
from tiercel_redis.declared import CAPABILITIES, OPTIONS, SCHEMES


def open_backend(location: BackendLocation) -> Backend:
    """Build the backend for a location; connects at the first command.

    Raises:
        ConfigurationError: The URL or an option cannot work.
    """
    from tiercel_redis.backend import RedisBackend

    return RedisBackend(location)


@hookimpl
def tiercel_backends() -> list[BackendSpec]:
    """Provide every scheme that a Redis or Valkey URL may have."""
    return [
        BackendSpec(scheme, open_backend, CAPABILITIES, SPI_VERSION, OPTIONS) for scheme in SCHEMES
    ]
