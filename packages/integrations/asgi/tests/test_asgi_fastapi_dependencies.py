"""Dependencies of cached endpoints: they run on hits, and what they read tells entries apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import (
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    Response,
)
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from pydantic import AliasChoices, BaseModel

from packages.integrations.asgi.tests.asgi_asking import asking, told
from tiercel import Cache, ViewCachingWarning, cached_view


@dataclass
class Visitor:
    name: str


def test_dependency_when_there_is_a_hit_then_it_runs_all_the_same(
    app: FastAPI, cache: Cache
) -> None:
    """What guards an endpoint guards what is kept of it, too."""
    seen: list[str] = []

    async def guard(request: Request) -> None:
        seen.append(request.url.path)
        if request.query_params.get("let") != "me":
            raise HTTPException(403)

    @app.get("/page", dependencies=[Depends(guard)])
    @cached_view(["path"], cache=cache, name="page")
    async def page() -> str:
        return "inside"

    with asking(app) as get:
        statuses = [get(each).status for each in ("/page?let=me", "/page", "/page?let=me")]
    assert statuses == [200, 403, 200]
    assert len(seen) == 3


def test_value_of_a_dependency_when_it_differs_then_so_do_the_entries(
    app: FastAPI, cache: Cache
) -> None:
    """Plain values are part of the key; a thing such as a connection is not."""

    class Connection:
        """What cannot be part of a key."""

    async def visitor(request: Request) -> Visitor:
        return Visitor(request.headers.get("x-visitor", "nobody"))

    @app.get("/me")
    @cached_view(["path"], cache=cache, name="me")
    async def me(
        visitor: Annotated[Visitor, Depends(visitor)], db: Annotated[Any, Depends(Connection)]
    ) -> str:
        return visitor.name

    with asking(app) as get:
        replies = [get("/me", X_Visitor=each) for each in ("ann", "bob", "ann")]
    assert [told(each) for each in replies] == ["ann", "bob", "ann"]
    assert [each.is_hit for each in replies] == [False, False, True]


def _reads_header(x_tenant: Annotated[str, Header()] = "") -> str:
    return x_tenant


def _reads_renamed(
    tenant: Annotated[str, Header(validation_alias=AliasChoices("X-Tenant", "X-Firm"))] = "",
) -> str:
    return tenant


def _reads_cookie(tenant: Annotated[str, Cookie()] = "") -> str:
    return tenant


class Headers(BaseModel):
    x_tenant: str = ""


def _reads_model(headers: Annotated[Headers, Header()]) -> str:
    return headers.x_tenant


READERS: dict[str, tuple[Callable[..., Any], str, Callable[[str], dict[str, str]]]] = {
    "header": (_reads_header, "x-tenant", lambda tenant: {"X_Tenant": tenant}),
    "model of headers": (_reads_model, "x-tenant", lambda tenant: {"X_Tenant": tenant}),
    "header of other names": (
        _reads_renamed,
        "tenant, x-firm, x-tenant",
        lambda tenant: {"X_Firm": tenant},
    ),
    "cookie": (_reads_cookie, "cookie", lambda tenant: {"Cookie": f"tenant={tenant}"}),
    "key in a header": (
        APIKeyHeader(name="X-Tenant"),
        "x-tenant",
        lambda tenant: {"X_Tenant": tenant},
    ),
    "key in a cookie": (
        APIKeyCookie(name="tenant"),
        "cookie",
        lambda tenant: {"Cookie": f"tenant={tenant}"},
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_header_when_a_dependency_reads_it_then_responses_vary_with_it(
    app: FastAPI, cache: Cache, reader: str
) -> None:
    """Nobody sees another's page, although the endpoint names neither header nor cookie."""
    read, vary, sent = READERS[reader]

    def opaque(tenant: Annotated[str, Depends(read)]) -> object:
        return type("Tenant", (), {"name": tenant})()

    @app.get("/home")
    @cached_view(["path"], cache=cache, name="home")
    async def home(tenant: Annotated[Any, Depends(opaque)]) -> str:
        return str(tenant.name)

    with asking(app) as get:
        asked = [get("/home", **sent(each)) for each in ("a", "b", "a", "b")]
        hit = get("/home", **sent("a"))
    assert [told(each) for each in asked] == ["a", "b", "a", "b"]
    assert told(hit) == "a"
    assert hit.is_hit
    assert {each.header("vary") for each in asked} == {vary}


