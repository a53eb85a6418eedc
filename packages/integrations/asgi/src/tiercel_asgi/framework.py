"""How views of Starlette and FastAPI get their requests, and what they may return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response

from tiercel.spi import (
    Frozen,
    Headers,
    StoredResponse,
    WebFramework,
    WebRequest,
    current_scope,
)
from tiercel_asgi.bodies import body_of, read, wait_for
from tiercel_asgi.fastapi.results import render
from tiercel_asgi.fastapi.routes import Raw, route_of
from tiercel_asgi.requests import AsgiRequest
from tiercel_asgi.serving import Serving


class KeptResponse(Response):
    """A response out of the cache, or on its way there."""

    def __init__(
        self, status: int, headers: Raw, body: bytes, background: BackgroundTask | None
    ) -> None:
        self.status_code = status
        self.body = body
        self.background = background
        self.raw_headers = headers


def _raw(headers: Headers) -> Raw:
    return [(_raw_name(name), value.encode("latin-1")) for name, value in headers]


@lru_cache(1024)
def _raw_name(name: str) -> bytes:
    """The name of a header as ASGI wants it, and as middleware looks for it: in lower case."""
    return name.lower().encode("latin-1")


class AsgiFramework(WebFramework):
    """Finds the request among the arguments of a view, or where the middleware has put it."""

    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> WebRequest | None:
        source = (_given(args, kwargs) if args or kwargs else None) or _served(args)
        return None if source is None else AsgiRequest(source, (args, kwargs))

    def is_response(self, result: Any) -> bool:
        return isinstance(result, Response)

    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        native = _rendered(request, response)
        body = body_of(native)
        if body is None and limit:
            body = wait_for(read, native, limit)
        return _frozen(request, native, body)

    async def afreeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        native = _rendered(request, response)
        body = body_of(native)
        if body is None and limit:
            body = await read(native, limit)
        return _frozen(request, native, body)

    def thaw(self, request: WebRequest, stored: StoredResponse) -> Response:
        return self.thawing(stored.status, stored.headers)(request, stored.body)

    def thawing(self, status: int, headers: Headers) -> Callable[[WebRequest, bytes], Response]:
        raw = _raw(headers)

        def make(request: WebRequest, body: bytes) -> Response:
            assert isinstance(request, AsgiRequest)
            own, kept = request.own_headers, raw.copy()
            if own:
                present = {name.lower() for name, _ in raw}
                kept += [each for each in own if each[0].lower() not in present]
            return KeptResponse(status, kept, body, request.background)

        return make


def _given(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Request | None:
    """Return the request that a view was called with, or that its object has."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Request):
            return value
    own = getattr(args[0], "request", None) if args else None
    return own if isinstance(own, Request) else None


def _served(args: Sequence[Any]) -> Serving | None:
    """Return the request of a view that does not name it.

    Only views that are known to be of Starlette or FastAPI: the middleware may stand around
    another framework, whose views know their requests themselves.
    """
    found = current_scope()
    while type(found) is not Serving:
        if found is None:
            return None
        found = found.outer
    if args and isinstance(args[0], HTTPEndpoint):
        return found if args[0].scope is found.scope else None
    return found if route_of(found.scope) is not None else None


def _rendered(request: WebRequest, response: Any) -> Response:
    assert isinstance(request, AsgiRequest)
    native = response if request.route is None else render(request.route, response)
    assert isinstance(native, Response)
    return native


def _frozen(request: WebRequest, native: Response, body: bytes | None) -> Frozen:
    assert isinstance(request, AsgiRequest)
    if body is None:
        return Frozen(None, native)
    request.background = native.background
    own = request.own_headers
    kept = [each for each in native.raw_headers if each not in own or _tells(each[0])]
    headers = tuple((str(name, "latin-1"), str(value, "latin-1")) for name, value in kept)
    return Frozen(StoredResponse(int(native.status_code), headers, body), native)


def _tells(name: bytes) -> bool:
    """Whether a header decides if a response may be kept, whoever has set it."""
    return name.lower() in (b"cache-control", b"set-cookie", b"vary")
