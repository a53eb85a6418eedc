"""What the pages of Duck's examples need, whatever the framework: targets, and who asks."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tiercel import SkipViewCaching

FOLDER = Path(os.environ.get("DUCK_FILES", "."))


def fresh() -> dict[str, str]:
    """Something that no two computations return alike."""
    return {"made": token_hex(8)}


def static_mtime(*_: Any, **__: Any) -> float:
    """When the file was changed that all pages of this target depend on."""
    return (FOLDER / "price.txt").stat().st_mtime


def compute_hash(path: str) -> str:
    """A pure function of a text."""
    return sha256(path.encode()).hexdigest()


async def acompute_hash(path: str) -> str:
    """The same, to be awaited."""
    return compute_hash(path)


def prerequisite(request: Any) -> str:
    """Refuses to cache where something is missing."""
    if "x-ready" not in request.headers:
        raise SkipViewCaching
    return "ready"


def rehydrate(component: dict[str, Any]) -> None:
    """Bring a component back to life that was kept."""
    component["alive"] = True


class Visitors:
    """Leaves in `request.state` who asks, as middleware of a project would; names the worker."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        user = headers.get("x-user", "nobody")
        scope.setdefault("state", {}).update(
            user=SimpleNamespace(id=user),
            get_user_id=lambda: user,
            compute_key=lambda method: f"{method} by {user}",
            skip_cache="x-skip" in headers,
            debug_skip="x-debug" in headers,
        )

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Worker"] = str(os.getpid())
            await send(message)

        await self.app(scope, receive, sending)
