"""Cached endpoints of FastAPI: what it does around an endpoint, it does around a cached one."""

import inspect
from typing import Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
)
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from packages.integrations.asgi.tests.asgi_asking import asking, told
from tiercel import Cache, CachedResponse, cached_view
from tiercel.testing import VirtualClock


class Tea(BaseModel):
    name: str
    price: float
    secret: str = "recipe"


class TeaOnTheMenu(BaseModel):
    name: str
    price: float


@pytest.mark.parametrize("plain", [True, False])
def test_model_when_it_is_returned_then_hits_say_the_same(
    app: FastAPI, cache: Cache, plain: bool
) -> None:
    """A pydantic model is sent as its response model says, by a plain endpoint and a coroutine."""
    calls: list[str] = []

    def tea(name: str) -> Tea:
        calls.append(name)
        return Tea(name=name, price=3.5)

    async def atea(name: str) -> Tea:
        return tea(name)

    view = cached_view(cache=cache, name="tea")(tea if plain else atea)
    app.get("/cached/{name}", response_model=TeaOnTheMenu)(view)
    app.get("/plain/{name}", response_model=TeaOnTheMenu)(tea if plain else atea)
    with asking(app) as get:
        expected = get("/plain/assam")
        first, hit, other = get("/cached/assam"), get("/cached/assam"), get("/cached/ceylon")
    assert told(expected) == {"name": "assam", "price": 3.5}
    assert first.body == hit.body == expected.body
    assert first.header("content-type") == hit.header("content-type") == "application/json"
    assert (first.is_hit, hit.is_hit) == (False, True)
    assert told(other)["name"] == "ceylon"
    assert calls == ["assam", "assam", "ceylon"]


@pytest.mark.parametrize(
    ("result", "options"),
    [
        ({"a": [1, 2], "b": None}, {}),
        ([Tea(name="assam", price=1), Tea(name="ceylon", price=2)], {}),
        (None, {}),
        ("text", {}),
        (Tea(name="assam", price=1), {"response_model": Tea, "response_model_exclude": {"secret"}}),
        (Tea(name="a", price=1), {"response_model": Tea, "response_model_exclude_unset": True}),
        ("<p>tea</p>", {"response_class": HTMLResponse}),
        ({"made": 1}, {"status_code": 203}),
        (JSONResponse({"own": 1}, headers={"X-Own": "1"}), {"response_model": None}),
    ],
)
def test_result_when_it_is_cached_then_it_looks_as_without_a_cache(
    app: FastAPI, cache: Cache, result: Any, options: dict[str, Any]
) -> None:
    """Status, media type and body are those that FastAPI makes of the result."""

    async def view() -> Any:
        return result

    app.get("/plain", **options)(view)
    app.get("/cached", **options)(cached_view(cache=cache, name="view")(view))
    with asking(app) as get:
        plain, first, hit = get("/plain"), get("/cached"), get("/cached")
    for each in (first, hit):
        assert (each.status, each.body) == (plain.status, plain.body)
        for name in ("content-type", "content-length", "x-own"):
            assert each.header(name) == plain.header(name)
    assert hit.is_hit


def test_endpoint_when_it_is_cached_then_its_signature_and_schema_are_its_own(
    app: FastAPI, cache: Cache
) -> None:
    """FastAPI sees every parameter with its type, and documents the same."""

    async def tea(name: str, cups: int = 1, strong: Annotated[bool, Header()] = False) -> Tea:
        """Make tea."""
        return Tea(name=name, price=cups)

    cached = cached_view(cache=cache, name="tea")(tea)
    assert inspect.signature(cached) == inspect.signature(tea)
    other = FastAPI()
    other.get("/tea/{name}")(tea)
    app.get("/tea/{name}")(cached)
    assert app.openapi() == other.openapi()
    with asking(app) as get:
        assert told(get("/tea/assam?cups=2"))["price"] == 2
        assert get("/tea/assam?cups=many").status == 422


def test_parameters_when_they_differ_then_so_do_the_entries(app: FastAPI, cache: Cache) -> None:
    """With targets that do not name the query, declared parameters count and others do not."""

    @app.get("/list")
    @cached_view(["path"], cache=cache, name="list")
    async def listing(page: int = 1) -> int:
        return page

    with asking(app) as get:
        replies = [get("/list?page=2"), get("/list?page=2&utm_source=mail"), get("/list?page=3")]
    assert [told(each) for each in replies] == [2, 2, 3]
    assert [each.is_hit for each in replies] == [False, True, False]


def test_background_task_when_the_endpoint_adds_one_then_it_runs_once(
    app: FastAPI, cache: Cache
) -> None:
    """It belongs to the computation, so a hit does not repeat it."""
    done: list[str] = []

    @app.get("/page")
    @cached_view(["path"], cache=cache, name="page")
    async def page(tasks: BackgroundTasks) -> str:
        tasks.add_task(done.append, "sent")
        return "page"

    with asking(app) as get:
        assert [told(get("/page")) for _ in range(3)] == ["page"] * 3
    assert done == ["sent"]


def test_result_when_it_does_not_fit_its_model_then_it_is_an_error_and_not_kept(
    app: FastAPI, cache: Cache
) -> None:
    """What FastAPI would not send is not kept either."""
    results: list[Any] = [{"name": "assam"}, {"name": "assam", "price": 3}]

    @app.get("/tea", response_model=TeaOnTheMenu)
    @cached_view(["path"], cache=cache, name="tea")
    async def tea() -> Any:
        return results.pop(0)

    from fastapi.exceptions import ResponseValidationError

    app.add_exception_handler(ResponseValidationError, lambda *_: JSONResponse("wrong", 500))
    with asking(app) as get:
        assert get("/tea").status == 500
        assert told(get("/tea")) == told(get("/tea")) == {"name": "assam", "price": 3}


