"""From the start of a server to its stop: caches are opened, and their work is finished."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tiercel import Cache, get_cache
from tiercel.spi import cache_names

logger = logging.getLogger("tiercel.asgi")


class Lifespan:
    """Opens and closes caches along with an application.

    Args:
        caches: Caches besides those that are configured.
        drain: Seconds that background work may take at the end.
    """

    def __init__(self, caches: Sequence[Cache], drain: float) -> None:
        self._caches = caches
        self._drain = drain

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Live with an application; without it, if it knows of no lifespan."""
        asked = False

        async def receiving() -> Message:
            nonlocal asked
            asked = True
            return await receive()

        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self.start()
            elif message["type"].startswith("lifespan.shutdown."):
                await self.stop()
            await send(message)

        try:
            await app(scope, receiving, sending)
        except Exception as error:
            if asked:
                raise
            logger.debug("the application knows of no lifespan: %s", error)
            await self._alone(receive, sending)

    async def _alone(self, receive: Receive, send: Send) -> None:
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    async def start(self) -> None:
        """Open the caches, and begin to warm them up."""
        for cache in self._all():
            await asyncio.to_thread(cache.in_use)

    async def stop(self) -> None:
        """Finish background work, and close connections."""
        for cache in self._all():
            await cache.aclose(self._drain)

    def _all(self) -> list[Cache]:
        return list(dict.fromkeys([*map(get_cache, cache_names()), *self._caches]))
