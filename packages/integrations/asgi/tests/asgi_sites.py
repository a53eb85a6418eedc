"""Pages of the conformance kit as views of Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import anyio.from_thread
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tiercel.testing.pages import METHODS, Answer, Page
from tiercel_asgi import TiercelMiddleware
from tiercel_asgi.framework import AsgiFramework

WEB = AsgiFramework()
KINDS = ("function", "coroutine", "class", "fastapi function", "fastapi coroutine")


def site(pages: Sequence[Page], kind: str) -> ASGIApp:
    """Return an application that serves pages by views of a kind."""
    app: Starlette
    if kind.startswith("fastapi"):
        app = fastapi_app(pages, plain=kind == "fastapi function")
    else:
        make = {"function": _plain, "coroutine": _coroutine, "class": _endpoint}[kind]
        app = Starlette(routes=[_route(page, make(page)) for page in pages])
    app.add_middleware(TiercelMiddleware)
    app.add_middleware(SessionMiddleware, secret_key="a secret of some length")
    app.add_exception_handler(LookupError, _failed)
    return app


def fastapi_app(pages: Sequence[Page], *, plain: bool) -> FastAPI:
    """Return an application whose endpoints do not name their request."""
    app = FastAPI()
    for page in pages:
        view = page.decorate(_dependent(page) if plain else _dependent_coroutine(page))
        app.add_api_route(page.route, view, methods=list(METHODS), name=page.name)
    return app


def _route(page: Page, view: Any) -> Route:
    methods = None if isinstance(view, type) else METHODS
    return Route(page.route, view, methods=methods, name=page.name)


def _failed(request: Request, error: Exception) -> Response:
    return PlainTextResponse("failed", 500)


def _plain(page: Page) -> Callable[..., Any]:
    def view(request: Request) -> Response:
        answer = _answer(page, request, anyio.from_thread.run(request.body))
        time.sleep(answer.pause)
        return _response(answer)

    return page.decorate(view)  # type: ignore[no-any-return]


def _coroutine(page: Page) -> Callable[..., Any]:
    async def view(request: Request) -> Response:
        answer = _answer(page, request, await request.body())
        await asyncio.sleep(answer.pause)
        return _response(answer)

    return page.decorate(view)  # type: ignore[no-any-return]


def _endpoint(page: Page) -> type[HTTPEndpoint]:
    async def view(self: HTTPEndpoint, request: Request) -> Response:
        answer = _answer(page, request, await request.body())
        await asyncio.sleep(answer.pause)
        return _response(answer)

    handlers = {method.lower(): page.decorate(view) for method in METHODS[:1]}
    handlers |= {method.lower(): handlers["get"] for method in METHODS[1:]}
    return type("PageEndpoint", (HTTPEndpoint,), handlers)


async def _body(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_body)]


def _dependent(page: Page) -> Callable[..., Any]:
    def view(body: Body) -> Any:
        answer = _answer(page, _request(), body)
        time.sleep(answer.pause)
        return _response(answer)

    return view


def _dependent_coroutine(page: Page) -> Callable[..., Any]:
    async def view(body: Body) -> Any:
        answer = _answer(page, _request(), body)
        await asyncio.sleep(answer.pause)
        return _response(answer)

    return view


def _request() -> Request:
    found = WEB.request((), {})
    assert found is not None
    native: Request = found.native
    return native


def _answer(page: Page, request: Request, body: bytes) -> Answer:
    found = WEB.request((request,), {})
    assert found is not None
    answer = page.answer(found, body)
    if answer.session == "read":
        request.session.get("visitor")
    elif answer.session == "write":
        request.session["visitor"] = "somebody"
    return answer


def _response(answer: Answer) -> Response:
    if answer.chunks is None:
        response = Response(answer.body, answer.status)
    else:
        response = StreamingResponse(iter(answer.chunks), answer.status)
    response.raw_headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
    ]
    return response
