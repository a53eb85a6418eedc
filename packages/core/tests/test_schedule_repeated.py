"""Calls that are refreshed again and again: on time, by one process, until they are stopped."""

from __future__ import annotations

import gc
import logging
import math
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from packages.core.tests.stages import wait_until
from tiercel import Cache
from tiercel.dispatch.schedule import Repetition, Schedule
from tiercel.spi import BackendUnavailable, ConfigurationError
from tiercel.testing import SimulatedBackend, VirtualClock

EVERY = 60.0

_serial = count(1)


class Cluster:
    """Processes that refresh the same calls on the same tier, each with a schedule of its own."""

    def __init__(self, processes: int = 3, *, shared: bool = True) -> None:
        self.clock = VirtualClock(time=1_800_000_000.0)
        self.store = SimulatedBackend(self.clock) if shared else None
        self.name = f"shop:rate{next(_serial)}"
        self.computed: list[tuple[int, Any]] = []
        self.schedules = [Schedule(self.clock, threaded=False) for _ in range(processes)]
        self.caches: list[Cache] = []
        self.functions = [self._function(number) for number in range(processes)]

    def _function(self, number: int) -> Any:
        options: dict[str, Any] = {"clock": self.clock, "name": f"process{number}"}
        if self.store is not None:
            options |= {"backend": self.store, "memory": 0}
        cache = Cache(**options)
        self.caches.append(cache)

        def rate(currency: str = "EUR") -> int:
            self.computed.append((number, currency))
            return len(self.computed)

        return cache.cached(name=self.name, ttl=3600)(rate)

    def repeat(
        self, monkeypatch: pytest.MonkeyPatch, number: int, *args: Any, every: Any = EVERY
    ) -> Repetition:
        """Ask for repeated refreshes in one process."""
        monkeypatch.setattr("tiercel.cached.SCHEDULE", self.schedules[number])
        repetition: Repetition = self.functions[number].refresh_every(every, *args)
        return repetition

    def tick(self) -> None:
        """Let every process look what is due, and wait for what it does."""
        for each in self.schedules:
            each.tick()
        for cache in self.caches:
            for dispatcher in cache._dispatchers.values():
                dispatcher.close(5.0)
            cache._dispatchers.clear()

    def close(self) -> None:
        for cache in self.caches:
            cache.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Give three processes."""
    cluster = Cluster()
    yield cluster
    cluster.close()


Repeat = Callable[..., Repetition]


@pytest.fixture
def repeat(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Repeat:
    """Have a call refreshed again and again by a process of the cluster."""

    def repeat(number: int, *args: Any, every: Any = EVERY) -> Repetition:
        return cluster.repeat(monkeypatch, number, *args, every=every)

    return repeat


def test_repeated_when_many_processes_ask_is_done_by_one_each_time(
    cluster: Cluster, repeat: Repeat
) -> None:
    """Per slot of time, one process of the cluster computes."""
    for number in range(3):
        repeat(number)
    for slot in range(1, 6):
        cluster.clock.advance(EVERY)
        cluster.tick()
        assert len(cluster.computed) == slot
        assert cluster.functions[2].get_cache_only() == slot


def test_repeated_when_its_owner_is_gone_is_done_by_another(
    cluster: Cluster, repeat: Repeat
) -> None:
    """Nobody owns the next slot before it begins, so nobody's death matters."""
    for number in range(3):
        repeat(number)
    for gone in range(3):
        cluster.clock.advance(EVERY)
        cluster.tick()
        assert len(cluster.computed) == gone + 1
        owner = cluster.computed[-1][0]
        cluster.schedules[owner] = Schedule(cluster.clock, threaded=False)
    assert {number for number, _ in cluster.computed} == {0, 1, 2}


def test_repeated_when_the_function_is_dropped_stays_with_one(
    cluster: Cluster, repeat: Repeat
) -> None:
    """A drop between two processes' looks does not make a second owner."""
    for number in range(2):
        repeat(number)
    cluster.clock.advance(EVERY)
    cluster.schedules[0].tick()
    cluster.functions[2].invalidate_all()
    cluster.schedules[1].tick()
    cluster.tick()
    assert len(cluster.computed) == 1


def test_repeated_for_different_calls_and_periods_are_apart(
    cluster: Cluster, repeat: Repeat
) -> None:
    """Arguments and seconds tell what is repeated."""
    for number in range(2):
        repeat(number, "EUR")
        repeat(number, "USD")
        repeat(number, "GBP", every=timedelta(seconds=2 * EVERY))
    for _ in range(4):
        cluster.clock.advance(EVERY)
        cluster.tick()
    currencies = sorted(currency for _, currency in cluster.computed)
    assert currencies == ["EUR"] * 4 + ["GBP"] * 2 + ["USD"] * 4


