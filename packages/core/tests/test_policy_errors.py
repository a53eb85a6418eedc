"""Exceptions that are cached: raised again from memory or from a shared tier."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import CACHE_MISSING


class NotFound(LookupError):
    """An exception of the application."""


class Demanding(Exception):
    """An exception that cannot be built from its arguments."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(code)
        self.hint = hint


def failing(error: Exception) -> tuple[Any, list[int]]:
    calls: list[int] = []

    def find(key: int = 1) -> int:
        calls.append(key)
        raise error

    return find, calls


async def test_cache_exceptions_when_raised_is_raised_again_without_computing(
    stage: Stage, way: Way
) -> None:
    """The type and the arguments of the exception are kept."""
    find, calls = failing(NotFound("user", 5))
    cached = stage.cached(way.function(find), cache_exceptions=NotFound)
    for _ in range(3):
        with pytest.raises(NotFound) as caught:
            await way.call(cached)
        assert caught.value.args == ("user", 5)
    assert calls == [1]


async def test_cache_exceptions_when_another_process_asks_is_raised_there(stage: Stage) -> None:
    """The exception crosses the shared tier."""
    if not stage.shares:
        return
    find, calls = failing(NotFound("user", 5))
    for cached in stage.pair(find, cache_exceptions=[NotFound, KeyError]):
        with pytest.raises(NotFound) as caught:
            cached()
        assert caught.value.args == ("user", 5)
    assert calls == [1]


async def test_cache_exceptions_when_other_type_is_not_cached(stage: Stage, way: Way) -> None:
    """Only the listed types, and subclasses of them, are results."""
    find, calls = failing(ValueError("broken"))
    cached = stage.cached(way.function(find), cache_exceptions=(LookupError, OSError))
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await way.call(cached)
    assert calls == [1, 1]


async def test_cache_exceptions_when_a_subclass_is_raised_is_kept(stage: Stage, way: Way) -> None:
    """A subclass that its base could not stand for is never turned into the base."""
    find, _ = failing(NotFound("user"))
    cached = stage.cached(way.function(find), cache_exceptions=LookupError)
    for _ in range(3):
        with pytest.raises(NotFound, match="user"):
            await way.call(cached)


async def test_cache_exceptions_when_it_cannot_be_rebuilt_computes_again(
    stage: Stage, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot cross a shared tier costs a computation, never another exception."""
    find, calls = failing(Demanding(7, hint="ask"))
    cached = stage.cached(way.function(find), cache_exceptions=Demanding)
    for _ in range(2):
        with pytest.raises(Demanding) as caught:
            await way.call(cached)
        assert caught.value.hint == "ask"
    assert len(calls) == (2 if stage.shares else 1)
    refused = "Demanding cannot be made again of its args: hand what its __init__()"
    assert (refused in caplog.text) is stage.shares


class Wordy(Exception):
    """An exception that makes its message of what it is given."""

    def __init__(self, item: str) -> None:
        super().__init__(f"there is no {item}")


async def test_cache_exceptions_when_its_args_make_another_one_computes_again(stage: Stage) -> None:
    """No process gets an exception that says something else than the one that was raised."""
    find, _ = failing(Wordy("tea"))
    for cached in stage.pair(find, cache_exceptions=Wordy):
        with pytest.raises(Wordy) as caught:
            cached()
        assert str(caught.value) == "there is no tea"


async def test_cache_exceptions_when_a_subclass_crosses_it_is_still_that(stage: Stage) -> None:
    """Other processes raise the very type as well, without a computation."""
    if not stage.shares:
        return
    find, calls = failing(NotFound("user", 5))
    for cached in stage.pair(find, cache_exceptions=LookupError):
        with pytest.raises(NotFound) as caught:
            cached()
        assert caught.value.args == ("user", 5)
    assert calls == [1]


async def test_cache_exceptions_of_one_name_are_never_mistaken(stage: Stage) -> None:
    """Where a name says two types, neither is made for the other."""
    twin = type("NotFound", (Exception,), {})
    find, _ = failing(twin("other"))
    for cached in stage.pair(find, cache_exceptions=(NotFound, twin)):
        with pytest.raises(twin, match="other"):
            cached()


async def test_cache_exceptions_when_their_time_is_over_compute_again(
    stage: Stage, way: Way
) -> None:
    """They live for `negative_ttl`, by default for half a minute at most."""
    find, calls = failing(NotFound())
    default = stage.cached(way.function(find), cache_exceptions=NotFound)
    negative = stage.cached(
        way.function(find), cache_exceptions=NotFound, negative_ttl=100, stale=500
    )
    for cached, life in ((default, 30), (negative, 100)):
        calls.clear()
        for _ in range(2):
            with pytest.raises(NotFound):
                await way.call(cached)
        stage.advance(life - 1)
        with pytest.raises(NotFound):
            await way.call(cached)
        assert len(calls) == 1
        stage.advance(2)
        with pytest.raises(NotFound):
            await way.call(cached)
        assert len(calls) == 2


async def test_cache_exceptions_when_dropped_or_refreshed_are_gone(stage: Stage, way: Way) -> None:
    """They are entries like any other."""
    outcomes: list[Any] = [NotFound(), NotFound(), "found"]

    def find(key: int = 1) -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    cached = stage.cached(way.function(find), cache_exceptions=NotFound)
    with pytest.raises(NotFound):
        await way.call(cached)
    with pytest.raises(NotFound):
        await way.do(cached, "get_cache_only")
    assert (await way.do(cached, "get_cached_metadata"))["cache_status"] == "MISS"
    await way.do(cached, "delete_cache")
    assert await way.do(cached, "get_cache_only") is CACHE_MISSING
    with pytest.raises(NotFound):
        await way.call(cached)
    assert await way.do(cached, "refresh") == "found"
    assert await way.call(cached) == "found"


async def test_cache_exceptions_when_raised_again_and_again_do_not_grow(
    memory: Stage, way: Way
) -> None:
    """A cached exception does not collect the tracebacks of everybody who got it."""
    find, _ = failing(NotFound())
    cached = memory.cached(way.function(find), cache_exceptions=NotFound)
    depths = []
    for _ in range(5):
        with pytest.raises(NotFound) as caught:
            await way.call(cached)
        depths.append(len(caught.traceback))
    assert depths[1:] == [depths[1]] * 4
