"""What Tiercel finds through the entry points; imports Django only when asked for something."""

from __future__ import annotations

from tiercel.spi import (
    SPI_VERSION,
    Backend,
    BackendLocation,
    BackendSpec,
    Capability,
    Integration,
    IntegrationSpec,
    KeyFieldSpec,
    KeyValueStore,
    hookimpl,
)
from tiercel_django.keys import ENCODERS


def open_integration() -> Integration:
    """Build the integration."""
    from tiercel_django.integration import DjangoIntegration

    return DjangoIntegration()


def open_backend(location: BackendLocation) -> Backend | KeyValueStore:
    """Build the backend for `django://alias`.

    Raises:
        ConfigurationError: The alias is unknown, or cannot be a shared tier.
    """
    from tiercel_django.backend import open_alias

    return open_alias(location)


@hookimpl
def tiercel_integrations() -> list[IntegrationSpec]:
    """Provide the integration of Django."""
    return [IntegrationSpec("django", open_integration, SPI_VERSION)]


@hookimpl
def tiercel_backends() -> list[BackendSpec]:
    """Provide `django://default` and every other alias of `CACHES`."""
    return [BackendSpec("django", open_backend, frozenset({Capability.MULTI_GET}), SPI_VERSION)]


@hookimpl
def tiercel_key_fields() -> list[KeyFieldSpec]:
    """Provide encoders for Django's types."""
    return [KeyFieldSpec("django", SPI_VERSION, encoders=ENCODERS)]
