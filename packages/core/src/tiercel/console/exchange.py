"""Requests and responses of the console, whatever serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl

MOST_BYTES: Final = 65_536
"""Bytes of a form that are read."""


@dataclass(frozen=True, slots=True)
class ConsoleRequest:
    """A request.

    Attributes:
        native: The request of whatever serves the console: WSGI's environ, ASGI's scope, or a
            framework's request. What authorises gets this.
        method: The HTTP method in capitals.
        root: The path that the console is mounted under, without a slash at its end.
        path: The path below that, with a slash at its beginning.
        query: The parameters of the URL.
        form: The fields of the form.
        headers: Names in lower case.
    """

    native: Any
    method: str
    root: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    secure: bool = False

    def cookie(self, name: str) -> str:
        """Return a cookie; empty without it."""
        try:
            found = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return ""
        return found.value if found else ""


@dataclass(frozen=True, slots=True)
class ConsoleResponse:
    """A response.

    Attributes:
        status: The status code.
        body: The whole body.
        headers: Names and values; there is a `Content-Length`.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


def fields_of(encoded: str | bytes) -> dict[str, str]:
    """Return the fields of a query or a form; of several of one name, the last."""
    text = encoded.decode("latin-1") if isinstance(encoded, bytes) else encoded
    return dict(parse_qsl(text, keep_blank_values=True))
