"""The ASGI middleware: request scope, the request for views, and the life of the caches."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from tiercel import Cache, ConfigurationError, request_scope
from tiercel_asgi.lifespan import Lifespan
from tiercel_asgi.serving import Serving


class TiercelMiddleware:
    """Stands around any ASGI application: `app.add_middleware(TiercelMiddleware)`.

    Each request gets a scope of its own, for `request_cached`, and cached views of Starlette and
    FastAPI find it without naming it. When the server starts, caches are opened and warmed up;
    when it stops, background work is finished and connections are closed. An application that
    knows of no lifespan, such as Django's, gets one.

    Args:
        app: The application.
        caches: Caches to open and close besides those that are configured.
        drain: Seconds that background work may take when the server stops.

    Raises:
        ConfigurationError: `drain` is negative, or `caches` holds something else.
    """

    def __init__(self, app: ASGIApp, caches: Iterable[Cache] = (), drain: float = 5.0) -> None:
        self.app = app
        chosen = tuple(caches)
        for each in chosen:
            if not hasattr(each, "aclose"):
                raise ConfigurationError(f"TiercelMiddleware: caches={each!r} is no Cache")
        if drain < 0:
            raise ConfigurationError(f"TiercelMiddleware: drain={drain!r} must be 0 s or more")
        self._lifespan = Lifespan(chosen, drain)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, connection or lifespan."""
        kind = scope["type"]
        if kind == "http":
            with Serving(scope, receive, send):
                await self.app(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(self.app, scope, receive, send)
        else:
            with request_scope():
                await self.app(scope, receive, send)
