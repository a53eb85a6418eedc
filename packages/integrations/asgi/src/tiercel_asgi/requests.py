"""A request of Starlette or FastAPI in Tiercel's vocabulary."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from starlette.background import BackgroundTask
from starlette.requests import Request

from tiercel.spi import WebRequest
from tiercel_asgi.fastapi.arguments import telling
from tiercel_asgi.fastapi.routes import Given, Raw, Route, called
from tiercel_asgi.serving import Serving

_TELLING: Final = frozenset({bool, bytes, int, str, type(None), UUID})
"""Types of values that are equal only if they look the same in a key."""

_CREDENTIALS: Final = b"authorization"

_MISSING: Final[Any] = object()

_last_wanted: tuple[tuple[str, ...], frozenset[bytes]] = ((), frozenset())


class AsgiRequest(WebRequest):
    """What a view was called for.

    Attributes:
        scope: What ASGI says of it.
        background: What the view wants done once its response is sent.
    """

    background: BackgroundTask | None = None
    _found: dict[str, str] | None = None
    _route: Route | None = None
    _is_routed = False

    def __init__(self, source: Request | Serving, given: Given = ((), {})) -> None:
        """Wrap a request.

        Args:
            source: Starlette's request, or what makes it once somebody asks for it.
            given: What the view was called with, by position and by name.
        """
        self.scope = source.scope
        self._source = source
        self._given = given

    @property
    def native(self) -> Request:
        """Starlette's request, the same one each time."""
        source = self._source
        return source.request if isinstance(source, Serving) else source

    @property
    def route(self) -> Route | None:
        """The route of FastAPI that called the view; None if nothing of FastAPI did."""
        if not self._is_routed and self.view is not None:
            self._route = called(self.scope, self.view, self._given)
            self._is_routed = True
        return self._route

    @property
    def own_headers(self) -> Raw:
        """What dependencies of this very request have set on the response that FastAPI injects."""
        args, kwargs = self._given
        if not args and not kwargs:
            return []  # the endpoint does not ask for that response
        return [] if self.route is None else self.route.own

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def scheme(self) -> str:
        return str(self.scope.get("scheme", "http"))

    @property
    def host(self) -> str:
        found = self.header("host")
        if found is None:
            server, port = self.scope.get("server") or ("", None)
            found = server if port is None else f"{server}:{port}"
        return found.lower()

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def query_string(self) -> str:
        return str(self.scope.get("query_string", b""), "latin-1")

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        if not self.scope.get("query_string"):
            return {}
        found: dict[str, list[str]] = {}
        for name, value in self.native.query_params.multi_items():
            found.setdefault(name, []).append(value)
        return found

    def header(self, name: str) -> str | None:
        return self._headers().get(name.lower())

    def given(self, names: Sequence[str]) -> dict[str, str]:
        found = self._headers()
        return {name: found[name] for name in names if name in found}

    def _headers(self) -> dict[str, str]:
        """Headers by their names in lower case, repeated ones joined."""
        if self._found is None:
            found: dict[str, str] = {}
            self._found = found
            for raw_name, raw_value in self.scope["headers"]:
                name, value = str(raw_name, "latin-1").lower(), str(raw_value, "latin-1")
                if name in found:
                    value = f"{found[name]}{'; ' if name == 'cookie' else ', '}{value}"
                found[name] = value
        return self._found

    @property
    def headers(self) -> Mapping[str, str]:
        return self.native.headers

    @property
    def cookies(self) -> Mapping[str, str]:
        return self.native.cookies

    @property
    def user(self) -> Any:
        """Who `AuthenticationMiddleware` found, or else `request.state.user`."""
        scope = self.scope
        if "user" in scope:
            return scope["user"]
        try:
            return scope.get("state", {})["user"]
        except KeyError:
            raise AttributeError(
                "neither AuthenticationMiddleware nor request.state.user says who is logged in"
            ) from None

    @property
    def url_args(self) -> Mapping[str, Any]:
        """What the route took from the URL; of FastAPI, all that the endpoint is called with."""
        found: Mapping[str, Any] = self.scope.get("path_params", {})
        args, kwargs = self._given
        if (args or kwargs or self.scope.get("query_string")) and self.route is not None:
            definition, arguments = self.route.definition, self.route.arguments
            return {**found, **telling(definition.dependant, arguments, self)}
        return found

    @property
    def session_touched(self) -> bool:
        session = self.scope.get("session")
        if session is None:
            return False
        if hasattr(session, "accessed"):
            return bool(session.accessed or session.modified)
        return bool(session)  # who looked at it is not known, but there is something to see

    @property
    def has_credentials(self) -> bool:
        user = self.scope.get("user")
        if user is not None and getattr(user, "is_authenticated", False):
            return True
        return _CREDENTIALS in [name for name, _ in self.scope["headers"]]

    @property
    def variant(self) -> Any:
        """The route of FastAPI, whose response model shapes what is sent; its path tells which."""
        if self.route is None:
            return None
        return f"{self.scope.get('root_path', '')}{self.route.definition.path}"

    def fingerprint(self, names: tuple[str, ...]) -> Hashable | None:
        scope, (known, wanted) = self.scope, _last_wanted
        if known is not names:
            wanted = _wanted(names)
        told: list[tuple[bytes, bytes]] = []
        for name, value in scope["headers"]:
            if name in wanted:
                if name == _CREDENTIALS:
                    return None
                told.append((name, value))
        if "user" in scope and self.has_credentials:
            return None
        fingerprint = (
            scope["method"],
            scope.get("scheme"),
            scope["path"],
            scope.get("query_string"),
            *told,
        )
        args, kwargs = self._given
        # What an endpoint without arguments was called with, the query tells already.
        found = self.url_args if args or kwargs else scope.get("path_params")
        if not found:
            return fingerprint
        if not _TELLING.issuperset(map(type, found.values())):
            return None
        return fingerprint, *[(name, type(value), value) for name, value in found.items()]

    @property
    def sends_anything(self) -> bool:
        return self.route is not None

    def attribute(self, name: str) -> Any:
        """Look on the request, then in its state.

        Raises:
            AttributeError: There is none.
        """
        found = self._find(name)
        if found is _MISSING:
            raise AttributeError(f"neither the request nor its state has {name!r}")
        return found

    def says(self, name: str) -> bool:
        source = self._source
        if type(source) is Serving and source.made is None and not _is_of_all(name):
            state = self.scope.get("state")
            return bool(state and state.get(name))
        found = self._find(name)
        return found is not _MISSING and bool(found)

    def _find(self, name: str) -> Any:
        try:
            found = getattr(self.native, name, _MISSING)
        except AssertionError:  # as Starlette says that a middleware is missing
            found = _MISSING
        state = self.scope.get("state")
        return state.get(name, _MISSING) if found is _MISSING and state else found


@lru_cache(256)
def _is_of_all(name: str) -> bool:
    """Tell whether every request has an attribute, also one that nobody has seen yet."""
    return hasattr(Request, name) or name in vars(Request({"type": "http"}))


def _wanted(names: tuple[str, ...]) -> frozenset[bytes]:
    """Return the raw names of these headers, and of those that say which host was asked and who.

    Nearly all views ask for the same ones, and a look-up by so many takes longer than all else.
    """
    global _last_wanted
    wanted = frozenset((_CREDENTIALS, b"host", *(name.encode("latin-1") for name in names)))
    _last_wanted = names, wanted
    return wanted
