"""Endpoints of FastAPI that name no request, in an application without the middleware."""

from __future__ import annotations

import itertools
import warnings
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from packages.integrations.asgi.tests.asgi_asking import asking, told
from tiercel import Cache, ViewCachingWarning, cached_view


class Bookmark(BaseModel):
    path: str = "/"
    method: str = "GET"


class Connection:
    """What a dependency may be."""

    url = "sqlite://"


@pytest.mark.parametrize("targets", [None, ["path"]], ids=str)
@pytest.mark.parametrize("kind", [str, Bookmark, Connection])
@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "plain"])
def test_endpoint_when_there_is_no_request_then_it_is_called_and_one_warning_says_so(
    cache: Cache, targets: Any, kind: type, plain: bool
) -> None:
    """What an endpoint is given is not taken for the request, so that nothing fails."""
    app, calls = FastAPI(), itertools.count(1)

    async def page(value: Any) -> int:
        return next(calls)

    def plain_page(value: Any) -> int:
        return next(calls)

    view: Any = plain_page if plain else page
    view.__annotations__["value"] = kind if kind is str else Annotated[kind, Depends(kind)]
    app.get("/page")(cached_view(targets, cache=cache, name="page")(view))
    with asking(app) as get:
        with pytest.warns(ViewCachingWarning, match=r"page .*\.TiercelMiddleware"):
            assert told(get("/page?value=a")) == 1
        with warnings.catch_warnings(action="error"):
            assert [told(get("/page?value=a")) for _ in range(2)] == [2, 3]


def test_endpoint_when_it_takes_nothing_then_it_is_called_and_one_warning_says_so(
    cache: Cache,
) -> None:
    """It has not even an argument that could be asked."""
    app, calls = FastAPI(), itertools.count(1)

    @app.get("/page")
    @cached_view(cache=cache, name="page")
    async def page() -> int:
        return next(calls)

    with asking(app) as get:
        with pytest.warns(ViewCachingWarning, match="page") as seen:
            assert [told(get("/page")) for _ in range(2)] == [1, 2]
        assert len(seen) == 1
