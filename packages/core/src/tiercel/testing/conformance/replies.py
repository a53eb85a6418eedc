"""What is kept of responses, and what a hit answers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, MutableMapping, MutableSequence, MutableSet
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from tiercel.contracts.web import WebFramework
from tiercel.doors.view import cached_view
from tiercel.errors import SkipViewCaching
from tiercel.testing.attacks.row import Ask, ask, in_turn
from tiercel.testing.pages import Answer, Client, Reply, text

if TYPE_CHECKING:
    from tiercel.caches import Cache
    from tiercel.contracts.web import WebRequest

_OF_THE_CACHE = {"age", "cache-control", "cache-status", "date", "etag", "last-modified", "server"}

_LATIN = "text/x; charset=latin1"
_EPOCH = "Sat, 01 Jan 2000 00:00:00 GMT"

SHAPES = {
    "text": text("plain"),
    "no body": Answer(status=204, headers=()),
    "empty body": text(""),
    "bytes": Answer(bytes(range(256)), headers=(("Content-Type", "application/octet-stream"),)),
    "unicode": text("grün, 日本, \U0001f600"),
    "latin": Answer("grün".encode("latin-1"), headers=(("Content-Type", _LATIN),)),
    "redirect": text("", ("Location", "/elsewhere?a=1"), status=301),
    "rare status": text("choose", status=300),
    "order": text("body", ("X-B", "2"), ("X-A", "1"), ("X-C", "3")),
    "duplicates": text("body", ("Link", "</a>; rel=next"), ("Link", "</b>; rel=prev")),
    "empty header": text("body", ("X-Empty", "")),
    "own validators": text("body", ("ETag", 'W/"1"'), ("Last-Modified", _EPOCH)),
    "language": text("hallo", ("Content-Language", "de"), ("Vary", "Accept-Language")),
    "large": Answer(b"x" * 300_000),
}


UNLIKE: dict[str, tuple[Ask, Ask]] = {
    "path": (ask("/item/a"), ask("/item/b")),
    "query": (ask("/item/a?n=1"), ask("/item/a?n=2")),
    "repeated parameter": (ask("/item/a?n=1&n=2"), ask("/item/a?n=1&n=3")),
    "host": (ask("/item/a"), ask("/item/a", Host="other.example")),
    "what it varies with": (ask("/item/a", Accept_Language="de"), ask("/item/a")),
    "what may steer": (ask("/item/a"), ask("/item/a", X_Forwarded_Host="evil.example")),
    "method": (ask("/item/a"), ask("/item/a", method="POST")),
    "credentials": (ask("/item/a"), ask("/item/a", Authorization="Basic eDp5")),
}


def essence(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a hit must have in common with the response that was kept."""
    kept = [(name.lower(), value) for name, value in reply.headers]
    return reply.status, [each for each in kept if each[0] not in _OF_THE_CACHE], reply.body


