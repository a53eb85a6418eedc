"""What is kept: `cache_if`, `cache_unless` and `unless`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import CACHE_MISSING


def listed(*results: Any) -> Callable[..., Any]:
    """Return a function that returns these results, one per call."""
    left = iter(results)
    return lambda key=1, flag=False: next(left)


@pytest.mark.parametrize(
    "options",
    [{"cache_if": lambda result: result > 1}, {"cache_unless": lambda result: result <= 1}],
    ids=["if", "unless"],
)
async def test_predicate_when_it_rejects_keeps_nothing(
    stage: Stage, way: Way, options: dict[str, Any]
) -> None:
    """The caller gets the value, the next call computes again until one is accepted."""
    cached = stage.cached(way.function(listed(0, 1, 2, 3)), **options)
    assert [await way.call(cached) for _ in range(4)] == [0, 1, 2, 2]


async def test_predicate_when_it_names_arguments_gets_them(stage: Stage, way: Way) -> None:
    """Arguments of the call arrive by name, defaults included."""
    seen: list[Any] = []

    def flagged(result: int, flag: bool) -> bool:
        seen.append((result, flag))
        return flag

    def function(key: int = 1, flag: bool = False) -> int:
        return key

    cached = stage.cached(way.function(function), cache_if=flagged)
    await way.call(cached, 1)
    await way.call(cached, 2, flag=True)
    assert seen == [(1, False), (2, True)]
    assert await way.do(cached, "get_cache_only", 1) is CACHE_MISSING
    assert await way.do(cached, "get_cache_only", 2, True) == 2


async def test_predicate_when_it_takes_everything_gets_the_call(stage: Stage, way: Way) -> None:
    """With `*args, **kwargs` it gets the result and every argument."""
    seen: list[Any] = []

    def remember(*args: Any, **kwargs: Any) -> bool:
        seen.append((args, kwargs))
        return True

    cached = stage.cached(way.function(listed("value")), cache_if=remember)
    await way.call(cached, 7, True)
    assert seen == [(("value", 7, True), {})]


@pytest.mark.parametrize("option", ["cache_if", "cache_unless"])
async def test_predicate_when_a_coroutine_function_is_awaited(stage: Stage, option: str) -> None:
    """Coroutine functions may have awaited predicates, and a negated one is awaited too."""

    async def positive(result: int) -> bool:
        return (result > 0) is (option == "cache_if")

    way = Way("coroutine")
    cached = stage.cached(way.function(listed(0, 1, 2)), **{option: positive})
    assert [await way.call(cached) for _ in range(3)] == [0, 1, 1]


async def test_predicate_when_it_rejects_a_refresh_drops_the_old_entry(
    stage: Stage, way: Way
) -> None:
    """What the entry held is known to be outdated, so it must not be served any longer."""
    cached = stage.cached(way.function(listed("good", "bad", "new")), cache_unless="bad".__eq__)
    assert await way.call(cached) == "good"
    assert await way.do(cached, "refresh") == "bad"
    assert await way.do(cached, "get_cache_only") is CACHE_MISSING
    assert await way.call(cached) == "new"


async def test_predicate_when_it_raises_the_caller_gets_the_error(stage: Stage, way: Way) -> None:
    """A broken predicate is not hidden, and nothing is kept or left locked."""

    def broken(result: int) -> bool:
        if result == 0:
            raise ZeroDivisionError("broken predicate")
        return True

    cached = stage.cached(way.function(listed(0, 1)), cache_if=broken)
    with pytest.raises(ZeroDivisionError, match="broken predicate"):
        await way.call(cached)
    assert await way.call(cached) == 1


async def test_unless_when_true_bypasses_the_cache(stage: Stage, way: Way) -> None:
    """It gets the function and the arguments; a bypassed call neither reads nor stores."""
    function = way.function(listed(1, 2, 3, 4))
    asked: list[Any] = []

    def bypass(func: Any, key: int = 1, flag: bool = False) -> bool:
        asked.append(func)
        return flag

    cached = stage.cached(function, unless=bypass)
    assert await way.call(cached, 1) == 1
    assert await way.call(cached, 1, flag=True) == 2
    value, metadata = await way.do(cached, "get_with_metadata", 1, flag=True)
    assert (value, metadata["cache_status"], metadata["tier"]) == (3, "BYPASS", "function")
    assert metadata["cached_at"] is None
    assert await way.call(cached, 1) == 1
    assert set(asked) == {function}


async def test_unless_when_true_for_some_of_many_bypasses_the_cache_for_those(
    stage: Stage, way: Way
) -> None:
    """A bulk read returns for each call what the call alone returns, in their order."""
    computed: list[int] = []

    def compute(key: int) -> int:
        computed.append(key)
        return len(computed)

    cached = stage.cached(way.function(compute), unless=lambda func, key: key < 0)
    assert [await way.call(cached, each) for each in (1, 2)] == [1, 2]
    assert await way.do(cached, "many", [1, -1, 2, -1]) == [1, 3, 2, 4]
    assert computed == [1, 2, -1, -1]
    assert await way.do(cached, "many", [-1]) == [5]


async def test_unless_when_it_takes_the_function_only_is_called_with_it(
    stage: Stage, way: Way
) -> None:
    """The call's arguments are passed only where the signature takes them."""
    cached = stage.cached(way.function(listed(1, 2)), unless=lambda func: True)
    assert [await way.call(cached, 1), await way.call(cached, 1)] == [1, 2]
