"""`mark_stale`: an entry is retired instead of dropped; callers go on with it meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way, until
from tiercel import CACHE_MISSING, Status


class Source:
    """Returns how often it was called, and can be made to fail."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False

    def __call__(self, key: int = 1) -> int:
        self.calls += 1
        if self.fails:
            raise ConnectionError("the source is away")
        return self.calls


def make(stage: Stage, way: Way, **options: Any) -> tuple[Any, Source]:
    source = Source()
    return stage.cached(way.function(lambda key=1: source(key)), **{"ttl": 100, **options}), source


async def renewed(way: Way, cached: Any, value: int) -> None:
    """Wait until a refresh in the background is stored."""

    async def is_stored() -> bool:
        return bool(await way.do(cached, "get_cache_only") == value)

    await until(is_stored)


async def test_marked_entry_when_stale_is_allowed_is_served_once_more_and_refreshed(
    stage: Stage, way: Way
) -> None:
    """The next caller gets the old value at once; the new one is computed in the background."""
    cached, source = make(stage, way, stale=60)
    assert await way.call(cached) == 1
    stage.advance(7)
    assert await way.do(cached, "mark_stale") is True
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (1, Status.STALE)
    assert metadata["age"] == pytest.approx(7, abs=0.01)
    await renewed(way, cached, 2)
    assert (await way.do(cached, "get_with_metadata"))[1]["cache_status"] == Status.HIT
    assert source.calls == 2


async def test_marked_entry_when_nobody_asks_ends_with_its_grace(stage: Stage, way: Way) -> None:
    """It is stale from now on, and does not live longer than an entry that became so by itself."""
    cached, _ = make(stage, way, stale=60)
    await way.call(cached)
    await way.do(cached, "mark_stale")
    stage.advance(59)
    assert await way.do(cached, "get_cache_only") == 1
    assert await way.do(cached, "mark_stale") is True
    stage.advance(2)
    assert await way.do(cached, "get_cache_only") is CACHE_MISSING


async def test_marked_entry_when_stale_is_not_allowed_is_dropped(stage: Stage, way: Way) -> None:
    """Without `stale` and `stale_on_error` nobody could be served, so it goes."""
    cached, _ = make(stage, way)
    assert await way.do(cached, "mark_stale") is False
    await way.call(cached)
    assert await way.do(cached, "mark_stale") is True
    assert await way.do(cached, "get_cache_only") is CACHE_MISSING
    assert await way.call(cached) == 2


async def test_marked_entry_when_the_function_fails_stands_in(stage: Stage, way: Way) -> None:
    """With `stale_on_error` the next caller computes, and has the old value for the worst case."""
    cached, source = make(stage, way, stale_on_error=60)
    await way.call(cached)
    await way.do(cached, "mark_stale")
    source.fails = True
    assert await way.call(cached) == 1
    source.fails = False
    assert await way.call(cached) == 3


async def test_mark_when_there_is_no_entry_says_so(stage: Stage, way: Way) -> None:
    """Nothing is made stale that is not there, nor brought back."""
    cached, _ = make(stage, way, stale=60)
    assert await way.do(cached, "mark_stale") is False
    await way.call(cached)
    await way.do(cached, "delete_cache")
    assert await way.do(cached, "mark_stale") is False
    assert await way.do(cached, "get_cache_only") is CACHE_MISSING


async def test_mark_when_given_arguments_leaves_others_alone(stage: Stage, way: Way) -> None:
    """It concerns the entry of exactly these arguments."""
    cached, _ = make(stage, way, stale=60)
    await way.call(cached, 1)
    await way.call(cached, 2)
    await way.do(cached, "mark_stale", 1)
    assert (await way.do(cached, "get_with_metadata", 2))[1]["cache_status"] == Status.HIT


def test_mark_when_another_process_has_it_in_memory_reaches_it(tiers: Stage) -> None:
    """The other process serves it stale, and does not take it for fresh."""
    source = Source()
    here, there = tiers.pair(lambda key: source(key), ttl=100, stale=60, dispatcher="inline")
    assert here(1) == there(1) == 1
    here.mark_stale(1)
    tiers.settle()
    assert there.get_with_metadata(1)[1]["cache_status"] == Status.STALE
    assert there(1) == 2


def test_mark_while_it_is_computed_keeps_what_was_true_before_out(stage: Stage) -> None:
    """A computation that began before the mark is not stored as if it were fresh."""
    seen: list[int] = []

    def compute(key: int) -> int:
        seen.append(key)
        if len(seen) == 2:
            cached.mark_stale(key)
        return len(seen)

    cached = stage.cached(compute, ttl=100, stale=60)
    assert cached(1) == 1
    cached.refresh(1)
    assert cached.get_cache_only(1) != 2


def test_mark_when_a_drop_comes_between_does_not_bring_it_back(shared: Stage) -> None:
    """What is written again was read under a lease that the drop takes away (P1)."""
    source = Source()
    here, there = shared.pair(lambda key: source(key), ttl=100, stale=60)
    here(1)
    codec = here.cached_function.subject.codec

    class Dropping:
        """Drops the entry between the read and the fill."""

        binds = codec.binds

        def __getattr__(self, name: str) -> Any:
            return getattr(codec, name)

        def encode(self, value: Any, bound_to: bytes) -> bytes:
            there.delete_cache(1)
            return bytes(codec.encode(value, bound_to))

    here.cached_function.subject.codec = Dropping()
    here.mark_stale(1)
    here.cached_function.subject.codec = codec
    assert here.get_cache_only(1) is CACHE_MISSING
    assert there.get_cache_only(1) is CACHE_MISSING


def test_mark_when_the_store_fails_drops(tiers: Stage) -> None:
    """Nobody may go on to take it for fresh, so it is dropped as soon as the store answers."""
    source = Source()
    cached = tiers.cached(lambda key: source(key), ttl=100, stale=60)
    assert cached(1) == 1
    tiers.store.unreachable = True
    assert cached.mark_stale(1) is True
    assert cached(1) == 2
    tiers.store.unreachable = False
    tiers.advance(5)
    assert cached(1) == 3


@pytest.mark.parametrize("stage", ["memory", "two_tiers", "shared"], indirect=True)
def test_marked_entries_are_listed_in_the_index(stage: Stage) -> None:
    """The note of the call stays with the entry."""
    cached = stage.cached(lambda key: key, ttl=100, stale=60, index=True)
    cached(1)
    cached.mark_stale(1)
    assert len(cached.live_calls()) == 1
