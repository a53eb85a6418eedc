"""Functions with an index: their live calls, and dropping entries by any of their arguments."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from packages.core.tests.listed import USER, flat, page_of, pages_of
from packages.core.tests.stages import Stage, Way
from tiercel import ArgsKeyField, Cache, CallableKeyField, ConfigurationError
from tiercel.contracts.backend import Begin, DropScopes, Fill, ReadThenBegin
from tiercel.testing import SimulatedBackend, VirtualClock

SECRET = b"an encryption key of 32 bytes..."


class Colour(Enum):
    """A class that an annotation names."""

    RED = 1
    BLUE = 2


class Client:
    """An object that stands in a key, but that nothing can make again."""

    def __cache_key__(self) -> str:
        return "client"


async def test_live_calls_when_listed_are_those_that_have_an_entry(
    listing: Stage, way: Way
) -> None:
    """All of them, those of one partition, and none; from plain and coroutine functions."""
    pages = listing.cached(way.function(page_of), key=USER, index=True)
    for user in (1, 2):
        for page in (1, 2, 3):
            await way.call(pages, user, page)
    everything = await way.do(pages, "live_calls")
    assert flat(everything) == {(user, page) for user in (1, 2) for page in (1, 2, 3)}
    assert everything.complete
    for found in (await way.do(pages, "live_calls", 2), await way.do(pages, "live_calls", user=2)):
        assert flat(found) == {(2, 1), (2, 2), (2, 3)}
        assert found.complete
    assert await way.do(pages, "live_calls", 3) == []


def test_live_calls_when_a_call_is_spelled_differently_list_it_once(listing: Stage) -> None:
    """One entry is one call, with its defaults or without."""
    pages = pages_of(listing)
    pages(1), pages(1, 1), pages(page=1, user=1), pages.refresh(user=1)
    ((args, kwargs),) = pages.live_calls()
    assert pages.get_cache_key(*args, **kwargs) == pages.get_cache_key(1)


def test_live_calls_when_entries_are_dropped_or_over_do_not_list_them(listing: Stage) -> None:
    """Neither a dropped key, nor what a partition held, nor what has ended is live."""
    pages = pages_of(listing)
    for user in (1, 2, 3):
        pages(user, 1), pages(user, 2)
    pages.delete_cache(1, 2)
    pages.delete_by_prefix(2)
    assert flat(pages.live_calls()) == {(1, 1), (3, 1), (3, 2)}
    assert pages.live_calls(2) == []
    pages(2, 2)
    assert flat(pages.live_calls(2)) == {(2, 2)}
    listing.advance(60)
    pages(4, 1)
    listing.advance(60)
    assert flat(pages.live_calls()) == {(4, 1)}
    pages.invalidate_all()
    assert pages.live_calls() == []
    assert pages.live_calls().complete


def test_live_calls_when_the_key_has_no_partition_are_all_or_one(listing: Stage) -> None:
    """A whole call asks for itself; part of one says no partition."""
    pages = listing.cached(page_of, index=True)
    pages(1, 2), pages(2, 2)
    assert flat(pages.live_calls()) == {(1, 2), (2, 2)}
    assert flat(pages.live_calls(2, 2)) == {(2, 2)}
    assert pages.live_calls(3, 2) == []
    with pytest.raises(TypeError, match="has no partition"):
        pages.live_calls(page=2)


def test_live_calls_when_arguments_are_of_any_type_give_them_back_exactly(listing: Stage) -> None:
    """What was passed comes back, so that a call can be repeated."""

    @listing.cached(index=True)  # type: ignore[untyped-decorator]
    def anything(value: Any, /, *rest: Any, colour: Colour = Colour.RED, **more: Any) -> None: ...

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}),
        ((True,), {}),
        ((1.0, "a", b"\0"), {"colour": Colour.BLUE}),
        (((1, (2,)), [3], {4: "x"}, frozenset({5})), {"value": None, "$": 6}),
        ((date(2024, 2, 29), datetime(2024, 1, 1, tzinfo=UTC), Decimal("1.00")), {}),
        ((UUID(int=7),), {"more": {"rest": -1}}),
    ]
    for args, kwargs in calls:
        anything(*args, **kwargs)
    found = anything.live_calls()
    assert found.complete
    given = {anything.get_cache_key(*args, **kwargs) for args, kwargs in calls}
    assert {anything.get_cache_key(*args, **kwargs) for args, kwargs in found} == given
    assert {repr(args) for args, _ in found} == {repr(args) for args, _ in calls}


def test_live_calls_when_an_argument_cannot_be_kept_say_so(shared: Stage) -> None:
    """Entries of an object that nothing can make again, or of a huge argument, are not listed."""

    @shared.cached(index=True)  # type: ignore[untyped-decorator]
    def of(client: Any, page: int) -> int:
        return page

    of("plain", 1)
    assert of.live_calls().complete
    of(Client(), 1), of("x" * 10_000, 1)
    calls = of.live_calls()
    assert flat(calls) == {("plain", 1)}
    assert not calls.complete
    of.delete_matching(page=2)
    assert of.get_cached_metadata("plain", 1) is not None
    assert of.get_cached_metadata(Client(), 1) is not None
    of.delete_matching(page=1)
    for client in ("plain", Client(), "x" * 10_000):
        assert of.get_cached_metadata(client, 1) is None


def test_live_calls_in_memory_keep_any_argument(memory: Stage) -> None:
    """Where nothing leaves the process, arguments are kept as they are."""

    @memory.cached(index=True)  # type: ignore[untyped-decorator]
    def of(client: Any, page: int) -> int:
        return page

    client = Client()
    of(client, 1), of(client, 2)
    assert flat(of.live_calls()) == {(client, 1), (client, 2)}
    assert of.delete_matching(client=client, page=2) == 1
    assert of.delete_matching(client=Client()) == 0
    assert flat(of.live_calls()) == {(client, 1)}


def test_live_calls_when_the_key_depends_on_more_are_those_of_this_context(
    listing: Stage,
) -> None:
    """A call that would have another key here cannot be repeated here; it can be dropped."""
    language = ContextVar("language", default="en")
    key = {"page": ArgsKeyField("page"), "language": CallableKeyField(lambda page: language.get())}

    @listing.cached(index=True, key=key)  # type: ignore[untyped-decorator]
    def translated(page: int) -> str:
        return f"{page} in {language.get()}"

    translated(1)
    token = language.set("fr")
    translated(1), translated(2)
    found = translated.live_calls()
    assert flat(found) == {(1,), (2,)}
    assert not found.complete
    assert translated.delete_matching(page=1) == 2
    language.reset(token)
    assert translated.get_cached_metadata(1) is None
    assert translated.live_calls() == []


def test_live_calls_of_a_method_need_an_object_that_can_be_made_again(shared: Stage) -> None:
    """Its other arguments are known all the same, so entries can be found by them."""

    class Shop:
        @shared.cached(index=True, key={"article": ArgsKeyField("article")})  # type: ignore[untyped-decorator]
        def price(self, article: int) -> int:
            return article

    shop = Shop()
    shop.price(1), shop.price(2)
    assert shop.price.cached_function.live_calls() == []
    assert not shop.price.cached_function.live_calls().complete
    assert shop.price.delete_matching(article=1) == 1
    assert shop.price.get_cached_metadata(1) is None
    assert shop.price.get_cached_metadata(2) is not None


def test_live_calls_beyond_the_limit_are_incomplete(shared: Stage) -> None:
    """The index keeps as many as it was told; once the others have ended, it is complete."""
    pages = pages_of(shared, index=10, ttl=lambda result: 50 if result.endswith("0") else 10)
    for page in range(100):
        pages(1, page)
    calls = pages.live_calls()
    assert {(1, page) for page in range(0, 100, 10)} <= flat(calls)
    assert len(calls) <= 20
    assert not calls.complete
    shared.advance(20)
    assert flat(pages.live_calls()) == {(1, page) for page in range(0, 100, 10)}
    assert pages.live_calls().complete


def test_live_calls_when_the_store_lists_nothing_are_those_in_memory() -> None:
    """A plain object keeps no index: other processes may have filled more."""
    stage = Stage("dict")
    pages = pages_of(stage)
    pages(1, 1), pages(2, 1)
    assert flat(pages.live_calls()) == {(1, 1), (2, 1)}
    assert not pages.live_calls().complete
    pages.delete_matching(page=2)
    assert pages.get_cached_metadata(1, 1) is None  # nobody knows what others have, so all went
    stage.close()


def test_live_calls_without_an_index_are_refused(stage: Stage) -> None:
    """The error says what to do; so do those of wrong options."""
    pages = stage.cached(page_of)
    for method in (pages.live_calls, lambda: pages.delete_matching(page=1)):
        with pytest.raises(ConfigurationError, match="index=True"):
            method()
    for wrong in (0, -1, 1.5, "yes", None):
        with pytest.raises(ConfigurationError, match=f"index={wrong!r}"):
            stage.cached(page_of, index=wrong)
    assert stage.cached(page_of, index=False)(1) == "1/1"


def test_notes_hold_no_values_and_are_encrypted_where_values_are() -> None:
    """A note is as secret as the values, and a stranger's is ignored."""
    pytest.importorskip("cryptography")
    clock = VirtualClock()
    store = SimulatedBackend(clock)
    cache = Cache(backend=store, clock=clock, memory=0, encryption_keys=[SECRET])

    @cache.cached(index=True, name="secret", key={"n": ArgsKeyField("n", hash_value=True)})
    def secret(n: str) -> str:
        return f"the value of {n}"

    secret("agent 007")
    (fill,) = [each for each in store.commands if isinstance(each, Fill)]
    assert fill.note
    assert b"agent" not in fill.note
    assert flat(secret.live_calls()) == {("agent 007",)}
    forged = Cache(backend=store, clock=clock, memory=0).cached(index=True, name="secret")(
        secret.func
    )
    assert forged.live_calls() == []
    assert not forged.live_calls().complete


