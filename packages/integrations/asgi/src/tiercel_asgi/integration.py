"""What Tiercel asks of ASGI frameworks.

Nothing here imports them: in processes that do without them, this is made, too.
"""

from __future__ import annotations

import sys

from tiercel.spi import Integration, WebFramework


class AsgiIntegration(Integration):
    """Teaches Tiercel Starlette and FastAPI. It is made in every process that has this package."""

    name = "asgi"
    _web: WebFramework | None = None

    @property
    def web(self) -> WebFramework | None:  # type: ignore[override]
        """How views work; None as long as nobody has imported Starlette."""
        if self._web is None and "starlette.requests" in sys.modules:
            from tiercel_asgi.framework import AsgiFramework

            self._web = AsgiFramework()
        return self._web
