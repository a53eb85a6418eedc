"""Clients that call WSGI and ASGI applications in this process."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from tiercel.contracts.environ import environ_key
from tiercel.testing.pages import Client, Reply

PATIENCE = 60.0
"""Seconds that a request may take."""


class WsgiClient(Client):
    """Calls a WSGI application as servers do.

    Args:
        app: The application.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def send(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Reply:
        said: list[Any] = []

        def start_response(status: str, fields: list[tuple[str, str]], *_: Any) -> Any:
            said[:] = [int(status.split()[0]), tuple(fields)]
            return said.append

        result = self.app(_environ(target, method, list(headers), body), start_response)
        try:
            content = b"".join(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return Reply(said[0], said[1], b"" if method == "HEAD" else content)


class AsgiClient(Client):
    """Calls an ASGI application on an event loop of its own, which many threads may share.

    Args:
        app: The application; its lifespan lasts as long as the `with` block.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._state: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._tell("lifespan.shutdown"))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def send(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Reply:
        reply: Reply = self._wait(self._send(target, method, list(headers), body))
        return reply

    async def _send(
        self, target: str, method: str, headers: list[tuple[str, str]], body: bytes
    ) -> Reply:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in _complete(headers, body)
            ],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            "state": dict(self._state),
        }
        received = iter([{"type": "http.request", "body": body, "more_body": False}])
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            given = next(received, None)
            if given is None:
                await asyncio.Event().wait()  # the client stays connected
            return given or {}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = next(each for each in sent if each["type"] == "http.response.start")
        parts = [each.get("body", b"") for each in sent if each["type"] == "http.response.body"]
        fields = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in start["headers"])
        return Reply(start["status"], fields, b"" if method == "HEAD" else b"".join(parts))

    async def _begin(self) -> None:
        self._lifespan = asyncio.create_task(self._live())
        await self._tell("lifespan.startup")

    async def _live(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        with suppress(Exception):  # an application may refuse to know of lifespans
            await self.app(scope, self._events.get, self._answers.put)

    async def _tell(self, what: str) -> None:
        await self._events.put({"type": what})
        answer = asyncio.create_task(self._answers.get())
        done, _ = await asyncio.wait(
            {answer, self._lifespan}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if answer not in done:
            answer.cancel()
        elif answer.result()["type"].endswith("failed"):
            raise RuntimeError(answer.result().get("message", what))

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)


def _complete(headers: list[tuple[str, str]], body: bytes) -> list[tuple[str, str]]:
    names = {name.lower() for name, _ in headers}
    added = [] if "host" in names else [("Host", "example.com")]
    if body and "content-length" not in names:
        added.append(("Content-Length", str(len(body))))
    return [*headers, *added]


def _environ(
    target: str, method: str, headers: list[tuple[str, str]], body: bytes
) -> dict[str, Any]:
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in _complete(headers, body):
        key = environ_key(name)
        glue = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{glue}{value}" if key in environ else value
    return environ
