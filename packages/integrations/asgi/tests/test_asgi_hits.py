"""Hits of endpoints: what they read of a request, and the responses that are made for them."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from packages.integrations.asgi.tests.asgi_asking import asking
from tiercel import Cache, cached_view, request_scope
from tiercel.spi import StoredResponse
from tiercel.testing import SimulatedBackend
from tiercel.testing.clients import AsgiClient
from tiercel_asgi import TiercelMiddleware
from tiercel_asgi.framework import AsgiFramework
from tiercel_asgi.requests import AsgiRequest
from tiercel_asgi.serving import Serving

FRAMEWORK = AsgiFramework()
HEADERS = (("Content-Type", "text/plain"), ("Link", "<a>"), ("Link", "<b>"), ("Age", "3"))


def scope_of(**more: Any) -> dict[str, Any]:
    """What ASGI says of a request."""
    return {"type": "http", "method": "GET", "path": "/", "headers": [], **more}


def test_responses_when_they_are_made_of_the_same_headers_then_they_share_none() -> None:
    """Each is equal to what is made of the stored response, and can be changed by itself."""
    request = AsgiRequest(Request(scope_of()))
    make = FRAMEWORK.thawing(200, HEADERS)
    first, second = make(request, b"body"), make(request, b"other")
    thawed = FRAMEWORK.thaw(request, StoredResponse(200, HEADERS, b"body"))
    assert vars(first) == vars(thawed)
    first.headers["Age"] = "4"
    first.headers.append("x-mine", "1")
    assert second.raw_headers == thawed.raw_headers
    assert (second.body, second.status_code) == (b"other", 200)


@pytest.mark.parametrize("name", ["url", "scope", "method", "receive"])
def test_request_when_nobody_has_made_it_then_it_has_what_every_request_has(name: str) -> None:
    """Whoever names one of Starlette's own attributes gets it."""
    serving = Serving(scope_of(server=("example.com", 80)), _unused, _unused)
    request = AsgiRequest(serving)
    assert not request.says("skip_cache")
    assert serving.made is None
    assert request.says(name) and request.attribute(name) == getattr(serving.request, name)


def test_request_when_somebody_has_marked_it_then_that_is_seen() -> None:
    """On the request itself, which is the same one for all who ask for it, or in its state."""
    serving = Serving(scope_of(state={"mark": 1}), _unused, _unused)
    request: Any = AsgiRequest(serving)
    assert request.says("mark") and not request.says("skip_cache")
    request.native.skip_cache = True
    assert request.says("skip_cache")
    assert AsgiRequest(serving).attribute("skip_cache") is True
    with pytest.raises(AttributeError, match="neither"):
        request.attribute("nothing")


def test_endpoint_when_a_dependency_opens_a_scope_then_it_still_finds_its_request() -> None:
    """A scope inside that of the request hides what is remembered, not who asks."""
    app, calls = FastAPI(), list[int]()
    app.add_middleware(TiercelMiddleware)

    def scoped() -> Iterator[None]:
        with request_scope():
            yield

    async def ascoped() -> Any:
        with request_scope("GET"):
            yield

    @app.get("/page", dependencies=[Depends(ascoped), Depends(scoped)])
    @cached_view(cache=Cache(name="scoped"))
    async def page() -> int:
        calls.append(1)
        return len(calls)

    with asking(app) as get:
        assert [get("/page").body for _ in range(4)] == [b"1"] * 4


@pytest.mark.parametrize("header", ["Authorization", "X_Forwarded_Host"])
def test_endpoint_when_a_header_says_who_or_where_then_it_is_not_answered_like_others(
    header: str,
) -> None:
    """Also when the request of others is known well."""
    app, calls = FastAPI(), list[int]()
    app.add_middleware(TiercelMiddleware)

    @app.get("/page")
    @cached_view(cache=Cache(name="credentials"))
    async def page() -> int:
        calls.append(1)
        return len(calls)

    with asking(app) as get:
        assert [get("/page").body for _ in range(3)] == [b"1"] * 3
        assert get("/page", **{header: "evil"}).body == b"2"
        assert get("/page").body == b"1"


def test_response_when_its_status_is_an_enum_then_the_shared_tier_keeps_it() -> None:
    """Starlette takes `HTTPStatus` and leaves it at that."""
    cache = Cache(backend=SimulatedBackend(), memory=0, name="enum")

    @cached_view(cache=cache)
    async def page(request: Request) -> Response:
        return Response(b"made", status_code=HTTPStatus.NON_AUTHORITATIVE_INFORMATION)

    with AsgiClient(Starlette(routes=[Route("/page", page)])) as client:
        replies = [client.get() for _ in range(3)]
    assert [(each.status, each.is_hit) for each in replies] == [(203, False), *[(203, True)] * 2]
    cache.close()


async def _unused(*_: Any) -> Any:
    raise AssertionError("nothing is received or sent")
