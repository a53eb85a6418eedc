"""The middleware that opens the scope of each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tiercel import request_scope

Respond = Callable[[HttpRequest], Any]


class RequestScopeMiddleware:
    """Lets functions under `request_cached` remember what they returned until a request ends.

    Put it first in `MIDDLEWARE`. It serves plain and asynchronous stacks without a thread between
    them. The scope ends when the response is handed on, also if a view or another middleware
    raised; what is streamed after that remembers nothing.

    Args:
        get_response: The next middleware, or the view.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response
        self._awaited = iscoroutinefunction(get_response)
        if self._awaited:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._awaited:
            return self._acall(request)
        with request_scope(request.method):
            response: HttpResponseBase = self._respond(request)
            return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        with request_scope(request.method):
            response: HttpResponseBase = await self._respond(request)
            return response
