"""The middleware that opens the scope of each request, under WSGI and ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path

from packages.integrations.django.tests.served import served
from tiercel import request_cached
from tiercel.spi import current_scope
from tiercel_django.middleware import RequestScopeMiddleware


@request_cached
def number() -> object:
    """Another one at each call that is not remembered."""
    return object()


def view(request: HttpRequest) -> HttpResponse:
    """Tell whether a request-cached function remembers."""
    return HttpResponse(str(number() is number()))


async def aview(request: HttpRequest) -> HttpResponse:
    """Do what `view` does, half of it in a thread."""
    return HttpResponse(str(number() is await sync_to_async(number)()))


@pytest.mark.parametrize("asgi", [False, True])
@pytest.mark.parametrize("served_view", [view, aview])
def test_scope_when_a_request_is_served_then_it_is_open(
    served_view: Callable[..., Any], asgi: bool
) -> None:
    """Whatever the server and the view; threads that Django puts between them share it."""
    with served(path("page", served_view), asgi=asgi) as client:
        assert client.get("/page").body == b"True"
    assert number() is not number()


class Failure(BaseException):
    """What Django makes no response of."""


@pytest.mark.parametrize("error", [LookupError, Failure])
def test_scope_when_what_is_inside_raises_then_it_is_closed(error: type[BaseException]) -> None:
    """Nothing is left behind for the next request of this thread."""
    scopes = []

    def fail(request: HttpRequest) -> HttpResponse:
        scopes.append(current_scope())
        raise error

    async def afail(request: HttpRequest) -> HttpResponse:
        return fail(request)

    request = RequestFactory().post("/")
    with pytest.raises(error):
        RequestScopeMiddleware(fail)(request)
    assert current_scope() is None

    async def ask() -> None:
        with pytest.raises(error):
            await _awaitable(RequestScopeMiddleware(afail)(request))
        assert current_scope() is None

    asyncio.run(ask())
    assert [scope and (scope.closed, scope.method) for scope in scopes] == [(True, "POST")] * 2


def test_middleware_when_the_stack_is_asynchronous_then_it_is_a_coroutine_function() -> None:
    """So that Django puts no thread between it and its neighbours."""
    assert iscoroutinefunction(RequestScopeMiddleware(aview))
    assert not iscoroutinefunction(RequestScopeMiddleware(view))


async def _awaitable(result: Any) -> Any:
    return await result
