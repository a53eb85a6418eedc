"""What Tiercel finds through the entry point `tiercel.backends`."""

from __future__ import annotations

from tiercel.spi import SPI_VERSION, Backend, BackendLocation, BackendSpec, hookimpl
from tiercel_sqlite.declared import CAPABILITIES, OPTIONS


def open_backend(location: BackendLocation) -> Backend:
    """Build the backend for a location; the file is made at the first command.

    Raises:
        ConfigurationError: The URL, an option or the file cannot work.
    """
    from tiercel_sqlite.backend import SQLiteBackend

    return SQLiteBackend(location)


@hookimpl
def tiercel_backends() -> list[BackendSpec]:
    """Provide `sqlite:///relative.db` and `sqlite:////absolute.db`."""
    return [BackendSpec("sqlite", open_backend, CAPABILITIES, SPI_VERSION, OPTIONS)]
