"""The console as a blueprint, to register in an application of Flask under a `url_prefix`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Request, Response, request

from tiercel.console import Console, ConsoleRequest


def console_blueprint(authorize: Callable[[Request], bool], **options: Any) -> Blueprint:
    """Return a blueprint that serves the console, to register under a `url_prefix`.

    Args:
        authorize: Gets the request and returns whether it may be answered.
        **options: Those of `tiercel.console.Console`.

    Raises:
        ConfigurationError: Nothing says who may look.
    """
    console, blueprint = Console(authorize, **options), Blueprint("tiercel_console", __name__)

    @blueprint.route("/", defaults={"page": ""}, methods=["GET", "POST"])
    @blueprint.route("/<path:page>", methods=["GET", "POST"])
    def show(page: str) -> Response:
        allowed = console.authorize(request)
        answered = console.respond(_request(request, page), allowed=allowed)
        response = Response(answered.body, answered.status)
        response.headers.clear()
        response.headers.extend(answered.headers)
        return response

    return blueprint


def _request(native: Request, page: str) -> ConsoleRequest:
    path = f"{native.root_path.rstrip('/')}{native.path}"
    return ConsoleRequest(
        native=native,
        method=native.method,
        root=path.removesuffix(page).rstrip("/"),
        path=f"/{page}",
        query=native.args.to_dict(),
        form=native.form.to_dict(),
        headers={name.lower(): value for name, value in native.headers.items()},
        secure=native.is_secure,
    )
