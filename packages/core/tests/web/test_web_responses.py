"""Which responses of cached views are kept, for whom, and how hits are answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from packages.core.tests.web.toy import Counting, Request, Response
from tiercel import (
    Cache,
    CachedResponse,
    ConfigurationError,
    cache_response,
    cached_view,
)
from tiercel.testing import SimulatedBackend, VirtualClock


def test_hit_is_an_equal_new_response(cache: Cache) -> None:
    """What one request does to its response, the next one does not see."""
    view = Counting(("Content-Type", "text/plain")).cached(cache)
    first = view(Request("/a"))
    first.headers.append(("X-Mine", "1"))
    second = view(Request("/a"))
    assert (second.body, second.status) == (b"1", 200)
    assert second.header("content-type") == "text/plain"
    assert second.header("x-mine") is None
    assert second is not view(Request("/a"))


@pytest.mark.parametrize(
    "other",
    [
        Request("/b"),
        Request("/a?x=1"),
        Request("/a", host="evil.example"),
        Request("/a", url_args={"pk": 1}),
    ],
)
def test_different_requests_have_different_entries(cache: Cache, other: Request) -> None:
    """Path, query, host and what the route took from the URL are in the default key."""
    view = Counting().cached(cache)
    assert view(Request("/a")).body != view(other).body
    assert view(Request("/a")).body == b"1"


def test_order_of_query_parameters_does_not_count(cache: Cache) -> None:
    """The same parameters in another order are the same request."""
    view = Counting().cached(cache)
    assert view(Request("/?a=1&b=2")).body == view(Request("/?b=2&a=1")).body


def test_views_never_share_entries(cache: Cache) -> None:
    """Two views, or two classes that inherit one method, answer for themselves."""

    class Base:
        word = b"base"

        @cached_view(["path"], cache=cache)
        def get(self, request: Request) -> Response:
            return Response(self.word)

    class Child(Base):
        word = b"child"

    one, other = Counting().cached(cache, name="one"), Counting().cached(cache, name="other")
    one(Request())
    assert (one(Request()).body, other(Request()).body) == (b"1", b"1")
    assert (Base().get(Request()).body, Child().get(Request()).body) == (b"base", b"child")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_reading_methods_are_cached(cache: Cache, method: str) -> None:
    """A request that changes something reaches the view each time, and fills nothing."""
    view = Counting().cached(cache)
    assert [view(Request("/", method)).body for _ in range(2)] == [b"1", b"2"]
    assert view(Request("/")).body == b"3"


def test_head_is_answered_from_get_and_never_kept(cache: Cache) -> None:
    """HEAD does not empty the entry of GET."""
    counting = Counting()
    view = counting.cached(cache)
    view(Request("/", "HEAD"))
    assert view(Request("/")).body == b"2"
    assert view(Request("/", "HEAD")).body == b""
    assert view(Request("/")).body == b"2"
    assert counting.calls == 2


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503, 206, 302])
def test_errors_are_not_kept(cache: Cache, status: int) -> None:
    """Only successful responses are kept, and permanent redirects."""
    counting = Counting(status=status)
    view = counting.cached(cache)
    assert [view(Request()).status for _ in range(2)] == [status] * 2
    assert counting.calls == 2


@pytest.mark.parametrize(
    "header",
    [
        ("Set-Cookie", "session=1"),
        ("Cache-Control", "private"),
        ("Cache-Control", "max-age=3, No-Store"),
        ("Cache-Control", "no-cache"),
        ("Vary", "*"),
    ],
)
def test_private_responses_are_not_kept(cache: Cache, header: tuple[str, str]) -> None:
    """What is for one client is passed on to that client only."""
    counting = Counting(header)
    view = counting.cached(cache)
    assert [view(Request()).body for _ in range(2)] == [b"1", b"2"]


@pytest.mark.parametrize(
    "request_", [Request(headers={"Authorization": "x"}), Request(session_used=True)]
)
def test_requests_of_somebody_are_not_kept(cache: Cache, request_: Request) -> None:
    """Credentials, or a session that was used, make a response private."""
    counting = Counting()
    view = counting.cached(cache)
    assert [view(request_).body for _ in range(2)] == [b"1", b"2"]
    assert view(Request()).body == b"3"


@pytest.mark.parametrize("key", ["namespace", "targets"])
def test_personal_keys_may_keep_private_responses(cache: Cache, key: str) -> None:
    """With the user in the key each user has entries of his own; no-store stays out."""
    options: Any = {"namespace": lambda request: request.user}
    if key == "targets":
        options = {"targets": ["path", "user"]}
    view = Counting(("Cache-Control", "private")).cached(cache, **options)
    ann, bob = (Request(user=each, session_used=True) for each in ("ann", "bob"))
    assert (view(ann).body, view(ann).body, view(bob).body) == (b"1", b"1", b"2")
    never = Counting(("Cache-Control", "no-store")).cached(cache, name="never", **options)
    assert (never(ann).body, never(ann).body) == (b"1", b"2")


def test_joined_callers_do_not_get_what_is_private(cache: Cache) -> None:
    """Two clients that ask at the same time: a cookie goes to the one it was made for."""
    together = threading.Barrier(2)

    @cached_view(cache=cache)
    def view(request: Request) -> Response:
        threading.Event().wait(0.05)
        return Response(b"", headers=[("Set-Cookie", f"for={request.user}")])

    def ask(user: str) -> str | None:
        together.wait()
        return str(view(Request(user=user)).header("set-cookie"))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, ["ann", "bob"])) == ["for=ann", "for=bob"]


def test_joined_callers_share_one_computation(cache: Cache) -> None:
    """Clients that ask for the same page at the same time cost one rendering."""
    counting, together = Counting(), threading.Barrier(4)

    @cached_view(cache=cache)
    def view(request: Request) -> Response:
        threading.Event().wait(0.05)
        return counting(request)

    def ask(_: int) -> bytes:
        together.wait()
        return bytes(view(Request()).body)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [b"1"] * 4


def test_vary_tells_requests_apart(cache: Cache) -> None:
    """A response that varies with a header is never given to a request with another value."""

    @cached_view(cache=cache)
    def view(request: Request) -> Response:
        language = request.headers.get("Accept-Language", "none")
        return Response(language.encode(), headers=[("Vary", "Accept-Language, accept-encoding")])

    for _ in range(3):
        for language in ("de", "fr"):
            headers = {"Accept-Language": language}
            assert view(Request(headers=headers)).body == language.encode()
        assert view(Request()).body == b"none"
    found = view.get_with_metadata(Request(headers={"Accept-Language": "de"}))
    assert found[1]["cache_status"] == "HIT"


def test_vary_learned_by_another_process_is_obeyed(virtual_clock: VirtualClock) -> None:
    """A process that has not seen the `Vary` yet checks what it finds in the shared tier."""
    backend = SimulatedBackend(virtual_clock)
    caches = [Cache(backend=backend, clock=virtual_clock, memory=0) for _ in range(2)]
    bodies = iter([b"de", b"de", b"fr", b"fr"])

    def view(request: Request) -> Response:
        return Response(next(bodies), headers=[("Vary", "Accept-Language")])

    one, other = (cached_view(cache=cache, name="view")(view) for cache in caches)
    german, french = (Request(headers={"Accept-Language": each}) for each in ("de", "fr"))
    assert [one(german).body for _ in range(3)] == [b"de"] * 3
    assert [other(french).body for _ in range(3)] == [b"fr"] * 3


def test_conditional_requests_are_answered_from_the_cache(cache: Cache) -> None:
    """A client that has the response already gets 304 and no body."""
    counting = Counting(("Content-Type", "text/plain"))
    view = counting.cached(cache)
    etag = view(Request()).header("etag")
    again = view(Request(headers={"If-None-Match": f'"other", {etag}'}))
    assert (again.status, again.body, again.header("etag")) == (304, b"", etag)
    assert again.header("content-type") is None
    assert view(Request(headers={"If-None-Match": '"other"'})).status == 200
    assert view(Request(headers={"If-None-Match": "*"})).status == 304
    modified = view(Request()).header("last-modified")
    assert view(Request(headers={"If-Modified-Since": modified})).status == 304
    assert view(Request(headers={"If-Modified-Since": "yesterday"})).status == 200
    assert counting.calls == 1


def test_validators_of_the_view_are_kept(cache: Cache) -> None:
    """A view that makes an ETag of its own knows better."""
    view = Counting(("ETag", 'W/"mine"')).cached(cache)
    assert view(Request()).header("etag") == 'W/"mine"'
    assert view(Request(headers={"If-None-Match": '"mine"'})).status == 304


def test_age_and_remaining_life_are_told(cache: Cache, virtual_clock: VirtualClock) -> None:
    """Downstream caches learn how old a response is, and the age until which it is fresh."""
    view = Counting().cached(cache, expiry=60)
    view(Request())
    virtual_clock.advance(20)
    response = view(Request())
    assert response.header("age") == "20"
    assert response.header("cache-control") == "max-age=60"
    assert response.header("cache-status") == "tiercel; hit; ttl=40"
    own = Counting(("Cache-Control", "max-age=5")).cached(cache, name="own")
    own(Request())
    assert own(Request()).header("cache-control") == "max-age=5"


@pytest.mark.parametrize("grace", [{"stale": 600}, {"stale_on_error": 600}])
def test_time_of_a_stale_response_is_told_to_nobody_as_fresh(
    cache: Cache, virtual_clock: VirtualClock, grace: dict[str, float]
) -> None:
    """Browsers and proxies keep a page for its ttl, not for as long as it may stand in here."""
    view = Counting().cached(cache, expiry=60, dispatcher="inline", **grace)
    assert view(Request()).header("cache-control") == "max-age=60"
    virtual_clock.advance(20)
    response = view(Request())
    assert (response.header("age"), response.header("cache-control")) == ("20", "max-age=60")
    assert response.header("cache-status") == "tiercel; hit; ttl=40"


def test_stale_response_is_told_to_be_stale(cache: Cache, virtual_clock: VirtualClock) -> None:
    """RFC 9211, section 2.3: what is left of its life is negative then."""
    view = Counting().cached(cache, expiry=60, stale=600, dispatcher="inline")
    view(Request())
    virtual_clock.advance(90)
    response = view(Request())
    assert (response.header("age"), response.header("cache-control")) == ("90", "max-age=90")
    assert response.header("cache-status") == "tiercel; hit; ttl=-30"


@pytest.mark.parametrize(("memory", "stored"), [(0, False), (10, True)])
def test_response_says_stored_only_where_a_tier_has_taken_it(
    virtual_clock: VirtualClock, memory: int, stored: bool
) -> None:
    """RFC 9211, section 2.4: not while the shared tier is away, unless memory has it."""
    backend = SimulatedBackend(virtual_clock)
    cache = Cache(backend=backend, clock=virtual_clock, memory=memory)
    view = Counting().cached(cache, status_headers=("x-cache", "cache-status"))
    backend.unreachable = True
    response = view(Request())
    assert (response.header("cache-status") or "").endswith("; stored") is stored
    assert (response.header("x-cached-at") is not None) is stored


def test_status_headers_are_chosen(cache: Cache) -> None:
    """Restflow's headers, the standard one, or none."""
    view = Counting().cached(cache, status_headers=("x-cache",))
    view(Request())
    response = view(Request())
    assert response.header("x-cache-status") == "HIT"
    assert response.header("x-cached-at")
    assert response.header("x-cache-reset-at")
    assert response.header("cache-status") is None
    restflow = cache_response(set_cache_headers=True, cache=cache)(Counting().__call__)
    assert restflow(Request()).header("x-cache-status") == "MISS"
    with pytest.raises(ConfigurationError, match="status_headers"):
        cached_view(status_headers=["x-cached"])


