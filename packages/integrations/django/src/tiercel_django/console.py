"""The console as pages of a Django project: `path("ops/cache/", include(console_urls()))`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_exempt

from tiercel.console import Console, ConsoleRequest


def is_staff(request: Any) -> bool:
    """Tell whether a request is from an active member of the staff."""
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_active and user.is_staff)


def console_urls(
    authorize: Callable[[HttpRequest], bool] = is_staff, **options: Any
) -> list[URLPattern]:
    """Return URL patterns of the console, to include under a path.

    Args:
        authorize: Gets the request and returns whether it may be answered; by default members of
            the staff only.
        **options: Those of `tiercel.console.Console`.
    """
    console = Console(authorize, **options)

    # The console has tokens of its own, so that it works without Django's middleware, too.
    @csrf_exempt
    def page(request: HttpRequest, page: str) -> HttpResponse:
        allowed = authorize(request)
        answered = console.respond(_request(request, page), allowed=allowed)
        response = HttpResponse(answered.body, status=answered.status)
        del response["Content-Type"]
        for name, value in answered.headers:
            response[name] = value
        return response

    return [re_path(r"^(?P<page>.*)$", page, name="tiercel-console")]


def _request(request: HttpRequest, page: str) -> ConsoleRequest:
    return ConsoleRequest(
        native=request,
        method=request.method or "GET",
        root=request.path.removesuffix(page).rstrip("/"),
        path=f"/{page}",
        query=request.GET.dict(),
        form=request.POST.dict(),
        headers={name.lower(): value for name, value in request.headers.items()},
        secure=request.is_secure(),
    )
