"""Repeated refreshes by the scheduler of a dispatcher, and by the thread of a process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker, plugged
from packages.core.tests.stages import wait_until
from tiercel import Cache
from tiercel.dispatch import schedule
from tiercel.dispatch.schedule import Schedule
from tiercel.spi import perform_message, settle_schedules
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.testing.conformance.bench import in_child

EVERY = 60.0


@pytest.fixture
def broker() -> Iterator[ListBroker]:
    """Give a broker with a scheduler, known as dispatcher `list`."""
    broker = ListBroker()
    broker.schedules = {}
    with plugged(broker):
        yield broker


def test_repeated_when_the_dispatcher_has_a_scheduler_is_its_business(
    broker: ListBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets a name that is the same everywhere, and a message that a worker performs."""
    clock = VirtualClock()
    store = SimulatedBackend(clock)
    computed: list[str] = []
    mine = Schedule(clock, threaded=False)
    monkeypatch.setattr("tiercel.cached.SCHEDULE", mine)
    monkeypatch.setattr(schedule, "SCHEDULE", mine)
    kept = []
    for number in range(2):
        cache = Cache(backend=store, clock=clock, name=f"beat{number}")
        function = cache.cached(name="shop:beat", dispatcher="list")(computed.append)
        function.refresh_every(EVERY, "EUR")
        kept.append(function)
    assert broker.schedules == {}
    settle_schedules()
    assert broker.schedules is not None
    ((name, (every, message)),) = broker.schedules.items()
    assert name.startswith("tiercel:shop:beat:")
    assert every == EVERY
    clock.advance(10 * EVERY)
    mine.tick()
    assert computed == []
    assert broker.messages == []
    for _ in range(3):
        perform_message(message.text)
    assert computed == ["EUR"] * 3


def test_repeated_when_the_dispatcher_has_none_goes_through_its_queue(
    broker: ListBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread sends the message in each slot, and one process does so."""
    broker.schedules = None
    clock = VirtualClock()
    store = SimulatedBackend(clock)
    mine = [Schedule(clock, threaded=False) for _ in range(2)]
    kept = []
    for number in range(2):
        cache = Cache(backend=store, clock=clock, name=f"nobeat{number}")
        monkeypatch.setattr("tiercel.cached.SCHEDULE", mine[number])
        function = cache.cached(name="shop:nobeat", dispatcher="list")(lambda: 1)
        function.refresh_every(EVERY)
        kept.append(function)
    for _ in range(3):
        clock.advance(EVERY)
        for each in mine:
            each.tick()
    assert len(broker.messages) == 3


# The thread


def test_schedule_has_a_thread_that_is_never_in_the_way() -> None:
    """It starts with the first repetition, works, and does not keep a process from ending."""
    calls: list[int] = []
    cache = Cache()
    function: Any = cache.cached(lambda: calls.append(1))
    repetition = function.refresh_every(0.02)
    wait_until(lambda: len(calls) >= 3)
    repetition.stop()
    (thread,) = [each for each in threading.enumerate() if each.name == "tiercel-schedule"]
    assert thread.daemon


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not offered: no fork here")
def test_schedule_after_a_fork_goes_on_in_the_child() -> None:
    """A server that forks its workers after import has them refresh, too."""
    calls: list[int] = []
    cache = Cache()
    function: Any = cache.cached(lambda: calls.append(os.getpid()))
    repetition = function.refresh_every(0.02)
    wait_until(lambda: calls)
    try:
        assert in_child(lambda: wait_until(lambda: os.getpid() in calls), 10.0) == 0
    finally:
        repetition.stop()
