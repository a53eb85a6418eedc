"""`soft_timeout` and `hard_timeout`: callers go on, the computation ends and is stored."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way, until, wait_until
from tiercel import Cache, ConfigurationError, Status
from tiercel.errors import ComputationTimeout, HolderBusy

SOON = 0.02
LATE = 120.0
ATOMIC = ["memory", "two_tiers", "shared"]
"""Kinds of stages on which one computation is promised, and not only attempted."""


class Source:
    """Something that is slow until `go_on` is set; returns how often it was asked.

    Attributes:
        calls: How often.
        fails: Whether it raises in the end.
        slow: Whether it waits.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False
        self.slow = False
        self.go_on = threading.Event()

    def __call__(self, item: int = 1) -> int:
        value = self._begin()
        if self.slow:
            assert self.go_on.wait(60)
        return self._end(value)

    async def awaited(self, item: int = 1) -> int:
        """The same as a coroutine function."""
        value = self._begin()
        if self.slow:
            assert await asyncio.to_thread(self.go_on.wait, 60)
        return self._end(value)

    def function(self, way: Way) -> Callable[..., Any]:
        """Return what is cached."""
        if way.name == "coroutine":

            async def aload(item: int = 1) -> int:
                return await self.awaited(item)

            return aload

        def load(item: int = 1) -> int:
            return self(item)

        return load

    def _begin(self) -> int:
        self.calls += 1
        return self.calls

    def _end(self, value: int) -> int:
        if self.fails:
            raise ConnectionError("the source is away")
        return value


def make(stage: Stage, way: Way, **options: Any) -> tuple[Any, Source]:
    source = Source()
    return stage.cached(source.function(way), **{"ttl": 10, **options}), source


async def stored(way: Way, cached: Any, value: int) -> None:
    """Wait until a value is stored that nobody waited for."""

    async def is_stored() -> bool:
        return bool(await way.do(cached, "get_cache_only") == value)

    await until(is_stored)


async def filled(way: Way, cached: Any) -> None:
    """Have the first value stored; a busy machine may take longer than the hard timeout."""
    with suppress(ComputationTimeout):
        await way.call(cached)
    await stored(way, cached, 1)


async def test_soft_timeout_when_an_old_entry_is_there_serves_it(stage: Stage, way: Way) -> None:
    """The caller goes on with what is left of the old entry; what it did not wait for is stored."""
    cached, source = make(stage, way, soft_timeout=SOON, stale_on_error=60)
    assert await way.call(cached) == 1
    stage.advance(11)
    source.slow = True
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (1, Status.STALE)
    source.go_on.set()
    await stored(way, cached, 2)
    assert await way.call(cached) == 2
    assert source.calls == 2


async def test_soft_timeout_when_it_is_overtaken_others_do_not_wait_at_all(
    stage: Stage, way: Way
) -> None:
    """Once a caller has gone on, those who come later get the old entry at once."""
    cached, source = make(stage, way, soft_timeout=0.2, stale_on_error=60)
    assert await way.call(cached) == 1
    stage.advance(11)
    source.slow = True
    assert await way.call(cached) == 1
    began = time.monotonic()
    assert [await way.call(cached) for _ in range(50)] == [1] * 50
    assert time.monotonic() - began < 50 * 0.2 / 2
    assert source.calls == 2
    source.go_on.set()
    await stored(way, cached, 2)


async def test_soft_timeout_when_there_is_no_old_entry_waits(stage: Stage, way: Way) -> None:
    """Nothing may stand in, so the caller gets the new value, however long that takes."""
    cached, source = make(stage, way, soft_timeout=SOON, stale_on_error=60)
    source.slow = True
    threading.Timer(5 * SOON, source.go_on.set).start()
    assert await way.call(cached) == 1
    assert source.calls == 1


async def test_soft_timeout_when_the_entry_was_dropped_does_not_serve_it(
    stage: Stage, way: Way
) -> None:
    """What was dropped never comes back in place of a slow computation (P6)."""
    cached, source = make(stage, way, soft_timeout=SOON, hard_timeout=0.1, stale_on_error=60)
    await filled(way, cached)
    stage.advance(11)
    await way.do(cached, "delete_cache")
    source.slow = True
    with pytest.raises(ComputationTimeout):
        await way.call(cached)
    source.go_on.set()


async def test_hard_timeout_when_nothing_stands_in_raises_and_stores_later(
    stage: Stage, way: Way
) -> None:
    """The error names function and key; the value is there for the next caller."""
    cached, source = make(stage, way, hard_timeout=SOON)
    source.slow = True
    with pytest.raises(ComputationTimeout, match=r"tests:f\d+: .* within hard_timeout=0.02 s"):
        await way.call(cached)
    source.go_on.set()
    await stored(way, cached, 1)
    assert await way.call(cached) == 1
    assert source.calls == 1


