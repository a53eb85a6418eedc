"""A web framework of a few lines, for tests of views that are about no framework in particular."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tiercel import Cache, cached_view
from tiercel.contracts.integration import Integration
from tiercel.contracts.web import Frozen, StoredResponse, WebFramework, WebRequest


@dataclass(eq=False)
class Request:
    """What a client sends."""

    target: str = "/"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    host: str = "example.com"
    cookies: dict[str, str] = field(default_factory=dict)
    user: Any = None
    session_used: bool = False
    url_args: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Response:
    """What a view returns; `body` may be an iterator that can be read once."""

    body: Any = b""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class ToyRequest(WebRequest):
    def __init__(self, native: Request) -> None:
        self.native = native

    @property
    def method(self) -> str:
        return str(self.native.method)

    @property
    def scheme(self) -> str:
        return "http"

    @property
    def host(self) -> str:
        return str(self.native.host)

    @property
    def path(self) -> str:
        return str(self.native.target).partition("?")[0]

    @property
    def query_string(self) -> str:
        return str(self.native.target).partition("?")[2]

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        return parse_qs(self.query_string)

    def header(self, name: str) -> str | None:
        found = (value for key, value in self.headers.items() if key.lower() == name.lower())
        return next(found, None)

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
        return self.native.user

    @property
    def url_args(self) -> Mapping[str, Any]:
        args: Mapping[str, Any] = self.native.url_args
        return args

    @property
    def session_touched(self) -> bool:
        return bool(self.native.session_used)


class QuickRequest(ToyRequest):
    """A request that says quickly what its key depends on."""

    def fingerprint(self, names: tuple[str, ...]) -> Hashable | None:
        if self.has_credentials:
            return None
        native = self.native
        headers = tuple(map(self.header, names))
        return (native.method, native.target, native.host, tuple(native.url_args.items()), headers)


class ToyFramework(WebFramework):
    wrapper: type[ToyRequest] = ToyRequest

    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> WebRequest | None:
        found = (each for each in (*args, *kwargs.values()) if isinstance(each, Request))
        return next(map(self.wrapper, found), None)

    def is_response(self, result: Any) -> bool:
        return isinstance(result, Response)

    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        if not isinstance(response.body, bytes):
            if not limit:
                return Frozen(None, response)
            response.body = b"".join(response.body)
            if len(response.body) > limit:
                return Frozen(None, response)
        headers = tuple(response.headers)
        return Frozen(StoredResponse(response.status, headers, response.body), response)

    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        return Response(stored.body, stored.status, list(stored.headers))


class ToyIntegration(Integration):
    name = "toy"
    web = ToyFramework()


class Counting:
    """A view that says how often it was called, with any headers and any status."""

    def __init__(self, *headers: tuple[str, str], status: int = 200) -> None:
        self.calls = 0
        self.headers = headers
        self.status = status

    def __call__(self, request: Request) -> Response:
        self.calls += 1
        return Response(b"%d" % self.calls, self.status, list(self.headers))

    def cached(self, cache: Cache, *args: Any, **options: Any) -> Any:
        """The view, cached."""

        def view(request: Request) -> Response:
            return self(request)

        made: Any = cached_view(*args, cache=cache, **options)(view)
        return made
