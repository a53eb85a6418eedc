"""One computation, however many callers ask at once, and nobody is ever stuck."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from packages.core.tests.stages import Stage, until, wait_until

CALLERS = 16
BOUND = 60.0
"""Real seconds after which a caller counts as stuck."""


class Slow:
    """A function that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.calls = 0
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.error: Exception | None = None

    def __call__(self, key: int = 1) -> int:
        self.calls += 1
        value = self.calls
        self.begun.set()
        assert self.gate.wait(BOUND)
        if self.error is not None:
            raise self.error
        return value


def in_threads(calls: list[Callable[[], Any]]) -> tuple[list[threading.Thread], list[Any]]:
    """Start each call in a thread; their results, or errors, gather in a list."""
    results: list[Any] = []

    def work(call: Callable[[], Any]) -> None:
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=work, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads, results


def join(threads: list[threading.Thread]) -> None:
    deadline = time.monotonic() + BOUND
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "a caller is stuck"


def joined(cached: Any) -> int:
    """Return how many callers wait for the computations of others."""
    flights = cached.cached_function.subject.flights
    found = {*flights._by_key.values(), *flights._by_token.values()}
    return sum(len(flight._wakers) for flight in found)


def stamped(stage: Stage, cached: Any, *arguments: Any) -> None:
    """Have the stamps made of a call's entry.

    Where a store cannot add atomically, callers that make them at once cost each other's fill.
    """

    async def drop() -> None:
        await cached.ainvalidate_all()
        await cached.adelete_cache(*arguments)

    if stage.kind == "dict":
        join(in_threads([lambda: asyncio.run(drop())])[0])


def test_flight_when_threads_ask_at_once_computes_once(stage: Stage) -> None:
    """Threads that come while another computes get its value."""
    slow = Slow()
    cached = stage.cached(slow.__call__)
    stamped(stage, cached)
    threads, results = in_threads([cached] * CALLERS)
    assert slow.begun.wait(BOUND)
    time.sleep(0.02)  # let the others arrive
    slow.gate.set()
    join(threads)
    assert results == [1] * CALLERS
    assert slow.calls == 1


async def test_flight_when_tasks_ask_at_once_computes_once(stage: Stage) -> None:
    """Tasks of one event loop share a computation too."""
    calls: list[int] = []

    @stage.cached
    async def compute(key: int) -> int:
        calls.append(key)
        await asyncio.sleep(0.02)
        return len(calls)

    stamped(stage, compute, 1)
    async with asyncio.timeout(BOUND):
        assert await asyncio.gather(*(compute(1) for _ in range(CALLERS))) == [1] * CALLERS
    assert calls == [1]


def test_flight_when_loops_of_several_threads_ask_computes_once(stage: Stage) -> None:
    """A coroutine function may be awaited on several event loops at once."""
    calls: list[int] = []

    @stage.cached
    async def compute(key: int) -> int:
        calls.append(key)
        await asyncio.sleep(0.1)
        return len(calls)

    async def ask() -> int:
        value: int = await compute(1)
        return value

    stamped(stage, compute, 1)
    threads, results = in_threads([lambda: asyncio.run(ask())] * 4)
    join(threads)
    assert results == [1] * 4
    assert calls == [1]


def test_flight_when_keys_differ_computes_side_by_side(stage: Stage) -> None:
    """Callers of other keys do not wait."""
    barrier = threading.Barrier(3, timeout=BOUND)

    @stage.cached
    def meet(key: int) -> int:
        barrier.wait()
        return key

    threads, results = in_threads([partial(meet, key) for key in range(3)])
    join(threads)
    assert sorted(results) == [0, 1, 2]


def test_flight_when_two_processes_ask_computes_once(stage: Stage) -> None:
    """Across processes the lease names the one who computes, and the others get its value."""
    if not stage.fenced:
        return
    slow = Slow()
    pair = stage.pair(slow.__call__)
    threads, results = in_threads([cached for cached in pair for _ in range(4)])
    assert slow.begun.wait(BOUND)
    time.sleep(0.02)
    slow.gate.set()
    join(threads)
    assert results == [1] * 8
    assert slow.calls == 1


