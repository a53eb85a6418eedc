"""The middleware around applications of any framework, and the life of caches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar import Litestar, get
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tiercel import Cache, ConfigurationError, cached_view, request_cached
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.testing.clients import AsgiClient
from tiercel_asgi import TiercelMiddleware

numbers: list[int] = []


@request_cached
def number() -> int:
    """How often it was computed before."""
    numbers.append(1)
    return len(numbers)


def twice() -> str:
    """Whether one request computes once."""
    first, second = number(), number()
    return "same" if first == second else "different"


def test_request_when_litestar_serves_it_then_it_has_a_scope() -> None:
    """The middleware stands around a Litestar application."""

    @get("/page", sync_to_thread=False)
    def page() -> str:
        return twice()

    app: Any = Litestar([page])
    with AsgiClient(TiercelMiddleware(app)) as client:
        assert [client.get().body for _ in range(2)] == [b"same", b"same"]
    with AsgiClient(app) as client:
        assert client.get().body == b"different"


def test_request_when_a_bare_application_serves_it_then_it_has_a_scope() -> None:
    """Nothing but ASGI is needed, not even a lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http", "knows nothing else"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": twice().encode()})

    with AsgiClient(TiercelMiddleware(app)) as client:
        assert client.get().body == b"same"


def test_websocket_when_it_is_open_then_it_has_a_scope() -> None:
    """A connection is one scope, from its beginning to its end."""
    sent: list[Any] = []

    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(twice())
        await socket.close()

    app = TiercelMiddleware(Starlette(routes=[WebSocketRoute("/page", echo)]))
    scope = {"type": "websocket", "path": "/page", "headers": [], "query_string": b""}

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert {"type": "websocket.send", "text": "same"} in sent


def test_server_when_it_starts_and_stops_then_caches_live_between(
    virtual_clock: VirtualClock,
) -> None:
    """The caches are opened before the first request; at the end what runs is finished."""
    steps: list[str] = []

    class Noting(Cache):
        def in_use(self) -> None:
            steps.append("opened")
            super().in_use()

        def close(self) -> None:
            steps.append("closed")
            super().close()

    cache = Noting(backend=SimulatedBackend(virtual_clock), clock=virtual_clock, name="noting")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        steps.append("application starts")
        yield
        steps.append("application stops")

    chosen = Middleware(TiercelMiddleware, caches=[cache])
    with AsgiClient(Starlette(lifespan=lifespan, middleware=[chosen])):
        assert steps == ["application starts", "opened"]
    assert steps == ["application starts", "opened", "application stops", "closed"]


def test_server_when_the_application_knows_no_lifespan_then_caches_have_one() -> None:
    """As Django's: the server is answered, and a cache is closed at the end."""
    said: list[str] = []
    closed: list[str] = []

    class Noting(Cache):
        def close(self) -> None:
            closed.append(self.name)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("HTTP only")

    phases = iter(["startup", "shutdown"])

    async def receive() -> Any:
        return {"type": f"lifespan.{next(phases)}"}

    async def send(message: Any) -> None:
        said.append(message["type"])

    cache = Noting(name="noting")
    asyncio.run(TiercelMiddleware(app, caches=[cache])({"type": "lifespan"}, receive, send))
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed == ["noting"]


def test_server_when_a_cache_cannot_be_opened_then_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tiercel_caches: object
) -> None:
    """A mistake in the configuration is not left to the first request."""

    def refuse(cache: Cache) -> None:
        raise ConfigurationError("no such place")

    monkeypatch.setattr(Cache, "in_use", refuse)
    app = Starlette(middleware=[Middleware(TiercelMiddleware)])
    with pytest.raises(RuntimeError, match="no such place"), AsgiClient(app):
        """It is not reached."""


def test_background_work_when_the_server_stops_then_it_is_finished(
    virtual_clock: VirtualClock,
) -> None:
    """A refresh that was begun is not lost with the event loop."""
    cache = Cache(clock=virtual_clock, name="refreshing")
    done: list[str] = []

    @cached_view(["path"], expiry=10, stale=100, dispatcher="asyncio", cache=cache, name="page")
    async def page(request: Request) -> Response:
        if done:
            for _ in range(20):
                await asyncio.sleep(0)
        done.append("computed")
        return PlainTextResponse(str(len(done)))

    chosen = Middleware(TiercelMiddleware, caches=[cache])
    app = Starlette(routes=[Route("/page", page)], middleware=[chosen])
    with AsgiClient(app) as client:
        assert client.get().body == b"1"
        virtual_clock.advance(11)
        assert client.get().body == b"1"
    assert done == ["computed", "computed"]
    with AsgiClient(app) as client:
        assert client.get().body == b"2", "the cache works on after it was closed"
        virtual_clock.advance(11)
        assert client.get().body == b"2"
    assert len(done) == 3


def test_server_when_the_application_fails_to_start_then_that_is_passed_on() -> None:
    """Only an application that never asks for its lifespan is taken to have none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise LookupError("no database")

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    with pytest.raises(LookupError, match="no database"):
        asyncio.run(TiercelMiddleware(app)({"type": "lifespan"}, receive, send))


@pytest.mark.parametrize("options", [{"drain": -1}, {"caches": ["default"]}])
def test_middleware_when_an_option_cannot_work_then_it_is_refused(options: Any) -> None:
    """Mistakes are found when the application is built."""
    with pytest.raises(ConfigurationError, match="TiercelMiddleware"):
        TiercelMiddleware(Starlette(), **options)
