"""What decides which entry answers a request, and the options of cached views."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from packages.core.tests.web.toy import Counting, Request, Response
from tiercel import (
    Cache,
    InMemoryCache,
    KeyConstructor,
    SkipViewCaching,
    ViewCachingError,
    ViewCachingWarning,
    cached_view,
)
from tiercel.keys.fields import ArgsKeyField
from tiercel.keys.request_fields import CookieKeyField, HeaderKeyField
from tiercel.testing import DictBackend, SimulatedBackend


def test_namespace_is_dropped_as_a_whole(cache: Cache) -> None:
    """One write ends everything that one user was shown; others keep theirs."""
    view = Counting().cached(cache, ["path"], namespace=lambda request: request.cookies.get("s"))
    ann, bob = (Request(cookies={"s": each}) for each in ("ann", "bob"))
    for request in (ann, Request("/b", cookies={"s": "ann"}), bob):
        view(request)
    view.drop_namespace("ann")
    assert (view(ann).body, view(bob).body) == (b"4", b"3")


@pytest.mark.parametrize("how", ["attribute", "namespace", "target"])
def test_request_can_be_skipped(cache: Cache, how: str) -> None:
    """Nothing is read or stored for a request that says so, or whose target says so."""

    def refuse(*_: Any) -> Any:
        raise SkipViewCaching

    options: Any = {
        "attribute": {"skip_cache_attr": "debug_skip"},
        "namespace": {"namespace": refuse},
        "target": {"targets": {refuse: None}},
    }[how]
    view = Counting().cached(cache, **options)
    request = Request()
    request.debug_skip = True  # type: ignore[attr-defined]
    assert [view(request).body for _ in range(2)] == [b"1", b"2"]


def test_many_requests_are_answered_as_each_alone(cache: Cache) -> None:
    """With new responses, a 304 for who has it, and nothing kept of what must not be."""
    view = Counting().cached(cache)
    first = view(Request("/a"))
    known = Request("/a", headers={"If-None-Match": str(first.header("etag"))})
    posted = Request("/a", method="POST")
    answers = view.many([Request("/a"), known, posted, posted, (Request("/b"),)])
    assert [each.body for each in answers] == [b"1", b"", b"2", b"3", b"4"]
    assert [each.status for each in answers] == [200, 304, 200, 200, 200]
    assert answers[0].header("age") == "0"


def test_targets_of_every_kind_decide_the_entry(cache: Cache) -> None:
    """Attributes, what they return when called, and callables with formatted arguments."""

    class Shop(Request):
        def currency(self, default: str) -> str:
            return self.headers.get("X-Currency", default)

    def length(text: str, *, unit: int = 1) -> int:
        return len(text) * unit

    def mtime(request: Request, name: str) -> int:
        return len(name) + len(request.target)

    counting = Counting()

    @cached_view(
        {
            "method": None,
            "user.id": {},
            "currency": {"args": ("eur",)},
            length: {"args": "{request.path}", "kwargs": {"unit": 2}},
            mtime: {"args": None},
        },
        cache=cache,
    )
    def view(request: Request, name: str) -> Response:
        return counting(request)

    ann = SimpleNamespace(id=1)
    first = view(Shop("/ab", user=ann), "x").body
    assert view(Shop("/cd", user=SimpleNamespace(id=1)), "y").body == first
    for request, name in (
        (Shop("/abc", user=ann), "x"),
        (Shop("/ab", user=SimpleNamespace(id=2)), "x"),
        (Shop("/ab", user=ann, headers={"X-Currency": "usd"}), "x"),
        (Shop("/ab", user=ann), "xy"),
    ):
        assert view(request, name).body != first


async def test_coroutine_views_await_their_targets(cache: Cache) -> None:
    """Targets, namespaces and hooks of a coroutine view may be coroutine functions."""
    calls, seen = [], []

    async def tenant(request: Request) -> str:
        await asyncio.sleep(0)
        return request.host

    async def hook(request: Request, response: Response) -> None:
        seen.append((request.target, response.body))

    @cached_view({tenant: None}, namespace=tenant, on_cache_result=hook, cache=cache)
    async def view(request: Request) -> Response:
        calls.append(request.host)
        return Response(b"%d" % len(calls))

    assert [(await view(Request("/a"))).body for _ in range(2)] == [b"1"] * 2
    assert (await view(Request("/a", host="other"))).body == b"2"
    assert seen == [("/a", b"1")]
    await view.adrop_namespace("example.com")
    assert (await view(Request("/a"))).body == b"3"


@pytest.mark.parametrize(
    "targets",
    [
        ["user.__class__"],
        ["_private"],
        ["path.replace('a','b')"],
        {"path": {"args": ("{request.user.__class__.__mro__}",)}},
        {"path": {"args": ("{request.user!r}",)}},
        {"path": {"args": ("{request.user[0]}",)}},
        {"path": {"args": ("{settings.SECRET_KEY}",)}},
        {"path": {"kwargs": {"x": "{0}"}}},
        {"path": {"arguments": ()}},
        {"path": {"args": 3}},
        {"path": 3},
        [],
        {},
        "path",
        [3],
    ],
)
def test_targets_that_cannot_work_are_refused(targets: Any) -> None:
    """Nothing private is reached by a format string, and mistakes show at decoration."""
    with pytest.raises(ViewCachingError):
        cached_view(targets)(lambda request: None)


def test_view_decorated_without_parentheses_is_an_error_at_once() -> None:
    """Not at the first request, where nothing would tell why."""
    with pytest.raises(
        ViewCachingError, match=r"whole.* the decorator is called: @cached_view\(\)"
    ):
        cached_view(whole)


def whole(request: Any) -> None:
    """A view."""


def test_target_that_fails_says_which(cache: Cache) -> None:
    """An attribute that a request lacks is named, with the view."""
    view = Counting().cached(cache, ["nonsense"])
    with pytest.raises(ViewCachingError, match=r"view.*'nonsense'.*AttributeError"):
        view(Request())


def test_key_constructors_are_targets_too(cache: Cache) -> None:
    """Any key constructor, or dict of key fields, says what decides the entry."""

    class Key(KeyConstructor):
        language = HeaderKeyField("Accept-Language")
        number = ArgsKeyField("number", partition=True)

    counting = Counting()

    @cached_view(Key, cache=cache)
    def view(request: Request, number: int) -> Response:
        return counting(request)

    assert view(Request("/a"), 1).body == view(Request("/b"), 1).body
    assert view(Request(), 2).body != view(Request(), 1).body
    assert view(Request(headers={"accept-language": "de"}), 1).body == b"3"
    view.delete_by_prefix(number=1)
    assert (view(Request(), 1).body, view(Request(), 2).body) == (b"4", b"2")
    by_cookie = Counting().cached(cache, {"theme": CookieKeyField("theme")}, name="by-cookie")
    assert by_cookie(Request()).body != by_cookie(Request(cookies={"theme": "dark"})).body


def test_methods_of_cached_functions_work_on_views(cache: Cache) -> None:
    """Refreshing, looking and deleting take the request that a call takes."""
    view: Any = Counting().cached(cache)
    view(Request())
    assert view.refresh(Request()).body == b"2"
    assert view.get_cache_only(Request()).body == b"2"
    assert view.get_cached_metadata(Request())["cache_status"] == "REFRESH"
    assert view.delete_cache(Request()) is True
    assert view.bypass_cache(Request()).body == b"3"
    assert view(Request()).body == b"4"
    view.invalidate_all()
    assert view(Request()).body == b"5"


def test_view_that_raises_what_is_cached_raises_it_from_refresh_too(cache: Cache) -> None:
    """An exception is no response, whichever way the view is asked."""

    @cached_view(["path"], cache=cache, cache_exceptions=LookupError)
    def view(request: Request) -> Response:
        raise LookupError("no such page")

    for ask in (view, view, view.refresh, view):
        with pytest.raises(LookupError, match="no such page"):
            ask(Request())


def test_no_cache_of_a_request_is_obeyed_by_choice(cache: Cache) -> None:
    """A forced reload computes anew where the view says that clients may ask for it."""
    request = Request(headers={"Cache-Control": "no-cache"})
    for obeys, bodies in ((False, [b"1", b"1"]), (True, [b"1", b"2"])):
        view = Counting().cached(cache, obey_no_cache=obeys, name=f"obeys-{obeys}")
        assert [view(request).body for _ in range(2)] == bodies


def test_results_that_are_no_responses_are_copied() -> None:
    """A stateful result is never shared between requests by accident, and a warning says so."""

    class Component:
        def __init__(self) -> None:
            self.clicks: list[int] = []

    cache = Cache()

    @cached_view(["path"], cache=cache, name="copied")
    def copied(request: Request) -> Component:
        return Component()

    with pytest.warns(ViewCachingWarning, match="copied returned a Component"):
        copied(Request()).clicks.append(1)
    one, other = copied(Request()), copied(Request())
    assert one is not other
    other.clicks.append(2)
    assert copied(Request()).clicks == [1]

    @cached_view(["path"], cache=cache, returns_static_response=True, name="shared")
    def shared(request: Request) -> Component:
        return Component()

    assert shared(Request()) is shared(Request())
    rehydrated: list[Component] = []

    @cached_view(["path"], cache=cache, on_cache_result=rehydrated.append, name="hooked")
    def hooked(request: Request) -> Component:
        return Component()

    hooked(Request())
    assert rehydrated == []
    assert hooked(Request()) is rehydrated[0]


@pytest.mark.parametrize("backend", [DictBackend(), SimulatedBackend()])
def test_any_object_with_get_and_set_is_a_backend(backend: Any) -> None:
    """Views with one backend object share a cache; an object that lacks a method is refused."""
    view = cached_view(["path"], None, backend, name="with-backend")(Counting().__call__)
    assert [view(Request()).body for _ in range(2)] == [b"1"] * 2
    with pytest.raises(ViewCachingError, match="has no set"):
        cached_view(["path"], cache_backend=SimpleNamespace(get=print))


def test_cache_in_memory_is_a_backend() -> None:
    """Duck's cache: bounded, without expiry unless asked, with `pop`."""
    cache = InMemoryCache(maxkeys=2048)
    view = cached_view(["path"], cache_backend=cache)(Counting().__call__)
    assert [view(Request()).body for _ in range(2)] == [b"1"] * 2
    cache.set("answer", 42)
    assert (cache.has("answer"), cache.pop("answer"), cache.pop("answer", None)) == (True, 42, None)
    with pytest.raises(KeyError):
        cache.pop("answer")


def test_absent_attribute_is_not_a_value(cache: Cache) -> None:
    """A namespace that is None, or empty, is no namespace."""
    view = Counting().cached(cache, namespace=lambda request: request.user)
    assert view(Request()).body == view(Request(user="")).body


def test_view_without_a_request_says_so(cache: Cache) -> None:
    """Asking for an entry without the request that it would answer is an error that says why."""
    view: Any = Counting().cached(cache)
    with pytest.raises(TypeError):
        view.delete_cache()
