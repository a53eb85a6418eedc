"""What Tiercel finds through the entry point; imports Flask only when asked for something."""

from __future__ import annotations

from tiercel.spi import SPI_VERSION, Integration, IntegrationSpec, hookimpl


def open_integration() -> Integration:
    """Build the integration."""
    from tiercel_flask.integration import FlaskIntegration

    return FlaskIntegration()


@hookimpl
def tiercel_integrations() -> list[IntegrationSpec]:
    """Provide the integration of Flask."""
    return [IntegrationSpec("flask", open_integration, SPI_VERSION)]