def test_repeated_when_a_process_slept_does_the_present_slot_only(
    cluster: Cluster, repeat: Repeat
) -> None:
    """What was missed is not made up for."""
    repeat(0)
    cluster.clock.advance(10 * EVERY)
    cluster.tick()
    assert len(cluster.computed) == 1


def test_repeated_when_the_wall_clock_goes_back_is_not_done_twice(
    cluster: Cluster, repeat: Repeat
) -> None:
    """A slot that was served is served, whatever the clock says later."""
    for number in range(2):
        repeat(number)
    cluster.clock.advance(EVERY + 5)
    cluster.tick()
    cluster.clock.jump(-10)
    cluster.tick()
    cluster.clock.jump(11)
    cluster.tick()
    assert len(cluster.computed) == 1


def test_repeated_in_memory_is_each_processes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a shared tier, every process refreshes what it has."""
    cluster = Cluster(2, shared=False)
    for number in range(2):
        cluster.repeat(monkeypatch, number)
    cluster.clock.advance(EVERY)
    cluster.tick()
    assert sorted(number for number, _ in cluster.computed) == [0, 1]


def test_repeated_when_stopped_ends(cluster: Cluster, repeat: Repeat) -> None:
    """And costs nothing any more."""
    repetition = repeat(0)
    cluster.clock.advance(EVERY)
    cluster.tick()
    repetition.stop()
    cluster.clock.advance(EVERY)
    cluster.tick()
    assert len(cluster.computed) == 1
    assert cluster.schedules[0].tick() == math.inf


def test_repeated_when_the_function_is_gone_ends(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule keeps no function alive."""
    monkeypatch.setattr("tiercel.cached.SCHEDULE", cluster.schedules[0])
    function = cluster._function(9)
    function.refresh_every(EVERY)
    del function
    gc.collect()
    cluster.clock.advance(EVERY)
    cluster.tick()
    assert cluster.computed == []
    assert cluster.schedules[0].tick() == math.inf


def test_repeated_when_the_shared_tier_is_down_waits_for_the_next_time(
    cluster: Cluster, repeat: Repeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody computes what he could not store; later it goes on."""
    repeat(0)
    execute = cluster.store.execute  # type: ignore[union-attr]

    def refuse(command: Any) -> Any:
        raise BackendUnavailable("down")

    monkeypatch.setattr(cluster.store, "execute", refuse)
    cluster.clock.advance(EVERY)
    cluster.tick()
    assert cluster.computed == []
    monkeypatch.setattr(cluster.store, "execute", execute)
    cluster.clock.advance(EVERY)
    cluster.tick()
    assert len(cluster.computed) == 1


def test_repeated_when_it_fails_is_tried_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is logged with the function's name and ends nothing."""
    monkeypatch.setattr("tiercel.cached.SCHEDULE", cluster.schedules[0])
    attempts: list[int] = []

    def fail() -> None:
        attempts.append(1)
        raise ValueError("no rates")

    function = cluster.caches[0].cached(name="shop:fail")(fail)
    function.refresh_every(EVERY)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            cluster.clock.advance(EVERY)
            cluster.tick()
    assert len(attempts) == 2
    assert "refresh of shop:fail failed in the background" in caplog.text


def test_repeated_for_a_coroutine_function_runs_on_a_loop(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no event loop runs, a thread has one."""
    monkeypatch.setattr("tiercel.cached.SCHEDULE", cluster.schedules[0])
    done = threading.Event()

    async def rate() -> int:
        done.set()
        return 1

    function = cluster.caches[0].cached(name="shop:arate")(rate)
    function.refresh_every(EVERY)
    cluster.clock.advance(EVERY)
    cluster.tick()
    assert done.wait(60)


def test_repeated_method_keeps_its_object() -> None:
    """A method of an object is repeated for that object."""
    calls: list[str] = []
    clock = VirtualClock()
    cache = Cache(clock=clock)

    class Shop:
        def __cache_key__(self) -> str:
            return "shop"

        @cache.cached
        def price(self, product: str) -> None:
            calls.append(product)

    mine = Schedule(clock, threaded=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tiercel.cached.SCHEDULE", mine)
        Shop().price.refresh_every(EVERY, "bread")
    clock.advance(EVERY)
    mine.tick()
    wait_until(lambda: calls == ["bread"])


@pytest.mark.parametrize("seconds", [0, -1, "often", None, True])
def test_repeated_when_the_period_cannot_work_is_refused(cluster: Cluster, seconds: Any) -> None:
    """It must be a duration, and longer than none."""
    with pytest.raises(ConfigurationError, match="refresh_every"):
        cluster.functions[0].refresh_every(seconds)


def test_repeated_when_the_arguments_do_not_fit_is_refused(cluster: Cluster) -> None:
    """At once, not in a minute and in a thread."""
    with pytest.raises(TypeError):
        cluster.functions[0].refresh_every(EVERY, 1, 2, 3)
