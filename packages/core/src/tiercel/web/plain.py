"""Requests of no known framework: any object with the usual attributes, as tests make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from tiercel.contracts.web import Frozen, StoredResponse, WebFramework, WebRequest
from tiercel.keys import lookup

_VALUES: Final = (
    *(bool, bytes, complex, date, Decimal, Enum, float, int, str, time, timedelta, NoneType),
    *(list, set, frozenset, tuple, UUID),
)
"""Types of what views are given that are no requests; mappings may be."""


def _is_value(given: Any) -> bool:
    """Tell whether it is no request, whatever names it has; models of Pydantic have any."""
    return isinstance(given, _VALUES) or hasattr(type(given), "__pydantic_fields__")


class PlainRequest(WebRequest):
    """Reads a request by the names that the frameworks use."""

    def __init__(self, native: Any, url_args: Mapping[str, Any]) -> None:
        self.native = native
        self._url_args = url_args

    @property
    def method(self) -> str:
        return lookup.method_of(self.native) if hasattr(self.native, "method") else "GET"

    @property
    def scheme(self) -> str:
        return str(getattr(self.native, "scheme", "http"))

    @property
    def host(self) -> str:
        return lookup.host_of(self.native)

    @property
    def path(self) -> str:
        return lookup.path_of(self.native)

    @property
    def query_string(self) -> str:
        given = getattr(self.native, "query_string", None)
        if given is None:
            return urlencode(self.query, doseq=True)
        return given.decode("latin-1") if isinstance(given, bytes) else str(given)

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        try:
            return lookup.query_of(self.native)
        except AttributeError:
            return {}

    def header(self, name: str) -> str | None:
        try:
            found = lookup.header_of(self.native, name)
        except AttributeError:
            return None
        return ", ".join(found) if isinstance(found, list) else found

    @property
    def headers(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.native.headers
        return found

    @property
    def cookies(self) -> Mapping[str, str]:
        found: Mapping[str, str] = lookup.read_first(self.native, "COOKIES", "cookies")
        return found

    @property
    def user(self) -> Any:
        return self.native.user

    @property
    def url_args(self) -> Mapping[str, Any]:
        return self._url_args


def is_guessed(request: WebRequest) -> bool:
    """Tell whether what was taken for a request has nothing that shows it is one."""
    if not isinstance(request, PlainRequest):
        return False
    native = request.native
    return not (
        hasattr(native, "method")
        or hasattr(native, "path")
        or hasattr(getattr(native, "url", None), "path")
    )


class PlainFramework(WebFramework):
    """Takes what leads the arguments of a view for the request; every result is a value."""

    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> WebRequest | None:
        """Return the request that a view was called with.

        Args:
            args: The object that the view is a method of, if it has a request, and the request.
            kwargs: What else it was called with, by name.
        """
        for given in args[:2]:
            if _is_value(given):
                continue
            if hasattr(given, "method") or hasattr(given, "path") or hasattr(given, "url"):
                return PlainRequest(given, kwargs)
            if hasattr(given, "request"):
                return PlainRequest(given.request, kwargs)
        return PlainRequest(args[-1], kwargs) if args and not _is_value(args[-1]) else None

    def is_response(self, result: Any) -> bool:
        return False

    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        return Frozen(None, response)

    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        return stored
