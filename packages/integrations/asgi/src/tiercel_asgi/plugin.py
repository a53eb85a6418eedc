"""What Tiercel finds through the entry point; imports Starlette only when asked for something."""

from __future__ import annotations

from tiercel.spi import SPI_VERSION, Integration, IntegrationSpec, hookimpl


def open_integration() -> Integration:
    """Build the integration."""
    from tiercel_asgi.integration import AsgiIntegration

    return AsgiIntegration()


@hookimpl
def tiercel_integrations() -> list[IntegrationSpec]:
    """Provide the integration of ASGI frameworks."""
    return [IntegrationSpec("asgi", open_integration, SPI_VERSION)]