def test_error_when_an_endpoint_raises_one_then_it_is_not_kept(app: FastAPI, cache: Cache) -> None:
    """The next request calls the endpoint again."""
    errors = [HTTPException(404)]

    @app.get("/page")
    @cached_view(["path"], cache=cache, name="page")
    async def page() -> str:
        if errors:
            raise errors.pop()
        return "found"

    with asking(app) as get:
        assert [get("/page").status for _ in range(2)] == [404, 200]


def test_life_when_a_response_brings_its_own_then_it_counts(
    app: FastAPI, cache: Cache, virtual_clock: VirtualClock
) -> None:
    """`CachedResponse` works on results that are no responses yet."""
    numbers = iter(range(10))

    @app.get("/page")
    @cached_view(["path"], expiry=300, cache=cache, name="page")
    async def page() -> Any:
        return CachedResponse({"number": next(numbers)}, 10)

    with asking(app) as get:
        assert [told(get("/page"))["number"] for _ in range(2)] == [0, 0]
        virtual_clock.advance(11)
        assert told(get("/page"))["number"] == 1


def test_router_when_it_is_included_then_its_dependencies_count(app: FastAPI, cache: Cache) -> None:
    """A header that a dependency of the router reads tells entries apart."""
    tenants: list[str] = []

    def tenant(x_tenant: Annotated[str, Header()] = "") -> None:
        tenants.append(x_tenant)

    router = APIRouter(prefix="/shop", default_response_class=HTMLResponse)

    @router.get("/{place}")
    @cached_view(["path"], cache=cache, name="page")
    async def page(place: str) -> str:
        return f"{place} of {tenants[-1]}"

    app.include_router(router, prefix="/v1", dependencies=[Depends(tenant)])
    with asking(app) as get:
        asked = [get("/v1/shop/till", X_Tenant=each) for each in ("a", "b", "a", "b", "a")]
    assert [each.body for each in asked] == [b"till of %s" % each for each in (b"a", b"b") * 2] + [
        b"till of a"
    ]
    assert asked[-1].is_hit
    assert asked[-1].header("content-type") == "text/html; charset=utf-8"


def test_result_when_no_route_called_the_view_then_it_stays_a_value(
    app: FastAPI, cache: Cache
) -> None:
    """A cached helper that an endpoint calls with its request returns what it always does."""

    @cached_view(["path"], cache=cache, name="helper")
    async def helper(request: Request) -> dict[str, int]:
        return {"a": 1}

    @app.get("/page")
    async def page(request: Request) -> list[Any]:
        return [await helper(request), await helper(request)]

    @app.get("/cached")
    @cached_view(["path"], cache=cache, name="page")
    async def cached_page(request: Request) -> dict[str, Any]:
        return await helper(request)

    with asking(app) as get:
        assert told(get("/page")) == [{"a": 1}, {"a": 1}]
        assert told(get("/cached")) == told(get("/cached")) == {"a": 1}
        assert get("/cached").is_hit


def test_routes_when_one_endpoint_has_two_then_each_keeps_its_own_response(
    app: FastAPI, cache: Cache
) -> None:
    """What the response model of one route leaves out is not taken from the entry of another."""

    @cached_view(["method"], cache=cache, name="tea")
    async def tea() -> Any:
        return Tea(name="assam", price=3)

    app.get("/inside", response_model=Tea)(tea)
    app.get("/outside", response_model=TeaOnTheMenu)(tea)
    with asking(app) as get:
        told_twice = [told(get(each)) for each in ("/inside", "/outside", "/inside", "/outside")]
    assert told_twice[0] == told_twice[2] == {"name": "assam", "price": 3, "secret": "recipe"}
    assert told_twice[1] == told_twice[3] == {"name": "assam", "price": 3}


def test_argument_when_the_request_looks_the_same_then_it_tells_entries_apart_all_the_same(
    app: FastAPI, cache: Cache
) -> None:
    """What a dependency makes of a request by hand counts, on the shortest way to a hit, too."""
    visitors = iter(["ann", "ann", "ann", "bob", True, True, True, 1])

    async def visitor() -> Any:
        return next(visitors)

    @app.get("/page")
    @cached_view(["path"], cache=cache, name="page")
    async def page(visitor: Annotated[Any, Depends(visitor)]) -> str:
        return str(visitor)

    with asking(app) as get:
        found = [told(get("/page")) for _ in range(8)]
    assert found == ["ann", "ann", "ann", "bob", "True", "True", "True", "1"]


def test_application_when_an_included_router_mounts_it_then_its_own_routes_count(
    app: FastAPI, cache: Cache
) -> None:
    """What FastAPI notes of the way there is not taken for the route of the endpoint."""
    shop = FastAPI()

    @shop.get("/tea", response_model=TeaOnTheMenu)
    @cached_view(["path"], cache=cache, name="tea")
    async def tea(cups: int = 1) -> Any:
        return Tea(name="assam", price=cups)

    router = APIRouter()
    router.mount("/shop", shop)
    app.include_router(router, prefix="/v1")
    with asking(app) as get:
        replies = [get("/v1/shop/tea"), get("/v1/shop/tea"), get("/v1/shop/tea?cups=2")]
    assert [told(each)["price"] for each in replies] == [1, 1, 2]
    assert [each.is_hit for each in replies] == [False, True, False]
    assert "secret" not in told(replies[1])
