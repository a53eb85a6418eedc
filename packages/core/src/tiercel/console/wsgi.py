"""The console as a WSGI application (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tiercel.console.exchange import MOST_BYTES, ConsoleRequest, fields_of

if TYPE_CHECKING:
    from tiercel.console.console import Console

Environ = Mapping[str, Any]


def serve_wsgi(console: Console) -> Callable[[Environ, Any], Iterable[bytes]]:
    """Return a WSGI application that serves a console."""

    def application(environ: Environ, start_response: Any) -> Iterable[bytes]:
        request = request_of(environ)
        response = console.respond(request, allowed=console.authorize(request.native))
        phrase = HTTPStatus(response.status).phrase
        start_response(f"{response.status} {phrase}", list(response.headers))
        return [b"" if request.method == "HEAD" else response.body]

    return application


def request_of(environ: Environ) -> ConsoleRequest:
    """Return the request of an environ."""
    length = environ.get("CONTENT_LENGTH") or "0"
    size = min(int(length), MOST_BYTES) if length.isdigit() else 0
    form = environ["wsgi.input"].read(size) if size else b""
    return ConsoleRequest(
        native=environ,
        method=environ["REQUEST_METHOD"].upper(),
        root=environ.get("SCRIPT_NAME", "").rstrip("/"),
        path=environ.get("PATH_INFO") or "/",
        query=fields_of(environ.get("QUERY_STRING", "")),
        form=fields_of(form),
        headers={
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        },
        secure=environ.get("wsgi.url_scheme") == "https",
    )
