"""The console as an ASGI application (version 3); pages are made on a worker thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from tiercel.console.exchange import MOST_BYTES, ConsoleRequest, fields_of

if TYPE_CHECKING:
    from tiercel.console.console import Console

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def serve_asgi(console: Console) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an ASGI application that serves a console."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the console serves HTTP, not {scope['type']}")
        request = request_of(scope, await _body(receive))
        allowed = console.authorize(request.native)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        response = await asyncio.to_thread(console.respond, request, allowed=allowed)
        headers = [(name.lower().encode(), value.encode()) for name, value in response.headers]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    return application


def request_of(scope: Scope, body: bytes) -> ConsoleRequest:
    """Return the request of a scope and the body that came with it."""
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    if root and path.startswith(f"{root}/"):  # servers differ in whether the path has it
        path = path[len(root) :]
    return ConsoleRequest(
        native=scope,
        method=scope["method"].upper(),
        root=root,
        path="/" if path == root else path,
        query=fields_of(scope.get("query_string", b"")),
        form=fields_of(body),
        headers={
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        },
        secure=scope.get("scheme") == "https",
    )


async def _live(receive: Receive, send: Send) -> None:
    """Say that nothing need be started or stopped."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more and len(body) < MOST_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body[:MOST_BYTES]