class ReplyTests:
    """Needs `serve_one`, `web` and the fixture `cache` of `IntegrationConformance`."""

    if TYPE_CHECKING:
        serve_one: Callable[..., AbstractContextManager[Client]]

        @property
        def web(self) -> WebFramework: ...

    @pytest.mark.parametrize("shape", SHAPES)
    def test_hit_equals_what_was_kept(self, shape: str, cache: Cache) -> None:
        """Status, headers in their order, duplicates and every byte survive either tier."""
        with self.serve_one(_turns(SHAPES[shape], text("another"))) as client:
            plain = client.get()
        answers = (SHAPES[shape], SHAPES[shape], text("another"))
        with self.serve_one(_turns(*answers), cache) as client:
            # The second may be needed to learn what responses vary with.
            first, _, hit = client.get(), client.get(), client.get()
        assert essence(first) == essence(plain), "the response that is kept has changed"
        assert essence(hit) == essence(plain)
        assert (first.is_hit, hit.is_hit) == (False, True)

    def test_hit_is_a_new_response(self, cache: Cache) -> None:
        """What is done to one response is not seen in another."""
        results: list[Any] = []

        def decorate(view: Any) -> Any:
            return _noting(cached_view(cache=cache, name="page")(view), results)

        with self.serve_one(lambda request, body: text("seen"), decorate=decorate) as client:
            for _ in range(3):
                assert client.get().body == b"seen"
        assert len({id(each) for each in results}) == 3
        assert all(self.web.is_response(each) for each in results)
        assert _changeable(results[1]).keys().isdisjoint(_changeable(results[2]))

    def test_response_is_told_from_what_is_none(self) -> None:
        """What the framework would not send is not kept as if it could be."""
        assert not any(self.web.is_response(each) for each in (None, object(), WebFramework))

    def test_head_is_answered_from_get(self, cache: Cache) -> None:
        """With the headers, the length included, and without a body."""
        with self.serve_one(_turns(text("12345"), text("other")), cache) as client:
            page, head = client.get(), client.send("/page", "HEAD")
        assert (head.status, head.body, head.is_hit) == (200, b"", True)
        assert head.header("etag") == page.header("etag")
        assert head.header("content-length") in ("5", None)

    def test_client_that_has_it_gets_304(self, cache: Cache) -> None:
        """By the entity tag, strong or weak or any, or else by the date."""
        with self.serve_one(_turns(text("page"), text("other")), cache) as client:
            first = client.get()
            tag, date = first.header("etag"), first.header("last-modified")
            assert tag is not None
            assert date is not None
            conditions: list[dict[str, str]] = [
                {"If_None_Match": tag},
                {"If_None_Match": f'"x", W/{tag}'},
                {"If_None_Match": "*"},
                {"If_Modified_Since": date},
            ]
            for each in conditions:
                unchanged = client.get(**each)
                assert (unchanged.status, unchanged.body) == (304, b"")
                assert unchanged.header("etag") == tag
            changed = client.get(If_None_Match='"x"', If_Modified_Since=date)
            assert (changed.status, changed.body) == (200, b"page")

    def test_stream_passes_through_and_is_whole(self, cache: Cache) -> None:
        """A streamed body is sent as it comes, each time anew."""
        answers = (Answer(chunks=(b"one ", b"two ")), Answer(chunks=(b"three",)))
        with self.serve_one(_turns(*answers), cache) as client:
            assert [client.get().body for _ in range(2)] == [b"one two ", b"three"]

    def test_stream_is_kept_up_to_the_limit(self, cache: Cache) -> None:
        """And one that is longer is sent whole, although a part of it was read."""
        answers = (Answer(chunks=(b"one ", b"two ")), Answer(chunks=(b"three",)))
        for limit, bodies in ((8, [b"one two ", b"one two "]), (7, [b"one two ", b"three"])):
            options = {"buffer": limit, "name": f"buffer-{limit}"}
            with self.serve_one(_turns(*answers), cache, **options) as client:
                assert [client.get().body for _ in range(2)] == bodies

    def test_error_is_not_kept(self, cache: Cache) -> None:
        """A view that raised is called again."""
        calls: list[int] = []

        def answer(request: WebRequest, body: bytes) -> Answer:
            calls.append(1)
            if len(calls) == 1:
                raise LookupError("on purpose")
            return text("fine")

        with self.serve_one(answer, cache) as client:
            assert client.get().status == 500
            assert client.get().body == b"fine"

    def test_query_and_host_decide_unless_targets_say_otherwise(self, cache: Cache) -> None:
        """By default each URL has an entry of its own; with targets, what they say."""
        targets = ("/page?a=1", "/page?a=2", "/page?a=1")
        counts = {None: [b"1", b"2", b"1"], ("path",): [b"1", b"1", b"1"]}
        for chosen, bodies in counts.items():
            options = {"targets": chosen, "name": f"view-{chosen}"}
            with self.serve_one(_counting(), cache, **options) as client:
                assert [client.send(each).body for each in targets] == bodies

    @pytest.mark.parametrize("pair", UNLIKE)
    def test_requests_are_told_apart_however_often_one_was_asked(
        self, pair: str, cache: Cache
    ) -> None:
        """Also where hits take a shorter way, because one of them is known by now."""
        one, other = UNLIKE[pair]
        with self.serve_one(_echo, cache, route="/item/{name}") as client:
            known = [one.send(client) for _ in range(4)]
            assert known[-1].is_hit
            assert {each.body for each in known} == {known[0].body}
            for _ in range(3):
                assert other.send(client).body != known[0].body
                assert one.send(client).body == known[0].body

    def test_namespace_keeps_users_apart_and_is_dropped_as_a_whole(self, cache: Cache) -> None:
        """One write ends everything that one user was shown."""
        made: list[Any] = []

        def decorate(view: Any) -> Any:
            namespaced = cached_view(["path"], namespace=_user, cache=cache, name="page")
            made.append(namespaced(view))
            return made[-1]

        with self.serve_one(_counting(), decorate=decorate) as client:
            asked = [client.get(X_User=each).body for each in ("ann", "bob", "ann")]
            assert asked == [b"1", b"2", b"1"]
            _drop_namespace(made[0], "ann")
            asked = [client.get(X_User=each).body for each in ("ann", "bob")]
            assert asked == [b"3", b"2"]

    def test_target_may_skip_the_cache(self, cache: Cache) -> None:
        """Nothing is read or kept for a request whose target says so."""

        def choose(request: Any) -> str:
            if request.headers.get("X-Preview"):
                raise SkipViewCaching
            return "always"

        options: dict[str, Any] = {"namespace": choose, "targets": ["path"]}
        with self.serve_one(_counting(), cache, **options) as client:
            assert client.get().body == b"1"
            assert [client.get(X_Preview="1").body for _ in range(2)] == [b"2", b"3"]
            assert client.get().body == b"1"


def _echo(request: WebRequest, body: bytes) -> Answer:
    """Say all that tells one request from another."""
    names = ("accept-language", "x-forwarded-host", "authorization")
    said = [request.header(each) for each in names]
    seen = (request.method, request.host, request.fullpath, said)
    return text(seen, ("Vary", "Accept-Language"))


def _turns(*answers: Answer) -> Callable[[WebRequest, bytes], Answer]:
    return in_turn(*answers)()


def _user(request: Any) -> Any:
    return request.headers.get("X-User")


def _drop_namespace(view: Any, value: str) -> None:
    cached = view.cached_function
    if cached.asynchronous:
        asyncio.run(cached.adrop_namespace(value))
    else:
        cached.drop_namespace(value)


def _counting() -> Callable[[WebRequest, bytes], Answer]:
    calls: list[int] = []

    def answer(request: WebRequest, body: bytes) -> Answer:
        calls.append(1)
        return text(len(calls))

    return answer


def _changeable(response: Any) -> dict[int, Any]:
    """Return the containers that a response has for itself, by their identity."""
    kinds = (MutableMapping, MutableSequence, MutableSet)
    held = getattr(response, "__dict__", {}).values()
    return {id(each): each for each in held if isinstance(each, kinds)}


def _noting(view: Any, results: list[Any]) -> Any:
    """Note what a view returns."""

    @wraps(view)
    def noted(*args: Any, **kwargs: Any) -> Any:
        results.append(view(*args, **kwargs))
        return results[-1]

    @wraps(view)
    async def anoted(*args: Any, **kwargs: Any) -> Any:
        results.append(await view(*args, **kwargs))
        return results[-1]

    return anoted if inspect.iscoroutinefunction(view) else noted
