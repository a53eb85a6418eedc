"""The short way to a page that was asked for before: the same answers, by fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from packages.core.tests.web.toy import Counting, QuickRequest, Request, Response, ToyFramework
from tiercel import Cache, cached_view, disabled
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.web import shortcut


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, _framework: None) -> None:
    monkeypatch.setattr(ToyFramework, "wrapper", QuickRequest)


def keys_built(view: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count how often a view builds a key."""
    plan = view.cached_function.plan
    built: list[Any] = []

    def key(*args: Any, **kwargs: Any) -> Any:
        built.append(args)
        return plan.key(*args, **kwargs)

    counting = type(plan)(**{**{name: getattr(plan, name) for name in plan.__slots__}, "key": key})
    monkeypatch.setattr(view.cached_function, "plan", counting)
    return lambda: len(built)


def test_key_when_a_request_comes_again_then_it_is_not_built(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the third request on the fingerprint is enough, in every kind of cache."""
    view = Counting().cached(cache)
    for _ in range(2):
        view(Request("/a"))
    built = keys_built(view, monkeypatch)
    assert [view(Request("/a")).body for _ in range(3)] == [b"1"] * 3
    assert built() == 0
    assert view(Request("/b")).body == b"2"
    assert built() > 0


def test_page_when_it_is_dropped_then_the_short_way_does_not_serve_it(cache: Cache) -> None:
    """Drops of one entry, of a namespace and of everything are seen at once."""
    view = Counting().cached(cache, namespace="shop")
    for drop in (
        view.invalidate_all,
        lambda: view.drop_namespace("shop"),
        lambda: view.delete_cache(Request("/a")),
    ):
        before = [view(Request("/a")).body for _ in range(3)]
        drop()
        assert view(Request("/a")).body not in before


def test_page_when_it_ends_then_the_short_way_does_not_serve_it(
    cache: Cache, virtual_clock: VirtualClock
) -> None:
    """Age and remaining life are those of the moment, until there is no life left."""
    view = Counting().cached(cache, expiry=60)
    for seconds in (0, 0, 0, 20, 0, 39.5):
        virtual_clock.advance(seconds)
        answer = view(Request())
    assert (answer.body, answer.header("age"), answer.header("cache-control")) == (
        b"1",
        "59",
        "max-age=59",
    )
    virtual_clock.advance(1)
    assert view(Request()).body == b"2"


def test_requests_when_they_differ_in_what_nobody_sees_then_they_are_told_apart(
    cache: Cache,
) -> None:
    """Headers that a response varies with, or that lead astray, and credentials count."""
    view = Counting(("Vary", "X-Flavour")).cached(cache)
    others = [
        Request(headers={"X-Flavour": "mint"}),
        Request(headers={"X-Forwarded-Host": "evil.example"}),
        Request(headers={"Authorization": "Basic x"}),
        Request(url_args={"pk": 1}),
        Request("/", "POST"),
    ]
    plain = [view(Request()).body for _ in range(4)][-1]
    assert all(view(other).body != plain for other in others)
    assert view(Request()).body == plain


def test_conditional_request_when_the_page_is_known_then_it_still_gets_304(cache: Cache) -> None:
    """And what it got is not given to those who did not ask so."""
    view = Counting().cached(cache)
    etag = [view(Request()).header("etag") for _ in range(3)][-1]
    for _ in range(3):
        assert view(Request(headers={"If-None-Match": etag})).status == 304
        assert view(Request("/", "HEAD")).body == b""
        assert view(Request()).status == 200


def test_classes_when_they_inherit_one_method_then_they_answer_for_themselves(
    cache: Cache,
) -> None:
    """The class is no part of what a request says."""

    class Base:
        word = b"base"

        @cached_view(cache=cache)
        def get(self, request: Request) -> Response:
            return Response(self.word)

    class Child(Base):
        word = b"child"

    for _ in range(4):
        assert (Base().get(Request()).body, Child().get(Request()).body) == (b"base", b"child")


def test_request_when_it_says_skip_then_the_short_way_is_not_taken(cache: Cache) -> None:
    """Neither by an attribute, nor while caching is off."""
    view = Counting().cached(cache)
    for _ in range(3):
        view(Request())
    skipping = Request()
    skipping.skip_cache = True  # type: ignore[attr-defined]
    assert view(skipping).body == b"2"
    with disabled():
        assert view(Request()).body == b"3"
    assert view(Request()).body == b"1"


@pytest.mark.parametrize("headers", [("x-cache",), ("cache-status",), ("x-cache", "cache-status")])
def test_page_when_it_is_kept_anew_with_the_same_headers_then_it_says_of_itself_when(
    cache: Cache, virtual_clock: VirtualClock, headers: tuple[str, ...]
) -> None:
    """What was added to the headers of the page before is not added to those of this one."""
    same = (("ETag", '"same"'), ("Last-Modified", "Tue, 03 Nov 2026 10:00:00 GMT"))
    view = Counting(*same).cached(cache, expiry=600, status_headers=headers)
    kept = []
    for seconds in (0, 100, 1000):
        virtual_clock.advance(seconds)
        view.invalidate_all()
        answers = [view(Request()) for _ in range(5)]
        assert len({answer.body for answer in answers}) == 1
        assert len({tuple(answer.headers) for answer in answers[1:]}) == 1
        kept.append((answers[-1].body, answers[-1].header("x-cached-at")))
    dated = "x-cache" in headers
    assert [body for body, _ in kept] == [b"1", b"2", b"3"]
    assert len({moment for _, moment in kept}) == (3 if dated else 1)


def test_fingerprints_when_there_are_many_then_few_are_remembered(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that asks for ever new pages fills nothing up."""
    monkeypatch.setattr(shortcut, "MAX_KNOWN", 10)
    view = Counting().cached(cache)
    for number in range(50):
        for _ in range(2):
            view(Request(f"/{number}"))
    assert len(view.cached_function._shortcut._known) <= 10
    assert view(Request("/3")).body == b"4"


def test_page_when_another_process_drops_it_then_the_short_way_does_not_serve_it(
    virtual_clock: VirtualClock,
) -> None:
    """The shared tier is asked where memory is not known to be current."""
    backend = SimulatedBackend(virtual_clock)
    one, other = (Cache(backend=backend, clock=virtual_clock, name="views") for _ in range(2))
    counting = Counting()

    def view(request: Request) -> Response:
        return counting(request)

    here, there = (cached_view(cache=cache, name="view")(view) for cache in (one, other))
    assert [here(Request()).body for _ in range(4)] == [b"1"] * 4
    there.invalidate_all()
    virtual_clock.advance(5)
    assert here(Request()).body == b"2"
    one.close()
    other.close()