def test_notes_of_plain_values_hold_the_arguments_only(shared: Stage) -> None:
    """What the function returns is nowhere in its index."""

    @shared.cached(index=True)  # type: ignore[untyped-decorator]
    def of(name: str) -> str:
        return f"result for {name}"

    of("ann")
    (fill,) = [each for each in shared.store.commands if isinstance(each, Fill)]
    assert b"ann" in fill.note
    assert b"result" not in fill.note


@pytest.mark.parametrize("note", [b"", b"\xc1", b"\x90", b"\x94\xa0\x90\x80\x90" * 2, b"\x01" * 50])
def test_notes_that_are_damaged_are_passed_over(shared: Stage, note: bytes) -> None:
    """They make a listing incomplete, and nothing else."""
    pages = pages_of(shared)
    pages(1, 1), pages(1, 2)
    (index,) = [name for name in shared.store.names() if name.startswith("index/")]
    kept = shared.store._get(index)
    damaged = [type(each)(each.text, note, each.deadline) for each in kept.kept[:1]]
    shared.store._put(index, type(kept)((*damaged, *kept.kept[1:])), 1_000.0)
    calls = pages.live_calls()
    assert flat(calls) == {(1, 2)}
    assert not calls.complete


def test_functions_without_an_index_send_nothing_of_it(tiers: Stage) -> None:
    """No command mentions an index, and memory keeps no arguments."""
    pages = tiers.cached(page_of, key=USER)
    pages(1), pages(1), pages.refresh(1), pages.delete_by_prefix(1), pages.invalidate_all()
    for command in tiers.store.commands:
        begin = command.begin if isinstance(command, ReadThenBegin) else command
        if isinstance(begin, (Begin, Fill)):
            assert begin.index is None
        if isinstance(command, DropScopes):
            assert command.indexes == ()
    assert not [name for name in tiers.store.names() if "index/" in name or "fence" in name]


def test_hit_path_with_an_index_is_the_same(memory: Stage) -> None:
    """The generated code of hits does not know of it."""
    plain, indexed = memory.cached(page_of), memory.cached(page_of, index=True)
    assert indexed.cached_function.hit_path.source == plain.cached_function.hit_path.source
