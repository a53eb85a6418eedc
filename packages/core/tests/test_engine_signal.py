"""A signal has no lock, so whoever waits and whoever sets it must find each other without one."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tiercel.engine.signal import Signal

ROUNDS = 300
PATIENCE = 30.0
"""Real seconds that a waiter takes whom nobody wakes."""


@pytest.fixture(autouse=True)
def _switching_often() -> Iterator[None]:
    """Let threads take turns after each few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def waiting(signal: Signal, woken: list[bool]) -> list[threading.Thread]:
    """Return threads that will wait for a signal, and say whether it was set."""

    def work() -> None:
        woken.append(signal.wait(PATIENCE))

    return [threading.Thread(target=work, daemon=True) for _ in range(3)]


class SetMeanwhile(list[Callable[[], object]]):
    """Those who wait for a signal, that is set just before somebody joins them."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal

    def append(self, wake: Callable[[], object]) -> None:
        self._signal.set()
        super().append(wake)


def test_signal_when_set_just_before_a_waiter_is_known_lets_him_go_on() -> None:
    """He looks again after he has registered, as whoever sets it cannot have found him."""
    began = time.monotonic()
    for wait in (Signal.wait, lambda *of: asyncio.run(Signal.await_(*of))):
        signal = Signal()
        signal._wakers = SetMeanwhile(signal)
        assert wait(signal, PATIENCE)
        assert time.monotonic() - began < PATIENCE, "he was not woken"
        assert not signal._wakers


def test_signal_when_set_while_threads_register_wakes_every_one() -> None:
    """Nobody misses it, neither before nor after it is set."""
    began = time.monotonic()
    for _ in range(ROUNDS):
        signal, woken = Signal(), list[bool]()
        waiters = waiting(signal, woken)
        for thread in waiters[:2]:
            thread.start()
        signal.set()
        waiters[2].start()
        for thread in waiters:
            thread.join(PATIENCE)
        assert woken == [True] * 3
        assert time.monotonic() - began < PATIENCE, "somebody was not woken"


def test_signal_when_two_threads_set_it_wakes_each_waiter() -> None:
    """Those who set it at once share the work, and leave nobody out."""
    began = time.monotonic()
    for _ in range(ROUNDS):
        signal, woken = Signal(), list[bool]()
        waiters = waiting(signal, woken)
        setters = [threading.Thread(target=signal.set) for _ in range(2)]
        for thread in (*waiters, *setters):
            thread.start()
        for thread in (*waiters, *setters):
            thread.join(PATIENCE)
        assert woken == [True] * 3
        assert time.monotonic() - began < PATIENCE, "somebody was not woken"


async def test_signal_when_set_by_a_thread_wakes_tasks() -> None:
    """Tasks of a loop wait without blocking it."""
    began = time.monotonic()
    for _ in range(ROUNDS):
        signal = Signal()
        tasks = [asyncio.create_task(signal.await_(PATIENCE)) for _ in range(3)]
        setter = threading.Thread(target=signal.set)
        setter.start()
        assert await asyncio.gather(*tasks) == [True] * 3
        setter.join()
        assert time.monotonic() - began < PATIENCE, "somebody was not woken"


def test_signal_when_nobody_sets_it_gives_up_and_forgets_the_waiter() -> None:
    """A waiter whose time is over leaves nothing behind."""
    signal = Signal()
    assert not signal.wait(0.001)
    assert not asyncio.run(signal.await_(0.001))
    assert not signal._wakers
