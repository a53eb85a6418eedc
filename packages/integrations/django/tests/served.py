"""Pages of the conformance kit as views of Django and Django REST framework."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory, override_settings
from django.urls import path
from django.views import View
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from tiercel.testing.clients import AsgiClient, WsgiClient
from tiercel.testing.pages import METHODS, Answer, Client, Page
from tiercel_django.web.framework import DjangoFramework

SETTINGS: dict[str, Any] = {
    "ALLOWED_HOSTS": ["*"],
    "MIDDLEWARE": [
        "tiercel_django.middleware.RequestScopeMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
    ],
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
}
WEB = DjangoFramework()


def urlconf(*patterns: Any) -> ModuleType:
    """Return a module of URLs that is none."""
    module = ModuleType("urls_of_a_test")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


@contextmanager
def served(*patterns: Any, asgi: bool = False, **settings: Any) -> Iterator[Client]:
    """Serve views, and return a client for as long as the block runs."""
    overridden = override_settings(**{**SETTINGS, "ROOT_URLCONF": urlconf(*patterns), **settings})
    with overridden, _connections_kept():
        if not asgi:
            yield WsgiClient(WSGIHandler())
            return
        with AsgiClient(ASGIHandler()) as client:
            yield client


@contextmanager
def _connections_kept() -> Iterator[None]:
    """Let requests leave the databases of the test alone, as Django's own test client does."""
    both = (request_started, request_finished)
    for signal in both:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in both:
            signal.connect(close_old_connections)


@contextmanager
def serve_pages(pages: Sequence[Page], kind: str) -> Iterator[Client]:
    """Serve pages by views of one of `KINDS`."""
    patterns = [path(_route(page), KINDS[kind](page)) for page in pages]
    with served(*patterns, asgi=kind.startswith("coroutine")) as client:
        yield client


def _route(page: Page) -> str:
    route = re.sub(r"{(\w+):path}", r"<path:\1>", page.route.removeprefix("/"))
    return re.sub(r"{(\w+)}", r"<str:\1>", route)


def _function(page: Page) -> Any:
    def page_view(request: HttpRequest, **url: Any) -> HttpResponseBase:
        answer = _answer(page, (request,))
        time.sleep(answer.pause)
        return _response(answer, answer.chunks and iter(answer.chunks))

    return page.decorate(page_view)


def _coroutine(page: Page) -> Any:
    async def page_view(request: HttpRequest, **url: Any) -> HttpResponseBase:
        answer = _answer(page, (request,))
        await asyncio.sleep(answer.pause)
        return _response(answer, answer.chunks and _stream(answer.chunks))

    return page.decorate(page_view)


def _class(page: Page) -> Any:
    class PageView(View):
        @page.decorate
        def get(self, request: HttpRequest, **url: Any) -> HttpResponseBase:
            answer = _answer(page, (self, request))
            time.sleep(answer.pause)
            return _response(answer, answer.chunks and iter(answer.chunks))

        head = post = put = delete = options = get

    return PageView.as_view()


def _made_by_as_view(page: Page) -> Any:
    plain = Page(page.answer, route=page.route, name=page.name)
    return page.decorate(_class(plain))


def _coroutines_of_class(page: Page) -> Any:
    class PageView(View):
        @page.decorate
        async def get(self, request: HttpRequest, **url: Any) -> HttpResponseBase:
            answer = _answer(page, (self, request))
            await asyncio.sleep(answer.pause)
            return _response(answer, answer.chunks and _stream(answer.chunks))

        head = post = put = delete = get

        async def options(  # type: ignore[override]
            self, request: HttpRequest, *_: Any, **url: Any
        ) -> Any:
            return await self.get(request, **url)

    return PageView.as_view()


class BytesRenderer(BaseRenderer):  # type: ignore[misc]
    """Sends data as it is."""

    media_type = "text/plain"
    charset = None

    def render(self, data: Any, *_: Any, **__: Any) -> Any:
        return data


class FirstRenderer(BaseContentNegotiation):  # type: ignore[misc]
    """Agrees on the first renderer, whatever the client wants."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def _rest(page: Page) -> Any:
    class PageView(APIView):  # type: ignore[misc]
        authentication_classes: Sequence[Any] = ()
        permission_classes: Sequence[Any] = ()
        renderer_classes = (BytesRenderer,)
        content_negotiation_class = FirstRenderer

        @page.decorate
        def get(self, request: Any, **url: Any) -> HttpResponseBase:
            answer = _answer(page, (self, request))
            time.sleep(answer.pause)
            if answer.chunks is not None:
                return _response(answer, iter(answer.chunks))
            return _dressed(Response(answer.body, answer.status), answer)

        head = post = put = delete = options = get

    return PageView.as_view()


KINDS: dict[str, Callable[[Page], Any]] = {
    "function": _function,
    "class": _class,
    "as_view": _made_by_as_view,
    "coroutine": _coroutine,
    "coroutines of a class": _coroutines_of_class,
    "rest": _rest,
}
assert set(METHODS) == {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}


def _answer(page: Page, args: Sequence[Any]) -> Answer:
    found = WEB.request(args, {})
    assert found is not None
    answer = page.answer(found, found.native.body)
    session = found.native.session
    if answer.session == "read":
        session.get("visitor")
    elif answer.session == "write":
        session["visitor"] = "somebody"
    return answer


def _response(answer: Answer, chunks: Any) -> HttpResponseBase:
    if chunks is not None:
        return _dressed(StreamingHttpResponse(chunks, status=answer.status), answer)
    return _dressed(HttpResponse(answer.body, status=answer.status), answer)


def _dressed(response: HttpResponseBase, answer: Answer) -> HttpResponseBase:
    if not isinstance(response, Response):
        del response.headers["Content-Type"]
    for name, value in answer.headers:
        if name.lower() == "set-cookie":
            response.cookies.load(value)
        else:
            known = response.headers.get(name)
            response.headers[name] = value if known is None else f"{known}, {value}"
    if isinstance(response, Response):
        response.content_type = response.headers.get("Content-Type")
    return response


async def _stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class Counting:
    """Numbers its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return str(self.calls)


def get(target: str = "/", **extra: Any) -> HttpRequest:
    """Return a request as Django makes it."""
    request: HttpRequest = RequestFactory().get(target, **extra)
    return request
