"""A request of Django in the vocabulary of every framework."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.core.signals import setting_changed
from django.http import HttpRequest

from tiercel.spi import EnvironRequest, WebRequest, environ_values
from tiercel_django.web import active
from tiercel_django.web.traces import is_session_touched

Named = Mapping[str, Any]

_PLAIN: Final = frozenset({str, int, UUID})
_accepting = object()
"""Part of each fingerprint: another object once other hosts are accepted."""

_HOST: Final = ("HTTP_HOST", "SERVER_NAME", "SERVER_PORT")


class DjangoRequest(EnvironRequest):
    """A request that a view of Django was called with.

    Args:
        native: Django's request.
        args: What the view got besides, by position.
        kwargs: The same by name.
    """

    def __init__(self, native: Any, args: Sequence[Any] = (), kwargs: Named | None = None) -> None:
        self.native = native
        self._args = args
        self._kwargs = kwargs or {}

    @property
    def environ(self) -> Mapping[str, Any]:
        environ: Mapping[str, Any] = self.native.META
        return environ

    @property
    def method(self) -> str:
        return self.native.method or "GET"

    @property
    def scheme(self) -> str:
        scheme: str = self.native.scheme
        return scheme

    @property
    def host(self) -> str:
        """What `ALLOWED_HOSTS` accepts.

        Raises:
            DisallowedHost: It accepts the host of the request not; Django answers with 400.
        """
        host: str = self.native.get_host()
        return host.lower()

    @property
    def path(self) -> str:
        path: str = self.native.path
        return path

    @property
    def query_string(self) -> str:
        query: str = self.native.META.get("QUERY_STRING", "")
        return query

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        return dict(self.native.GET.lists())

    @property
    def headers(self) -> Mapping[str, str]:
        headers: Mapping[str, str] = self.native.headers
        return headers

    @property
    def cookies(self) -> Mapping[str, str]:
        cookies: Mapping[str, str] = self.native.COOKIES
        return cookies

    @property
    def user(self) -> Any:
        """Whom `auser()` has fetched, or else `request.user`."""
        return getattr(self.native, "_acached_user", None) or self.native.user

    @property
    def url_args(self) -> Mapping[str, Any]:
        """What the route took from the URL, and whatever else the view is given."""
        match = getattr(self.native, "resolver_match", None)
        found = dict(match.kwargs) if match is not None else {}
        found.update(self._kwargs)
        found.update((str(place), each) for place, each in enumerate(self._args))
        return found

    @property
    def session_touched(self) -> bool:
        return is_session_touched(self.native)

    @property
    def variant(self) -> Any:
        """The language and the time zone that are active."""
        return (active.language(), active.zone())

    def fingerprint(self, names: tuple[str, ...]) -> Hashable | None:
        native = self.native
        found = self.url_args
        if not _PLAIN.issuperset(map(type, found.values())):
            return None
        meta = native.META
        read = meta.get
        return (
            native.method,
            native.scheme,
            native.path,
            native.GET.urlencode() if "GET" in vars(native) else read("QUERY_STRING"),
            *map(read, _HOST),
            environ_values(meta, names),
            tuple(found.items()),
            self.variant,
            _accepting,
        )

    def says(self, name: str) -> bool:
        return bool(getattr(self.native, name, False))


def _forget(*, setting: str, **_: Any) -> None:
    """Have hosts checked again, as where a test overrides the settings."""
    global _accepting
    if setting.startswith(("ALLOWED_HOSTS", "DEBUG", "USE_X_FORWARDED")):
        _accepting = object()


setting_changed.connect(_forget, dispatch_uid="tiercel_hosts")


def find_request(args: Sequence[Any], kwargs: Named) -> WebRequest | None:
    """Return the request that a view was called with; None if there is none among its arguments.

    It is the first argument, the second of a method, `request=`, or the `request` of the object.
    """
    for place, given in enumerate(args[:2]):
        kind = kind_of(given)
        if kind is not None:
            return kind(given, args[place + 1 :], kwargs)
    held = kwargs.get("request")
    if (kind := kind_of(held)) is not None:
        return kind(held, args[1:], {name: kwargs[name] for name in kwargs if name != "request"})
    held = getattr(args[0], "request", None) if args else None
    return None if (kind := kind_of(held)) is None else kind(held, args[1:], kwargs)


def kind_of(given: Any) -> type[DjangoRequest] | None:
    """Return what shows a request to Tiercel; None if it is no request of ours."""
    if isinstance(given, HttpRequest):
        return DjangoRequest
    rest = sys.modules.get("rest_framework.request")
    if rest is None or not isinstance(given, rest.Request):
        return None
    from tiercel_django.web.rest import RestRequest

    return RestRequest