def test_response_may_say_how_long_it_is_kept(cache: Cache, virtual_clock: VirtualClock) -> None:
    """A view returns its response with a life of its own; 0 is not kept."""
    lives = iter([10.0, 0.0, 5.0])

    def render(request: Request) -> Any:
        life = next(lives)
        return CachedResponse(Response(b"%d" % life), life)

    view: Any = cached_view(["path"], expiry=60, cache=cache)(render)
    assert [view(Request()).body for _ in range(2)] == [b"10"] * 2
    virtual_clock.advance(11)
    assert [view(Request()).body for _ in range(3)] == [b"0", b"5", b"5"]


def test_ttl_may_depend_on_the_response(cache: Cache, virtual_clock: VirtualClock) -> None:
    """A callable ttl gets the framework's response, and predicates do."""
    counting = Counting()
    view = counting.cached(
        cache,
        ttl=lambda response: 10 if response.body == b"2" else 1,
        cache_unless=lambda response: response.body == b"1",
    )
    assert [view(Request()).body for _ in range(3)] == [b"1", b"2", b"2"]
    virtual_clock.advance(5)
    assert view(Request()).body == b"2"


def test_streams_pass_through_or_are_buffered_up_to_a_limit(cache: Cache) -> None:
    """A streamed body is neither lost nor kept, unless a limit says how much may be read."""

    def chunks() -> Iterator[bytes]:
        yield b"ab"
        yield b"cd"

    def view(request: Request) -> Response:
        return Response(chunks())

    passed = cached_view(cache=cache, name="passed")(view)
    assert [b"".join(passed(Request()).body) for _ in range(2)] == [b"abcd"] * 2
    for limit, status in ((4, "HIT"), (3, "MISS")):
        buffered = cached_view(cache=cache, buffer=limit, name=f"to-{limit}")(view)
        assert buffered(Request()).body == b"abcd"
        response, metadata = buffered.get_with_metadata(Request())
        assert (response.body, metadata["cache_status"]) == (b"abcd", status)