def test_token_when_one_is_sent_then_the_cache_is_bypassed(app: FastAPI, cache: Cache) -> None:
    """What is behind a login is kept for nobody, unless the key says whose it is."""

    @app.get("/secret")
    @cached_view(["path"], cache=cache, name="secret")
    async def secret(token: Annotated[Any, Depends(HTTPBearer())]) -> str:
        return str(token.credentials)

    with asking(app) as get:
        asked = [get("/secret", Authorization=f"Bearer {each}") for each in ("ann", "bob")]
        assert [told(each) for each in asked] == ["ann", "bob"]
        assert get("/secret").status in (401, 403)


def test_headers_when_endpoint_and_dependency_set_some_then_each_hit_has_them(
    app: FastAPI, cache: Cache
) -> None:
    """The endpoint's are kept, those of a dependency are set anew for every request."""
    requests: list[int] = []

    def count(response: Response) -> None:
        requests.append(1)
        response.headers["X-Request"] = str(len(requests))

    @app.get("/page", dependencies=[Depends(count)])
    @cached_view(["path"], cache=cache, name="page")
    async def page(response: Response) -> str:
        response.headers["X-Made"] = str(len(requests))
        response.status_code = 203
        return "page"

    with asking(app) as get:
        replies = [get("/page") for _ in range(3)]
    assert [each.header("x-request") for each in replies] == ["1", "2", "3"]
    assert [each.header("x-made") for each in replies] == ["1", "1", "1"]
    assert [each.status for each in replies] == [203] * 3
    assert replies[-1].is_hit


def test_cookie_when_a_dependency_sets_one_then_the_response_is_not_kept(
    app: FastAPI, cache: Cache
) -> None:
    """Nobody gets the cookie of another."""
    visits: list[int] = []

    def greet(response: Response) -> None:
        visits.append(1)
        response.set_cookie("visit", str(len(visits)))

    @app.get("/page", dependencies=[Depends(greet)])
    @cached_view(["path"], cache=cache, name="page")
    async def page(response: Response) -> int:
        return len(visits)

    with asking(app) as get:
        replies = [get("/page") for _ in range(2)]
    assert [told(each) for each in replies] == [1, 2]
    assert ["visit=1" in (each.header("set-cookie") or "") for each in replies] == [True, False]


def test_headers_when_only_a_dependency_asks_for_the_response_then_a_warning_says_so(
    app: FastAPI, cache: Cache
) -> None:
    """They would get lost, and the endpoint can see to it."""

    def count(response: Response) -> None:
        response.headers["X-Request"] = "1"

    @app.get("/page", dependencies=[Depends(count)])
    @cached_view(["path"], cache=cache, name="page")
    async def page() -> str:
        return "page"

    with asking(app) as get, pytest.warns(ViewCachingWarning, match="response: Response"):
        assert told(get("/page")) == "page"


def test_key_fields_when_a_field_reads_the_request_then_the_endpoint_need_not_name_it(
    app: FastAPI, cache: Cache
) -> None:
    """A key constructor finds the request where the middleware has put it."""
    from tiercel import QueryParamsKeyField

    @app.get("/page")
    @cached_view({"page": QueryParamsKeyField("page")}, cache=cache, name="page")
    async def page() -> str:
        return "page"

    with asking(app) as get:
        hits = [get(f"/page?{each}").is_hit for each in ("page=1", "page=1&x=1", "page=2")]
    assert hits == [False, True, False]
