"""`atomic_writes="at_most_once"`: one computation per generation, or a clear error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from packages.core.tests.stages import Stage
from tiercel import Cache, ConfigurationError, cached_for
from tiercel.errors import (
    BackendUnavailable,
    HolderBusy,
    HolderDied,
    HolderFailed,
    ResultLost,
    WouldDeadlock,
)

ONCE = {"atomic_writes": "at_most_once", "ttl": 100, "lease": 5}


class Died(BaseException):
    """Ends a computation as the death of its process does: nothing is settled."""


class Work:
    """What must not be done twice."""

    def __init__(self) -> None:
        self.done = 0
        self.error: BaseException | None = None

    def __call__(self, item: int) -> int:
        self.done += 1
        if self.error is not None:
            raise self.error
        return item * 10


@pytest.fixture(params=["two_tiers", "shared"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A shared tier that keeps claims, with and without a memory tier above."""
    stage = Stage(request.param)
    yield stage
    stage.close()


def pair(stage: Stage, work: Work, **options: Any) -> tuple[Any, Any]:
    """Cache the work in two processes."""

    def compute(item: int) -> int:
        return work(item)

    here, there = stage.pair(compute, **{**ONCE, **options})
    return here, there


def lose(stage: Stage, kind: str) -> None:
    """Lose all cells of one kind."""
    for name in stage.store.names():
        if name.startswith(kind):
            stage.store.evict(name)


def test_value_is_computed_once_and_again_after_its_life(stage: Stage) -> None:
    """Within its life it is served; afterwards it is computed, and nobody gets an error."""
    work = Work()
    here, there = pair(stage, work)
    for expected in (1, 2, 3):
        assert (here(1), there(1), here(1)) == (10, 10, 10)
        assert work.done == expected
        stage.advance(100.001)


def test_value_when_lost_is_an_error_until_a_drop(stage: Stage) -> None:
    """It is never computed a second time unless somebody says so."""
    work = Work()
    here, there = pair(stage, work)
    assert here(1) == 10
    lose(stage, "value/")
    for _ in range(3):
        with pytest.raises(ResultLost, match="refresh"):
            there(1)
    assert work.done == 1
    here.delete_cache(1)
    stage.settle()
    assert (there(1), work.done) == (10, 2)


def test_holder_when_dead_is_an_error_for_as_long_as_its_claim(stage: Stage) -> None:
    """Its lease ends after 5 seconds, its claim after the life of an entry more."""
    work = Work()
    work.error = Died()
    here, there = pair(stage, work)
    with pytest.raises(Died):
        here(1)
    work.error = None
    lose(stage, "lease/")
    for _ in range(10):
        with pytest.raises(HolderDied, match="died"):
            there(1)
        stage.advance(10)
    assert work.done == 1
    stage.advance(6)
    assert (there(1), work.done) == (10, 2)


def test_function_when_it_raises_is_not_run_again(stage: Stage) -> None:
    """Its caller gets the error itself; the others its type, but not its words."""
    work = Work()
    work.error = ValueError("the password is 1234")
    here, there = pair(stage, work)
    with pytest.raises(ValueError, match="1234"):
        here(1)
    for function in (there, here):
        with pytest.raises(HolderFailed, match="raised ValueError") as caught:
            function(1)
        assert "1234" not in str(caught.value)
    assert work.done == 1
    work.error = None
    assert there.refresh(1) == 10
    assert (here(1), work.done) == (10, 2)


@pytest.mark.parametrize("scope", ["key", "function"])
def test_drop_while_it_is_computed_begins_a_new_generation(stage: Stage, scope: str) -> None:
    """The value that was being computed is not stored, and the next caller computes."""
    seen: list[int] = []

    def compute(item: int) -> int:
        seen.append(item)
        if len(seen) == 1:
            there.delete_cache(item) if scope == "key" else there.invalidate_all()
            stage.settle()
            assert there(item) == 2
        return len(seen)

    here, there = stage.pair(compute, **ONCE)
    assert here(1) == 2
    assert len(seen) == 2


def test_waiter_when_the_holder_takes_long_gets_an_error(stage: Stage) -> None:
    """A caller waits for `wait` seconds, and then does not compute beside the holder."""
    release = asyncio.Event()

    async def scenario() -> int:
        started = asyncio.Event()
        done: list[int] = []

        async def compute(item: int) -> int:
            done.append(item)
            started.set()
            await release.wait()
            return item

        here, there = stage.pair(compute, **{**ONCE, "wait": 0})
        first = asyncio.create_task(here(1))
        await started.wait()
        with pytest.raises(HolderBusy):
            await there(1)
        release.set()
        assert await first == 1
        assert await there(1) == 1
        return len(done)

    assert asyncio.run(scenario()) == 1


def test_waiter_inside_another_computation_gets_an_error(stage: Stage) -> None:
    """Two computations that want each other's values do not wait for ever."""

    def compute(item: int) -> int:
        return there(item) if item else 0

    here, there = stage.pair(compute, **ONCE)
    with pytest.raises(WouldDeadlock, match="never end"):
        here(1)


def test_store_when_it_does_not_answer_is_an_error(stage: Stage) -> None:
    """Without a claim nothing is computed, in the stated exception to what a cache promises."""
    work = Work()
    here, _ = pair(stage, work)
    stage.store.unreachable = True
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            here(1)
    assert work.done == 0
    stage.store.unreachable = False
    stage.advance(60)
    assert (here(1), work.done) == (10, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stale": 5}, "stale would compute again"),
        ({"stale_on_error": 5}, "stale_on_error would compute again"),
        ({"refresh_ahead": 1}, "refresh_ahead would compute again"),
        ({"cache_if": bool}, "cache_if would compute again"),
        ({"unless": bool}, "unless would compute again"),
        ({"ttl": lambda result: 5}, "ttl cannot be a callable"),
        ({"tiers": "memory"}, "is known to this process only"),
    ],
)
def test_option_that_breaks_the_promise_is_refused(options: dict[str, Any], message: str) -> None:
    """What would compute again, or could forget that it has, is an error at decoration."""
    with pytest.raises(ConfigurationError, match=f"at_most_once.*{message}"):
        Cache().cached(**{**ONCE, **options})(lambda item: item)


@pytest.mark.parametrize("kind", ["memory", "dict"])
def test_cache_without_claims_is_refused(kind: str) -> None:
    """A tier that cannot keep a claim is no place for this promise."""
    stage = Stage(kind)

    def compute(item: int) -> int:
        return item

    with pytest.raises(ConfigurationError, match=r"needs a shared tier that keeps claims.*Redis"):
        stage.cached(compute, **ONCE)
    stage.close()


def test_default_cache_without_claims_is_refused_when_it_is_known() -> None:
    """Which cache it will be is not known at decoration, so the first call says it."""
    cached = cached_for(hours=1, atomic_writes="at_most_once")(lambda: 1)
    with pytest.raises(ConfigurationError, match="each process would compute for itself"):
        cached()
