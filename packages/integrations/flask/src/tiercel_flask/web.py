"""Requests and responses of Flask, as Tiercel sees them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from types import NoneType
from typing import Any
from uuid import UUID

from flask import Flask, Request, Response, current_app, g, request
from flask.globals import request_ctx
from flask.views import View
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as BaseResponse

from tiercel.spi import (
    EnvironRequest,
    Frozen,
    StoredResponse,
    WebFramework,
    WebRequest,
    environ_values,
)
from tiercel.spi import Headers as Pairs


class FlaskRequest(EnvironRequest):
    """The request that Flask is serving."""

    def __init__(self, native: Request) -> None:
        self.native = native

    @property
    def environ(self) -> Mapping[str, Any]:
        environ: Mapping[str, Any] = self.native.environ
        return environ

    @property
    def method(self) -> str:
        return str(self.native.method)

    @property
    def scheme(self) -> str:
        return str(self.native.scheme)

    @property
    def host(self) -> str:
        return str(self.native.host).lower()

    @property
    def path(self) -> str:
        return f"{self.native.root_path.rstrip('/')}{self.native.path}"

    @property
    def query_string(self) -> str:
        return str(self.native.query_string, "latin-1")

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        return dict(self.native.args.lists())

    @property
    def headers(self) -> Mapping[str, str]:
        headers: Mapping[str, str] = self.native.headers
        return headers

    @property
    def cookies(self) -> Mapping[str, str]:
        cookies: Mapping[str, str] = self.native.cookies
        return cookies

    @property
    def user(self) -> Any:
        """`g.user`, or the user of Flask-Login."""
        found = current_user()
        if found is None:
            raise AttributeError("neither g.user nor Flask-Login says who is logged in")
        return found

    @property
    def url_args(self) -> Mapping[str, Any]:
        return self.native.view_args or {}

    @property
    def session_touched(self) -> bool:
        context: Any = request_ctx._get_current_object()  # type: ignore[attr-defined]
        # From Flask 3.1.1 on, to look at `session` is to access it.
        opened = context._session if hasattr(context, "_session") else context.session
        return bool(opened is not None and (opened.accessed or opened.modified))

    def fingerprint(self, names: tuple[str, ...]) -> Hashable | None:
        native = self.native
        given, environ = native.view_args, native.environ
        if given and not _PLAIN.issuperset(map(type, given.values())):
            return None
        return (
            *map(environ.get, _ADDRESS),
            environ_values(environ, names),
            tuple([(name, type(value), value) for name, value in given.items()]) if given else None,
        )

    def attribute(self, name: str) -> Any:
        """Look on the request, then on `g`."""
        found = getattr(self.native, name, _MISSING)
        if found is _MISSING:
            found = _running_g().get(name, _MISSING)
        if found is _MISSING:
            raise AttributeError(f"neither the request nor g has {name!r}")
        return found

    def says(self, name: str) -> bool:
        found = getattr(self.native, name, _MISSING)
        return bool(_running_g().get(name) if found is _MISSING else found)


class FlaskFramework(WebFramework):
    """Finds the request that is being served; every result that Flask can send is a response."""

    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> WebRequest | None:
        try:
            return FlaskRequest(_running_request())
        except RuntimeError:
            return None  # outside of any

    def adopt(
        self, view: Any, decorate: Callable[..., Any], options: Mapping[str, Any]
    ) -> Any | None:
        """Name views that are made of classes as `as_view` does: else all bear one name."""
        if getattr(view, "__qualname__", "") != _OF_CLASS:
            return None
        return decorate(view, name=f"{view.__module__}:{view.__name__}.view")

    def is_response(self, result: Any) -> bool:
        # A named tuple is a value, as no view means it for body, status and headers.
        return isinstance(result, _SENDABLE) and not hasattr(result, "_fields")

    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        native = current_app.make_response(response)
        body = _body(native, limit)
        if body is None:
            return Frozen(None, native)
        headers = tuple(native.headers.to_wsgi_list())
        if "Content-Length" not in native.headers and native.status_code not in _BODILESS:
            headers = (*headers, ("Content-Length", str(len(body))))
        return Frozen(StoredResponse(native.status_code, headers, body), native)

    def thaw(self, request: WebRequest, stored: StoredResponse) -> Response:
        return self.thawing(stored.status, stored.headers)(request, stored.body)

    def thawing(self, status: int, headers: Pairs) -> Callable[[WebRequest, bytes], Response]:
        text, code = _status(status)

        def make(request: WebRequest, body: bytes) -> Response:
            kind = _running_app().response_class
            if kind is Response and _IS_FAMILIAR:
                return _made(text, code, headers, body)
            known = KnownHeaders(headers)
            # As a list: the length of a text would replace that of the page in an answer to HEAD.
            response = kind([body], status, known)
            if not any(name.lower() == "content-type" for name, _ in headers):
                known.remove("Content-Type")  # it was added by the constructor
            return response

        return make


class KnownHeaders(Headers):
    """Headers that were checked when the response was made which had them first."""

    def __init__(self, known: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._list[:] = known


def _made(status: str, code: int, known: Pairs, body: bytes) -> Response:
    """Do what the constructors do, without their checks of what was checked before."""
    response, headers = Response.__new__(Response), Headers.__new__(Headers)
    headers._list = list(known)
    vars(response).update(
        headers=headers,
        _status=status,
        _status_code=code,
        direct_passthrough=False,
        _on_close=[],
        response=[body],
    )
    return response


@lru_cache(256)
def _status(code: int) -> tuple[str, int]:
    made = Response(status=code)
    return made.status, made.status_code


def current_user() -> Any:
    """Return whoever `g.user` or Flask-Login says is logged in; None if neither says anything."""
    found = g.get("user")
    if found is None and hasattr(current_app, "login_manager"):
        import flask_login

        found = flask_login.current_user._get_current_object()
    return found


_ADDRESS = (
    "REQUEST_METHOD",
    "wsgi.url_scheme",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
)
"""Where WSGI has what makes up a URL."""

_PARTS = {"headers", "_status", "_status_code", "direct_passthrough", "_on_close", "response"}
_IS_FAMILIAR = vars(Response([])).keys() == _PARTS and vars(Headers()).keys() == {"_list"}
"""Whether responses of this Werkzeug are made of what is known here."""

_running_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]
_running_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]
_running_g: Callable[[], Any] = g._get_current_object

_PLAIN = frozenset({str, int, float, bool, UUID, NoneType})
"""Types of what routes take from URLs whose values tell all that they are."""

_BODILESS = (204, 304)
_MISSING: Any = object()
_SENDABLE = (BaseResponse, str, bytes, bytearray, dict, list, tuple, Iterator)
_OF_CLASS = View.as_view.__qualname__ + ".<locals>.view"


def _body(response: BaseResponse, limit: int) -> bytes | None:
    """Return the whole body; None if it is streamed, or a file, and longer than `limit`."""
    if not response.is_streamed and not response.direct_passthrough:
        return response.get_data()
    if not limit:
        return None
    chunks: list[bytes] = []
    size, body = 0, response.iter_encoded()
    for chunk in body:
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.response = chain(chunks, body)
            return None
    response.direct_passthrough = False
    response.response = chunks
    return b"".join(chunks)
