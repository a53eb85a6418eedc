"""Serving what is out of date, while it is refreshed and on errors; refreshing ahead of time."""

from __future__ import annotations

import asyncio
import random
import threading
from itertools import count
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way, until, wait_until
from tiercel import CACHE_MISSING, Cause, Status


class Counter:
    """A function that returns how often it was called, and can be made to fail or to wait."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False
        self.gate: threading.Event | None = None

    def __call__(self, key: int = 1) -> int:
        self.calls += 1
        value = self.calls
        if self.gate is not None:
            assert self.gate.wait(60)
        if self.fails:
            raise ConnectionError("the source is away")
        return value


def make(stage: Stage, way: Way, **options: Any) -> tuple[Any, Counter]:
    counter = Counter()
    options = {"ttl": 10, **options}
    return stage.cached(way.function(lambda key=1: counter(key)), **options), counter


async def refreshed(counter: Counter, calls: int) -> None:
    """Wait for background refreshes on whatever thread or loop they run."""
    await until(lambda: counter.calls >= calls)
    assert counter.calls == calls


@pytest.mark.parametrize("dispatcher", ["inline", "threadpool", "asyncio", None])
async def test_stale_when_read_after_the_ttl_is_served_and_refreshed_once(
    stage: Stage, way: Way, dispatcher: str | None
) -> None:
    """Readers get the old value at once; the new one is computed once, in the background."""
    cached, counter = make(stage, way, stale=60, dispatcher=dispatcher)
    assert await way.call(cached) == 1
    stage.advance(11)
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (1, Status.STALE)
    assert metadata["age"] == pytest.approx(11, abs=0.01)
    await refreshed(counter, 2)
    await settled(cached, 2, way)
    _, metadata = await way.do(cached, "get_with_metadata")
    assert metadata["cache_status"] == Status.HIT
    written = await way.do(cached, "get_cached_metadata")
    assert written["cache_status"] == Status.REFRESH
    assert counter.calls == 2


async def settled(cached: Any, value: Any, way: Way) -> None:
    """Wait until a refresh that was computed is stored."""

    async def is_stored() -> bool:
        return bool(await way.do(cached, "get_cache_only") == value)

    await until(is_stored)


async def test_stale_when_its_time_is_over_is_a_miss(stage: Stage, way: Way) -> None:
    """After ttl and grace the caller waits for a new value."""
    cached, counter = make(stage, way, stale=60)
    assert await way.call(cached) == 1
    stage.advance(71)
    assert await way.do(cached, "get_cache_only") is CACHE_MISSING
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (2, Status.MISS)
    assert counter.calls == 2


async def test_stale_when_peeked_at_is_served_and_not_refreshed(stage: Stage, way: Way) -> None:
    """`get_cache_only` never computes, in the background neither."""
    cached, counter = make(stage, way, stale=60, dispatcher="inline")
    await way.call(cached)
    stage.advance(11)
    assert await way.do(cached, "get_cache_only") == 1
    assert counter.calls == 1


def test_stale_when_many_threads_read_is_refreshed_once(stage: Stage) -> None:
    """However many readers meet a stale entry, there is one refresh, and nobody waits."""
    cached, counter = make(stage, Way("plain"), stale=60)
    assert cached() == 1
    stage.advance(11)
    counter.gate = threading.Event()
    threads = [threading.Thread(target=lambda: values.append(cached())) for _ in range(16)]
    values: list[int] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert values == [1] * 16
    counter.gate.set()
    wait_until(lambda: cached.get_cache_only() == 2)
    assert counter.calls == 2


async def test_stale_when_many_tasks_read_is_refreshed_once(stage: Stage) -> None:
    """The same on an event loop."""
    way = Way("coroutine")
    cached, counter = make(stage, way, stale=60)
    assert await cached() == 1
    stage.advance(11)
    assert await asyncio.gather(*(cached() for _ in range(50))) == [1] * 50
    await refreshed(counter, 2)
    await settled(cached, 2, way)
    assert counter.calls == 2


def test_stale_when_two_processes_read_is_refreshed_by_one(tiers: Stage, shared: Stage) -> None:
    """The right to refresh is taken in the shared tier."""
    for stage in (tiers, shared):
        counter = Counter()
        pair = stage.pair(counter.__call__, ttl=10, stale=60)
        assert [cached() for cached in pair] == [1, 1]
        stage.advance(11)
        counter.gate = threading.Event()
        assert [cached() for cached in pair] == [1, 1]
        counter.gate.set()
        wait_until(lambda: [cached.get_cache_only() for cached in pair] == [2, 2])  # noqa: B023
        assert counter.calls == 2


@pytest.mark.parametrize("drop", ["delete_cache", "invalidate_all"])
async def test_stale_when_dropped_during_its_refresh_stays_dropped(stage: Stage, drop: str) -> None:
    """A refresh that loses the race to a drop brings nothing back."""
    cached, counter = make(stage, Way("plain"), stale=60, dispatcher="threadpool")
    assert cached() == 1
    stage.advance(11)
    counter.gate = threading.Event()
    assert cached() == 1
    wait_until(lambda: counter.calls == 2)
    getattr(cached, drop)()
    counter.gate.set()
    subject = cached.cached_function.subject
    wait_until(lambda: not subject.refreshing)
    assert cached.get_cache_only() is CACHE_MISSING
    assert cached() == 3


async def test_stale_when_dropped_is_not_served(stage: Stage, way: Way) -> None:
    """Nothing that was dropped is served as stale."""
    cached, counter = make(stage, way, stale=60, stale_on_error=60)
    assert await way.call(cached) == 1
    stage.advance(11)
    await way.do(cached, "delete_cache")
    assert await way.call(cached) == 2
    await way.do(cached, "invalidate_all")
    counter.fails = True
    with pytest.raises(ConnectionError):
        await way.call(cached)


async def test_stale_when_its_refresh_fails_is_served_and_tried_again(
    stage: Stage, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed refresh is logged, takes nothing down, and the next reader starts another."""
    cached, counter = make(stage, way, stale=60, dispatcher="inline")
    assert await way.call(cached) == 1
    stage.advance(11)
    counter.fails = True
    assert await way.call(cached) == 1
    assert counter.calls == 2
    assert "failed in the background" in caplog.text
    counter.fails = False
    assert await way.call(cached) == 1
    assert counter.calls == 3
    assert await way.call(cached) == 3


