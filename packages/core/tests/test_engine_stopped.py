"""A cached function raises what the function raises, also what generators cannot raise."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from packages.core.tests.brokers import made, message, plugged
from packages.core.tests.ruled import Recorder
from packages.core.tests.stages import Stage, Way, until, wait_until
from tiercel import AsyncValueBeingBuiltException, AsyncValueFailedToBeBuiltException, disabled
from tiercel.errors import HolderFailed
from tiercel.spi import Event, OperationKind, aperform_message, perform_message

CALLERS = 4
IN_COROUTINE = "coroutine raised StopIteration"


class Ended(StopIteration):
    """An exception of the application."""


class Source:
    """What is cached: it raises, once it may go on, or returns a number as long as it works."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error: BaseException | None = Ended("empty", 5) if error is None else error
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    def load(self, item: int = 1) -> int:
        self.calls += 1
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return self.calls


def caught(call: Callable[[], object]) -> BaseException:
    """Return what a call raises."""
    with pytest.raises(BaseException) as info:
        call()
    return info.value


def asked(cached: Any) -> dict[str, Callable[[], object]]:
    """Return every way to have the function run."""

    def off() -> object:
        with disabled():
            return cached(1)

    return {
        "call": lambda: cached(1),
        "get_with_metadata": lambda: cached.get_with_metadata(1),
        "refresh": lambda: cached.refresh(1),
        "bypass_cache": lambda: cached.bypass_cache(1),
        "many": lambda: cached.many([1, 2]),
        "off": off,
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unless": lambda function, *arguments: True},
        {"hard_timeout": 60},
        {"soft_timeout": 60, "stale_on_error": 60},
        {"refresh_ahead": 1.0},
        {"cache_if": lambda result: True},
        {"tags": ["a"]},
        {"index": True},
        {"copy": True},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
def test_stop_iteration_when_raised_then_as_without_a_cache(
    stage: Stage, options: dict[str, Any]
) -> None:
    """The very exception, which nothing was added to, however the function is asked."""
    source = Source()
    cached = stage.cached(source.load, **options)
    plain = caught(lambda: functools.lru_cache(source.load)(1))
    for way, ask in asked(cached).items():
        error = caught(ask)
        assert error is plain is source.error, way
        assert (error.args, error.__cause__, error.__context__) == (("empty", 5), None, None), way


def test_stop_iteration_when_raised_from_another_then_keeps_its_cause(stage: Stage) -> None:
    """What its traceback says is what it would say without a cache."""
    reason = KeyError("reason")

    @stage.cached
    def load() -> int:
        try:
            raise reason
        except KeyError as error:
            raise Ended from error

    error = caught(load)
    assert error.__cause__ is error.__context__ is reason


def test_stop_iteration_when_a_cached_function_calls_another_then_passes_both(
    stage: Stage,
) -> None:
    """However deep the calls are, and it can be handled in between."""
    source = Source()
    inner = stage.cached(source.load)
    outer = stage.cached(lambda item: inner(item))
    handling = stage.cached(lambda item: next(iter(()), "none"))
    assert caught(lambda: outer(1)) is source.error
    assert handling(1) == "none"


def test_stop_iteration_when_raised_then_nothing_is_stored(stage: Stage) -> None:
    """The next call computes."""
    source = Source()
    cached = stage.cached(source.load)
    assert caught(lambda: cached(1)) is source.error
    source.error = None
    assert [cached(1), cached(1)] == [2, 2]


def test_stop_iteration_when_a_predicate_raises_it_then_as_it_is(stage: Stage) -> None:
    """The user's other code is no generator either."""
    source, error = Source(), Ended()
    source.error = None

    def refuse(result: int) -> bool:
        raise error

    for options in ({"cache_if": refuse}, {"ttl": refuse}):
        assert caught(lambda o=options: stage.cached(source.load, **o)(1)) is error  # type: ignore[misc]


def test_stop_iteration_when_others_wait_for_it_then_all_get_it(stage: Stage) -> None:
    """Who has joined a computation gets what it raised."""
    source = Source()
    source.gate.clear()
    cached = stage.cached(source.load)
    results: list[BaseException] = []
    threads = [
        threading.Thread(target=lambda: results.append(caught(lambda: cached(1))), daemon=True)
        for _ in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    subject = cached.cached_function.subject
    if stage.kind != "dict":  # which promises no single flight where stamps have yet to be made
        wait_until(lambda: _waiting(subject) == CALLERS - 1)
    source.gate.set()
    for thread in threads:
        thread.join(60)
    assert results == [source.error] * CALLERS
    assert source.calls == 1 or stage.kind == "dict"


def _waiting(subject: Any) -> int:
    """Return how many callers wait for the computations of others."""
    flights = {*subject.flights._by_key.values(), *subject.flights._by_token.values()}
    return sum(len(flight._wakers) for flight in flights)


async def test_stop_iteration_when_a_task_waits_for_a_thread_then_as_a_coroutine_says_it(
    memory: Stage,
) -> None:
    """A coroutine cannot raise it; Python has words for that."""
    source = Source()
    source.gate.clear()
    cache = memory.cache
    results: list[BaseException] = []
    leader = threading.Thread(
        target=lambda: results.append(caught(lambda: cache.get_or_set("k", source.load))),
        daemon=True,
    )
    leader.start()
    await until(lambda: source.calls)
    follower = asyncio.ensure_future(cache.aget_or_set("k", source.load))
    subject = cache._values._function.subject
    await until(lambda: _waiting(subject))
    source.gate.set()
    with pytest.raises(RuntimeError, match=IN_COROUTINE) as info:
        await asyncio.wait_for(follower, 60)
    await asyncio.to_thread(leader.join, 60)
    assert info.value.__cause__ is source.error
    assert results == [source.error]
    assert source.calls == 1


async def test_stop_iteration_when_twins_are_awaited_then_as_a_coroutine_says_it(
    stage: Stage,
) -> None:
    """They say what a coroutine function says, and never wait for ever."""
    source = Source()
    cached = stage.cached(source.load)
    twins = (cached.aget_with_metadata, cached.arefresh, cached.abypass_cache)
    for work in [*(twin(1) for twin in twins), cached.amany([1])]:
        with pytest.raises(RuntimeError, match=IN_COROUTINE) as info:
            await asyncio.wait_for(work, 60)
        assert info.value.__cause__ is source.error


def test_stop_iteration_when_cached_then_raised_again_without_computing(stage: Stage) -> None:
    """It is an exception like others to `cache_exceptions`, in each tier and process."""
    source = Source()
    for cached in stage.pair(source.load, cache_exceptions=StopIteration):
        ways = asked(cached)
        for _ in range(2):
            read: dict[str, Callable[[], object]] = {
                "get_cache_only": partial(cached.get_cache_only, 1),
                "get_with_metadata": ways["get_with_metadata"],
                "call": ways["call"],
                "many": partial(cached.many, [1]),
            }
            for way, ask in reversed(read.items()):
                error = caught(ask)
                assert (type(error), error.args) == (Ended, ("empty", 5)), way
        assert caught(ways["refresh"]) is source.error
    assert source.calls == (3 if stage.shares else 4)


def test_stop_iteration_when_an_old_value_may_be_served_then_served(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A refresh that fails is logged by its name; `stale_on_error` bridges it."""
    source = Source()
    source.error = None
    cached = stage.cached(source.load, ttl=10, stale_on_error=60)
    behind = stage.cached(source.load, ttl=10, stale=60, dispatcher="inline")
    assert (cached(1), behind(1)) == (1, 2)
    source.error = Ended("empty")
    stage.advance(11)
    with caplog.at_level(logging.WARNING):
        assert (cached(1), behind(1)) == (1, 2)
    assert source.calls == 4
    assert "computation failed" in caplog.text
    assert "Ended: empty" in caplog.text
    assert "stopped.Stopped" not in caplog.text


def test_stop_iteration_when_built_in_the_background_then_callers_are_told(stage: Stage) -> None:
    """By the name of its type, and in this process with itself as the cause."""
    source = Source()
    cached = stage.cached(source.load, async_compute=True, dispatcher="threadpool")
    with pytest.raises(AsyncValueBeingBuiltException):
        cached(1)
    builds = cached.cached_function.subject.builds
    wait_until(lambda: all(each.over for each in list(builds._by_key.values())))
    with pytest.raises(AsyncValueFailedToBeBuiltException) as info:
        cached(1)
    assert (info.value.cause_type, info.value.__cause__) == ("Ended", source.error)


def test_stop_iteration_when_the_only_computation_raises_it_then_others_know(
    tiers: Stage,
) -> None:
    """Other processes are told the name of its type."""
    source = Source()
    here, there = tiers.pair(source.load, atomic_writes="at_most_once", ttl=100)
    assert caught(lambda: here(1)) is source.error
    with pytest.raises(HolderFailed, match="raised Ended"):
        there(1)


class Ear(Recorder):
    """Hears of trouble, too."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def ear() -> Iterator[Ear]:
    """What caches that are made in this test tell."""
    ear = Ear()
    with plugged(observer=ear):
        yield ear


@pytest.mark.parametrize("kind", ["memory", "two_tiers", "shared"])
def test_stop_iteration_when_observed_then_told_as_it_is(ear: Ear, kind: str) -> None:
    """Observers hear of what the function raised."""
    stage, source = Stage(kind), Source()
    cached = stage.cached(source.load, ttl=10, stale_on_error=60)
    assert caught(lambda: cached(1)) is source.error
    (computed,) = (each for each in ear.operations if each.kind is OperationKind.COMPUTE)
    assert computed.error is source.error
    assert {event.error for event in ear.events} == {source.error}
    stage.close()


async def test_stop_iteration_when_a_worker_performs_then_its_broker_hears_of_it() -> None:
    """In a thread as it is; an event loop is never left waiting."""
    source = Source()
    text = message(made(source.load), 1)
    error = await asyncio.to_thread(lambda: caught(lambda: perform_message(text)))
    assert error is source.error
    with pytest.raises(RuntimeError, match=IN_COROUTINE) as info:
        await asyncio.wait_for(aperform_message(text), 60)
    assert info.value.__cause__ is source.error


@pytest.mark.parametrize("kind", [GeneratorExit, KeyboardInterrupt, SystemExit])
def test_exceptions_that_end_programs_then_pass_as_they_are(
    stage: Stage, kind: type[BaseException]
) -> None:
    """They are none of the cache's business."""
    source = Source(kind("now"))
    cached = stage.cached(source.load)
    for way, ask in asked(cached).items():
        assert caught(ask) is source.error, way
        stage.advance(600)  # no lease lives so long


@pytest.mark.parametrize("error", [StopAsyncIteration("end"), asyncio.CancelledError("now")])
async def test_exceptions_of_coroutines_then_pass_as_they_are(
    stage: Stage, error: BaseException
) -> None:
    """A coroutine may raise StopAsyncIteration: only async generators turn it into another."""
    source = Source(error)
    cached = stage.cached(Way("coroutine").function(source.load))
    for ask in (cached, cached.aget_with_metadata, cached.arefresh, cached.abypass_cache):
        with pytest.raises(type(error)):
            await ask(1)
    with pytest.raises(type(error)):
        await cached.amany([1])


async def test_stop_async_iteration_when_others_wait_or_it_is_cached_then_all_get_it(
    stage: Stage,
) -> None:
    """It is an exception like any other."""
    source = Source(StopAsyncIteration("end"))
    function = Way("coroutine").function(source.load)
    cached = stage.cached(function, cache_exceptions=StopAsyncIteration)
    tasks = [asyncio.ensure_future(cached(1)) for _ in range(CALLERS)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in results] == [StopAsyncIteration] * CALLERS
    with pytest.raises(StopAsyncIteration):
        await cached.aget_cache_only(1)
    assert source.calls == 1 or stage.kind == "dict"
