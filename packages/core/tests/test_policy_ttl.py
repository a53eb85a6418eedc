"""How long results live: numbers, timedeltas, callables, no end at all, jitter, negative lives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import cache_result


def numbers() -> Callable[..., int]:
    """Return a function that returns 1, 2, 3, ... whatever it is called with."""
    serial: Iterator[int] = count(1)
    return lambda key=None, life=None: next(serial)


async def expires_after(
    stage: Stage, way: Way, seconds: float, cached: Any, *arguments: Any
) -> None:
    """Assert that an entry lives for so long and no longer."""
    first = await way.call(cached, *arguments)
    stage.advance(seconds - 0.5)
    assert await way.call(cached, *arguments) == first
    stage.advance(1)
    assert await way.call(cached, *arguments) != first


@pytest.mark.parametrize("ttl", [60, 60.0, timedelta(minutes=1)])
async def test_ttl_when_a_number_or_timedelta_ends_the_entry(
    stage: Stage, way: Way, ttl: Any
) -> None:
    """Seconds and timedeltas mean the same."""
    cached = stage.cached(way.function(numbers()), ttl=ttl)
    await expires_after(stage, way, 60, cached)


async def test_ttl_when_left_out_is_an_hour(stage: Stage, way: Way) -> None:
    """The default life is 3,600 seconds."""
    await expires_after(stage, way, 3600, stage.cached(way.function(numbers())))


def test_ttl_when_left_out_of_cache_result_is_an_hour(memory: Stage) -> None:
    """The door has the same default."""
    cached = cache_result(cache=memory.cache)(numbers())
    assert cached() == 1
    memory.advance(3599)
    assert cached() == 1
    memory.advance(2)
    assert cached() == 2


async def test_ttl_when_none_never_ends(stage: Stage, way: Way) -> None:
    """Without expiry an entry outlives years."""
    cached = stage.cached(way.function(numbers()), ttl=None)
    assert await way.call(cached) == 1
    stage.advance(3 * 365 * 86_400)
    assert await way.call(cached) == 1


async def test_ttl_when_callable_gets_the_result(stage: Stage, way: Way) -> None:
    """A callable decides for each result, and may return a timedelta's worth of seconds or None."""
    results = iter([10, None, 20])
    cached = stage.cached(way.function(lambda key: next(results)), ttl=lambda result: result)
    await expires_after(stage, way, 10, cached, 1)
    stage.advance(10**6)
    assert await way.call(cached, 1) is None


async def test_ttl_when_callable_gets_the_arguments_it_names(stage: Stage, way: Way) -> None:
    """The call's arguments arrive by name, in any order, defaults included."""

    def life_of(result: int, life: int) -> int:
        return life

    compute = numbers()

    def function(key: int, life: int = 30) -> int:
        return compute()

    cached = stage.cached(way.function(function), ttl=life_of)
    await expires_after(stage, way, 30, cached, 1)
    await expires_after(stage, way, 50, cached, 2, 50)


async def test_ttl_when_callable_takes_everything_gets_the_call_as_it_was(
    stage: Stage, way: Way
) -> None:
    """With `*args, **kwargs` it gets the result and all arguments."""
    seen: list[Any] = []

    def life_of(*args: Any, **kwargs: Any) -> int:
        seen.append((args, kwargs))
        return 30

    cached = stage.cached(way.function(numbers()), ttl=life_of)
    await way.call(cached, "k", 2)
    assert seen == [((1, "k", 2), {})]


async def test_ttl_when_a_coroutine_function_is_awaited(stage: Stage) -> None:
    """Coroutine functions may have an awaited life."""

    async def life_of(result: int, key: int) -> int:
        return 10 * key

    serial = count(1)

    async def function(key: int) -> int:
        return next(serial)

    way, compute = Way("coroutine"), stage.cached(function, ttl=life_of)
    await expires_after(stage, way, 10, compute, 1)
    await expires_after(stage, way, 50, compute, 5)


@pytest.mark.parametrize("ttl", [0, -1])
async def test_ttl_when_callable_returns_nothing_to_live_for_does_not_store(
    stage: Stage, way: Way, ttl: int
) -> None:
    """Zero and negative lives mean that this result is not kept."""
    cached = stage.cached(way.function(numbers()), ttl=lambda result: ttl)
    assert [await way.call(cached), await way.call(cached)] == [1, 2]


@pytest.mark.parametrize("ttl", ["soon", True, [], float("nan")])
async def test_ttl_when_callable_returns_no_duration_raises(
    memory: Stage, way: Way, ttl: Any
) -> None:
    """A life that is no life names the function and what came back."""
    cached = memory.cached(way.function(numbers()), ttl=lambda result: ttl)
    with pytest.raises(TypeError, match=r"tests:f\d+: ttl returned .* where seconds"):
        await way.call(cached)


async def test_ttl_when_callable_returns_a_timedelta_is_understood(stage: Stage, way: Way) -> None:
    """All times are seconds or timedeltas, returned ones too."""
    cached = stage.cached(way.function(numbers()), ttl=lambda result: timedelta(seconds=10))
    await expires_after(stage, way, 10, cached)


async def test_jitter_when_given_spreads_the_ends(stage: Stage, way: Way) -> None:
    """Entries filled together end at different times, never late, at most `jitter` early."""
    cached = stage.cached(way.function(numbers()), ttl=100, jitter=timedelta(seconds=40))
    first = [await way.call(cached, key) for key in range(40)]
    stage.advance(59)
    assert [await way.call(cached, key) for key in range(40)] == first
    stage.advance(21)
    kept = [await way.do(cached, "get_cached_metadata", key) for key in range(40)]
    assert 5 < sum(metadata is not None for metadata in kept) < 35
    stage.advance(21)
    assert not any([await way.do(cached, "get_cached_metadata", key) for key in range(40)])


async def test_negative_ttl_when_result_is_none_is_its_life(stage: Stage, way: Way) -> None:
    """A None lives shorter; other results live as long as `ttl` says."""
    results: Iterator[Any] = iter([None, "found"])
    calls: list[int] = []

    def find(key: int) -> Any:
        calls.append(key)
        return next(results)

    cached = stage.cached(way.function(find), ttl=300, negative_ttl=10)
    assert await way.call(cached, 1) is None
    stage.advance(9)
    assert await way.call(cached, 1) is None
    stage.advance(2)
    assert await way.call(cached, 1) == "found"
    stage.advance(200)
    assert await way.call(cached, 1) == "found"
    assert len(calls) == 2
