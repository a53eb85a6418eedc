"""What endpoints are called with tells entries apart, whatever type it has."""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query
from fastapi.security import APIKeyQuery
from pydantic import AliasChoices, BaseModel, ByteSize, HttpUrl, PrivateAttr, SecretStr

from packages.integrations.asgi.tests.asgi_asking import asking, told
from tiercel import Cache, UnkeyableValue, cached_view
from tiercel.testing.clients import AsgiClient

JSON = [("Content-Type", "application/json")]
BODY = b'{"url": "http://NAME", "address": "10.0.0.1"}'


class Filter(BaseModel):
    address: IPv4Address | None = None
    _made: object = PrivateAttr(default_factory=object)


class Known(BaseModel):
    url: HttpUrl
    address: IPv4Address


class Wanted(Known):
    _made: object = PrivateAttr(default_factory=object)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (datetime, ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00%2B02:00")),
        (HttpUrl, ("http://a", "http://b")),
        (IPv4Address, ("10.0.0.1", "10.0.0.2")),
        (Path, ("a", "b")),
        (Fraction, ("1/2", "1/3")),
        (ByteSize, ("1kB", "2kB")),
        (SecretStr, ("a", "b")),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_query_when_parameters_have_types_of_their_own_then_entries_differ(
    app: FastAPI, cache: Cache, kind: Any, texts: tuple[str, str]
) -> None:
    """They need not be values that keys know."""
    asked: list[object] = []

    @app.get("/found")
    @cached_view(["path"], cache=cache, name="found")
    async def found(wanted: kind) -> int:  # pyright: ignore[reportInvalidTypeForm]
        asked.append(wanted)
        return len(asked)

    with asking(app) as get:
        replies = [get(f"/found?wanted={text}&from=mail") for text in (*texts, *texts)]
        again = get(f"/found?wanted={texts[0]}&from=friend")
    assert [told(each) for each in replies] == [1, 2, 1, 2]
    assert again.is_hit


@pytest.mark.parametrize("name", ["address", "with"])
def test_query_when_a_model_holds_what_keys_do_not_know_then_all_of_it_counts(
    app: FastAPI, cache: Cache, name: str
) -> None:
    """The same where a parameter has several names."""

    @app.get("/model")
    @cached_view(["path"], cache=cache, name="model")
    async def model(wanted: Annotated[Filter, Query()]) -> str:
        return str(wanted.address)

    @app.get("/names")
    @cached_view(["path"], cache=cache, name="names")
    async def names(
        wanted: Annotated[HttpUrl, Query(validation_alias=AliasChoices("address", "with"))],
    ) -> str:
        return str(wanted)

    with asking(app) as get:
        models = [told(get(f"/model?address=10.0.0.{each}")) for each in (1, 2)]
        urls = [told(get(f"/names?{name}=http://{each}")) for each in "ab"]
    assert models == ["10.0.0.1", "10.0.0.2"]
    assert urls == ["http://a/", "http://b/"]


class Page:
    """What FastAPI makes by the signature of its class."""

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit


def _page_of(key: Annotated[str, Depends(APIKeyQuery(name="limit"))]) -> Page:
    return Page(int(key))


def _below(page: Annotated[Page, Depends()]) -> Page:
    return page


@pytest.mark.parametrize("make", [Page, _page_of, _below])
def test_query_when_a_dependency_makes_an_object_of_it_then_entries_differ(
    app: FastAPI, cache: Cache, make: Callable[..., Page]
) -> None:
    """What such a thing is made of counts, as it cannot itself."""

    @app.get("/listed")
    @cached_view(["path"], cache=cache, name="listed")
    async def listed(page: Annotated[Page, Depends(make)]) -> int:
        return page.limit

    with asking(app) as get:
        limits = [told(get(f"/listed?limit={each}")) for each in (1, 2, 1)]
        hit = get("/listed?limit=2&from=mail")
    assert limits == [1, 2, 1]
    assert hit.is_hit


def test_query_when_a_dependency_of_the_route_reads_it_then_entries_differ(
    app: FastAPI, cache: Cache
) -> None:
    """The endpoint gets nothing of it, and may yet ask a context variable."""
    current = ContextVar("current", default="")

    async def tenant(name: str) -> None:
        current.set(name)

    @app.get("/home", dependencies=[Depends(tenant)])
    @cached_view(["path"], cache=cache, name="home")
    async def home() -> str:
        return current.get()

    with asking(app) as get:
        assert [told(get(f"/home?name={each}")) for each in ("a", "b", "a")] == ["a", "b", "a"]


def test_body_when_it_is_no_value_then_the_call_is_refused(app: FastAPI, cache: Cache) -> None:
    """Nobody gets what another has asked for: no entry can tell the two apart."""

    @app.post("/refused")
    @cached_view(["path"], methods=["POST"], cache=cache, name="refused")
    async def refused(wanted: Wanted) -> str:
        return str(wanted.url)

    @app.post("/kept")
    @cached_view(["path"], methods=["POST"], cache=cache, name="kept")
    async def kept(wanted: Known) -> str:
        return str(wanted.url)

    with AsgiClient(app) as client:
        for name in "ab":
            body = BODY.replace(b"NAME", name.encode())
            reply = client.send("/kept", "POST", JSON, body)
            assert told(reply) == f"http://{name}/"
        with pytest.raises(UnkeyableValue, match="of refused cannot be part of a key"):
            client.send("/refused", "POST", JSON, BODY)