async def test_hard_timeout_when_an_old_entry_is_there_serves_it(stage: Stage, way: Way) -> None:
    """`stale_on_error` covers a computation that takes too long, as it does one that fails."""
    cached, source = make(stage, way, hard_timeout=SOON, stale_on_error=60)
    await filled(way, cached)
    stage.advance(11)
    source.slow = True
    assert await way.call(cached) == 1
    source.go_on.set()
    await stored(way, cached, 2)


async def test_timeouts_when_the_source_is_quick_change_nothing(stage: Stage, way: Way) -> None:
    """Values, misses and errors are as without timeouts."""
    cached, source = make(stage, way, soft_timeout=LATE / 2, hard_timeout=LATE, stale_on_error=60)
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"]) == (1, Status.MISS)
    assert await way.call(cached) == 1
    assert await way.do(cached, "refresh") == 2
    await way.do(cached, "delete_cache")
    source.fails = True
    with pytest.raises(ConnectionError, match="away"):
        await way.call(cached)
    assert source.calls == 3


@pytest.mark.parametrize("stage", ATOMIC, indirect=True)
def test_timeouts_when_threads_meet_compute_once(stage: Stage) -> None:
    """Everybody waits for one computation, and each for as long as it may."""
    cached, source = make(stage, Way("plain"), hard_timeout=LATE)
    source.slow = True
    values: list[int] = []
    threads = [threading.Thread(target=lambda: values.append(cached())) for _ in range(8)]
    for each in threads:
        each.start()
    wait_until(lambda: source.calls == 1)
    source.go_on.set()
    for each in threads:
        each.join(60)
    assert (values, source.calls) == ([1] * 8, 1)


@pytest.mark.parametrize("stage", ATOMIC, indirect=True)
def test_hard_timeout_when_many_wait_nobody_computes_beside(stage: Stage) -> None:
    """Callers whose time is up do not add to the load of a slow source."""
    cached, source = make(stage, Way("plain"), hard_timeout=0.1)
    source.slow = True
    errors: list[BaseException] = []

    def call() -> None:
        try:
            cached()
        except ComputationTimeout as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert (len(errors), source.calls) == (8, 1)
    source.go_on.set()
    wait_until(lambda: cached.get_cache_only() == 1)


def test_soft_timeout_when_the_computation_fails_later_says_so(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits any more to get the error, so the log has it, and the old entry stays."""
    cached, source = make(stage, Way("plain"), soft_timeout=SOON, stale_on_error=60)
    assert cached() == 1
    stage.advance(11)
    source.slow = source.fails = True
    assert cached() == 1
    source.go_on.set()
    wait_until(lambda: "old entry is served" in caplog.text or "no longer wait" in caplog.text)
    assert cached() == 1


def test_context_when_computed_aside_is_the_callers(memory: Stage) -> None:
    """The function sees the caller's context variables, though another thread runs it."""
    language = contextvars.ContextVar("language", default="none")

    def greeting() -> tuple[str, str]:
        return language.get(), threading.current_thread().name

    language.set("da")
    assert memory.cached(greeting, hard_timeout=LATE)() == ("da", "tiercel-compute")


def test_function_when_it_calls_itself_under_timeouts_does_not_deadlock(memory: Stage) -> None:
    """The inner call of the same key computes by itself."""
    depth: list[int] = []

    def load() -> int:
        depth.append(len(depth))
        return cached() + 1 if len(depth) == 1 else 10

    cached = memory.cached(load, hard_timeout=LATE)
    assert cached() == 11


def test_at_most_once_when_the_hard_timeout_passes_is_still_computed_once(shared: Stage) -> None:
    """The claim stays with the computation that goes on, and its value is served later."""
    source = Source()
    source.slow = True

    def load(item: int = 1) -> int:
        return source(item)

    cached = shared.cached(load, hard_timeout=SOON, atomic_writes="at_most_once", ttl=100)
    with pytest.raises(ComputationTimeout):
        cached()
    with pytest.raises((ComputationTimeout, HolderBusy)):
        cached()
    source.go_on.set()
    wait_until(lambda: cached.get_cache_only() == 1)
    assert (cached(), source.calls) == (1, 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"soft_timeout": 1}, "soft_timeout= needs stale_on_error="),
        (
            {"soft_timeout": 2, "hard_timeout": 1, "stale_on_error": 9},
            "soft_timeout=2 must be shorter than hard_timeout=1",
        ),
        ({"hard_timeout": 0}, "hard_timeout=0 must be more than 0 seconds"),
        ({"soft_timeout": "long"}, "soft_timeout='long' must be seconds or a timedelta"),
        ({"hard_timeout": 1, "async_compute": True}, "nobody waits"),
    ],
)
def test_timeouts_when_wrong_are_refused(options: dict[str, Any], says: str) -> None:
    """What cannot work is an error at decoration."""
    with pytest.raises(ConfigurationError, match=says):
        Cache().cached(**options)(lambda item: item)
