"""The request scope: opened around everything that an application does for a request."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tiercel.spi import RequestScope


def open_scopes(app: Flask) -> None:
    """Have an application open a scope for each request, and close it whatever happens.

    The scope ends before a streamed body is sent: what makes its chunks finds none.
    """
    serve = app.wsgi_app

    def wsgi_app(environ: dict[str, Any], start_response: Any) -> Any:
        with RequestScope(environ.get("REQUEST_METHOD")):
            return serve(environ, start_response)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]