async def test_stale_when_dispatcher_refuses_is_served_still(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A dispatcher that accepts nothing costs the refresh, not the caller, and is reported."""
    cached, counter = make(stage, Way("plain"), stale=60, dispatcher="threadpool")
    assert cached() == 1
    dispatcher = stage.cache.dispatcher("threadpool", {}, "inline")
    dispatcher.close(1.0)
    stage.advance(11)
    assert [cached(), cached()] == [1, 1]
    assert "could not be refreshed" in caplog.text
    assert counter.calls == 1


async def test_stale_on_error_when_the_function_fails_serves_the_old_value(
    stage: Stage, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """Within its grace an old value is served instead of an error, which is reported."""
    cached, counter = make(stage, way, stale_on_error=60)
    assert await way.call(cached) == 1
    stage.advance(11)
    counter.fails = True
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (1, Status.STALE)
    assert metadata["cause"] is Cause.EXPIRED
    assert "the source is away" in caplog.text
    stage.advance(60)
    with pytest.raises(ConnectionError, match="the source is away"):
        await way.call(cached)
    counter.fails = False
    assert await way.call(cached) == counter.calls


async def test_stale_on_error_when_the_function_works_computes(stage: Stage, way: Way) -> None:
    """It is no stale-while-revalidate: without an error a caller gets a new value."""
    cached, _ = make(stage, way, stale_on_error=60)
    assert await way.call(cached) == 1
    stage.advance(11)
    assert await way.do(cached, "get_cache_only") is CACHE_MISSING
    assert await way.call(cached) == 2


async def test_stale_on_error_when_refresh_is_asked_for_serves_the_old_value(
    stage: Stage, way: Way
) -> None:
    """A refresh that fails keeps what there is; without the option it raises."""
    cached, counter = make(stage, way, stale_on_error=60)
    plain, other = make(stage, way)
    assert await way.call(cached) == await way.call(plain) == 1
    counter.fails = other.fails = True
    if stage.kind == "dict":  # not atomic: taking the right to refresh gives up the old entry
        with pytest.raises(ConnectionError):
            await way.do(cached, "refresh")
        return
    assert await way.do(cached, "refresh") == 1
    assert await way.call(cached) == 1
    with pytest.raises(ConnectionError):
        await way.do(plain, "refresh")
    assert await way.call(plain) == 1


async def test_refresh_ahead_when_the_end_is_near_refreshes_before_it(
    stage: Stage, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader close to the end refreshes ahead of it, and nobody ever waits."""
    monkeypatch.setattr(random, "random", lambda: 0.5)  # XFetch then takes 0.69 of the delta
    serial = count(1)

    def slow(key: int = 1) -> int:
        stage.clock.advance(2)
        return next(serial)

    cached = stage.cached(way.function(slow), ttl=100, refresh_ahead=1.0, dispatcher="inline")
    assert await way.call(cached) == 1
    stage.advance(98)
    assert [await way.call(cached) for _ in range(5)] == [1] * 5
    stage.advance(1)
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (1, Status.HIT)
    stage.advance(50)
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (2, Status.HIT)


async def test_refresh_ahead_when_left_out_never_happens(stage: Stage, way: Way) -> None:
    """By default an entry is computed anew only when it has ended."""
    cached, counter = make(stage, way)
    assert await way.call(cached) == 1
    stage.advance(9.9)
    assert [await way.call(cached) for _ in range(200)] == [1] * 200
    assert counter.calls == 1
