"""The short way to a page in the shared tier: one read, and whatever comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from packages.core.tests.web.toy import Counting, QuickRequest, Request, Response, ToyFramework
from tiercel import Cache, cached_view
from tiercel.contracts.backend import Read
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.web.asking import ViewOptions


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, _framework: None) -> None:
    monkeypatch.setattr(ToyFramework, "wrapper", QuickRequest)


@pytest.fixture
def backend(virtual_clock: VirtualClock) -> SimulatedBackend:
    """The shared tier."""
    return SimulatedBackend(virtual_clock)


@pytest.fixture
def cache(backend: SimulatedBackend, virtual_clock: VirtualClock) -> Iterator[Cache]:
    """A cache that has no memory."""
    cache = Cache(backend=backend, memory=0, clock=virtual_clock, name="views-shared")
    yield cache
    cache.close()


def asked(backend: SimulatedBackend) -> list[Any]:
    """Return what the shared tier was asked since the last time."""
    commands = list(backend.commands)
    backend.commands.clear()
    return commands


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that were judged at length, as those are of which nothing is known."""
    found: list[Any] = []
    refuses = ViewOptions.refuses

    def noting(self: ViewOptions, request: Any, somebody: bool) -> bool:
        found.append(request)
        return refuses(self, request, somebody)

    monkeypatch.setattr(ViewOptions, "refuses", noting)
    return found


def test_hit_when_the_request_is_known_then_it_costs_one_read(
    cache: Cache, backend: SimulatedBackend, refusals: list[Any]
) -> None:
    """And nothing is found out again that the fingerprint has in it."""
    view = Counting().cached(cache)
    for _ in range(2):
        view(Request("/a"))
    asked(backend)
    refusals.clear()
    assert [view(Request("/a")).body for _ in range(3)] == [b"1"] * 3
    assert [type(each) for each in asked(backend)] == [Read] * 3
    assert refusals == []


def test_page_when_it_was_dropped_then_a_known_request_fills_it_under_the_same_key(
    cache: Cache, backend: SimulatedBackend
) -> None:
    """It is looked for once; what the view returns answers the next request."""
    view = Counting().cached(cache)
    for _ in range(3):
        view(Request("/a"))
    view.delete_cache(Request("/a"))
    asked(backend)
    assert view(Request("/a")).body == b"2"
    assert sum(type(each) is Read for each in asked(backend)) == 1
    assert view(Request("/a")).body == b"2"
    assert view.get_cache_only(Request("/a")).body == b"2"


def test_page_when_it_begins_to_vary_then_a_known_request_is_asked_about_anew(
    cache: Cache,
) -> None:
    """What was kept for one flavour answers nobody who wants another."""
    headers: list[tuple[str, str]] = []
    bodies = iter(range(100))

    @cached_view(cache=cache)
    def view(request: Request) -> Response:
        return Response(b"%d" % next(bodies), 200, list(headers))

    def tasting(flavour: str) -> bytes:
        return bytes(view(Request(headers={"X-Flavour": flavour})).body)

    assert {tasting("mint") for _ in range(3)} == {b"0"}
    headers.append(("Vary", "X-Flavour"))
    view.invalidate_all()
    tasting("mint")
    mint, lemon = ({tasting(flavour) for _ in range(4)} for flavour in ("mint", "lemon"))
    assert len(mint) == len(lemon) == 1
    assert mint != lemon


def test_result_when_it_is_no_response_then_it_is_read_once_and_copied(
    cache: Cache, backend: SimulatedBackend
) -> None:
    """The short way is for responses."""

    @cached_view(cache=cache)
    def view(request: Request) -> list[int]:
        return [1]

    for _ in range(3):
        view(Request()).append(2)
    asked(backend)
    assert view(Request()) == [1]
    assert [type(each) for each in asked(backend)] == [Read]


def test_response_when_it_may_not_be_kept_any_more_then_each_known_request_gets_its_own(
    cache: Cache,
) -> None:
    """One that sets a cookie is for whoever asked."""
    counting = Counting()
    view = counting.cached(cache)
    for _ in range(3):
        view(Request())
    counting.headers = (("Set-Cookie", "a=b"),)
    view.invalidate_all()
    assert [view(Request()).body for _ in range(3)] == [b"2", b"3", b"4"]
    counting.headers = ()
    assert [view(Request()).body for _ in range(3)] == [b"5"] * 3