def test_flight_when_the_other_process_takes_too_long_computes_unstored(stage: Stage) -> None:
    """After `wait` seconds a caller computes for itself; the slow one's value is stored."""
    if not stage.fenced:
        return
    slow = Slow()
    mine, theirs = stage.pair(slow.__call__, wait=0)
    threads, results = in_threads([mine])
    assert slow.begun.wait(BOUND)
    slow.begun.clear()
    others, second = in_threads([theirs])
    assert slow.begun.wait(BOUND)
    slow.gate.set()
    join(threads + others)
    assert (results, second) == ([1], [2])
    assert mine.get_cache_only() == theirs.get_cache_only() == 1


def test_flight_when_the_function_fails_gives_its_error_to_all_who_joined(stage: Stage) -> None:
    """Those who waited get the same exception; who comes later computes anew."""
    slow = Slow()
    slow.error = ValueError("broken")
    cached = stage.cached(slow.__call__)
    stamped(stage, cached)
    threads, results = in_threads([cached] * 8)
    assert slow.begun.wait(BOUND)
    wait_until(lambda: joined(cached) == 7)
    slow.gate.set()
    join(threads)
    assert {str(error) for error in results} == {"broken"}
    assert len(results) == 8
    assert slow.calls == 1
    slow.error = None
    assert cached() == slow.calls


async def test_flight_when_the_first_task_is_cancelled_goes_on_for_the_others(
    stage: Stage,
) -> None:
    """The computation survives its first caller: one computation, and everybody else's value."""
    calls: list[int] = []
    gate = asyncio.Event()

    @stage.cached
    async def compute(key: int) -> int:
        calls.append(key)
        await gate.wait()
        return len(calls)

    stamped(stage, compute, 1)
    async with asyncio.timeout(BOUND):
        first = asyncio.create_task(compute(1))
        await until(lambda: calls)
        others = [asyncio.create_task(compute(1)) for _ in range(5)]
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.sleep(0.01)
        gate.set()
        assert await asyncio.gather(*others) == [1] * 5
        assert await compute(1) == 1
    assert calls == [1]


async def test_flight_when_every_task_is_cancelled_still_stores(stage: Stage) -> None:
    """What was begun is kept: the next caller finds it."""
    calls: list[int] = []

    @stage.cached
    async def compute(key: int) -> int:
        calls.append(key)
        await asyncio.sleep(0.01)
        return len(calls)

    stamped(stage, compute, 1)
    async with asyncio.timeout(BOUND):
        tasks = [asyncio.create_task(compute(1)) for _ in range(3)]
        await until(lambda: calls)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await compute(1) == 1
    assert calls == [1]


async def test_flight_when_a_waiting_task_is_cancelled_only_it_ends(stage: Stage) -> None:
    """A follower that gives up takes nobody with it."""
    gate = asyncio.Event()

    @stage.cached
    async def compute(key: int) -> int:
        await gate.wait()
        return key

    async with asyncio.timeout(BOUND):
        first = asyncio.create_task(compute(1))
        await asyncio.sleep(0.01)
        second, third = asyncio.create_task(compute(1)), asyncio.create_task(compute(1))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        assert list(await asyncio.gather(first, third)) == [1, 1]


def test_flight_when_a_function_calls_itself_with_the_same_key_does_not_deadlock(
    stage: Stage,
) -> None:
    """The inner call cannot wait for the outer one, so it computes by itself."""
    depth: list[int] = []

    @stage.cached
    def again(key: int) -> int:
        depth.append(key)
        return 1 + again(key) if len(depth) < 3 else 0

    threads, results = in_threads([lambda: again(1)])
    join(threads)
    assert results == [2]
    assert again(1) == 2


async def test_flight_when_a_coroutine_awaits_itself_does_not_deadlock(stage: Stage) -> None:
    """The same on an event loop."""
    depth: list[int] = []

    @stage.cached
    async def again(key: int) -> int:
        depth.append(key)
        return 1 + await again(key) if len(depth) < 3 else 0

    async with asyncio.timeout(BOUND):
        assert await again(1) == 2
        assert await again(1) == 2


def test_flight_when_a_function_recurses_over_other_keys_computes_each_once(stage: Stage) -> None:
    """Recursion over smaller arguments is what caches are used for."""
    calls: list[int] = []

    @stage.cached
    def fibonacci(n: int) -> int:
        calls.append(n)
        return n if n < 2 else int(fibonacci(n - 1)) + int(fibonacci(n - 2))

    assert fibonacci(30) == 832_040
    assert sorted(calls) == list(range(31))


def test_flight_when_two_threads_wait_for_each_other_does_not_deadlock(stage: Stage) -> None:
    """One computes a and needs b, the other computes b and needs a: both end."""
    meeting = threading.Barrier(2, timeout=BOUND)
    met = threading.local()

    @stage.cached
    def need(key: str) -> str:
        if not getattr(met, "already", False):
            met.already = True
            meeting.wait()
            return f"{key}({need('b' if key == 'a' else 'a')})"
        return key

    threads, results = in_threads([lambda: need("a"), lambda: need("b")])
    join(threads)
    assert len(results) == 2
    assert all(isinstance(result, str) for result in results)


async def test_flight_when_two_tasks_wait_for_each_other_does_not_deadlock(stage: Stage) -> None:
    """The same with tasks of one event loop."""
    started: list[str] = []

    @stage.cached
    async def need(key: str) -> str:
        started.append(key)
        if len(started) <= 2:
            await until(lambda: len(started) >= 2)
            return f"{key}({await need('b' if key == 'a' else 'a')})"
        return key

    async with asyncio.timeout(BOUND):
        results = await asyncio.gather(need("a"), need("b"))
    assert all(isinstance(result, str) for result in results)


def test_flight_when_dropped_while_computing_later_callers_compute_anew(stage: Stage) -> None:
    """Who calls after the drop was acknowledged never joins the computation from before."""
    slow = Slow()
    cached = stage.cached(slow.__call__)
    threads, results = in_threads([cached])
    assert slow.begun.wait(BOUND)
    slow.begun.clear()
    cached.invalidate_all()
    others, second = in_threads([cached])
    assert slow.begun.wait(BOUND)
    slow.gate.set()
    join(threads + others)
    assert results == [1]
    assert second == [2]
    assert cached() == 2


def test_flight_when_refreshed_while_computing_the_refresh_stays(stage: Stage) -> None:
    """What began before a refresh and ends after it does not take the place of the newer value."""
    slow = Slow()

    def read() -> int:
        return 2 if slow.calls else slow()

    cached = stage.cached(read)
    threads, results = in_threads([cached])
    assert slow.begun.wait(BOUND)
    assert cached.refresh() == 2
    slow.gate.set()
    join(threads)
    assert results == [1]
    if stage.kind != "dict":  # where nothing tells whose fill came last
        assert cached() == cached.get_cache_only() == 2


def test_flight_when_over_leaves_nothing_behind(stage: Stage) -> None:
    """Neither results nor errors keep flights, leases or places alive."""
    slow = Slow()
    slow.gate.set()
    cached = stage.cached(lambda key: slow(key), cache_if=lambda result, key: key % 2)
    for key in range(6):
        cached(key)
    slow.error = ValueError()
    for key in range(6, 9):
        with pytest.raises(ValueError):
            cached(key)
    subject = cached.cached_function.subject
    assert len(subject.flights) == 0
    if stage.fenced:
        wait_until(lambda: not [name for name in stage.store.names() if "lease" in name])
