"""A child is of one mind with everybody else, whatever its parent was doing when it forked."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiercel.spi import BackendLocation, Poll
from tiercel.testing.conformance.bench import in_child
from tiercel.testing.conformance.channel import start
from tiercel.testing.conformance.tier import Tier
from tiercel_sqlite import forks
from tiercel_sqlite.backend import SQLiteBackend

PATIENCE = 60.0
"""Seconds that a child may take; one that hangs has no other end."""


@pytest.fixture
def tier(tmp_path: Path) -> Iterator[Tier]:
    backend = SQLiteBackend(BackendLocation(f"sqlite:///{tmp_path}/c.db", timeout=20.0))
    yield Tier(backend, space="tiercel:test")
    backend.close()


@contextmanager
def repeated(act: Callable[[int], object]) -> Iterator[None]:
    """Let two threads do this over and over, meanwhile."""
    stop = threading.Event()

    def go(number: int) -> None:
        while not stop.is_set():
            act(number)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_child_forked_while_other_threads_write_can_write(tier: Tier) -> None:
    """Locks that threads of the parent had are not those of the child, which would never end."""

    def write() -> None:
        for number in range(3):
            tier.store(tier.key(f"{os.getpid()}-{number}"), b"value")

    with repeated(lambda number: tier.drop(tier.partition(f"p{number}"))):
        assert [in_child(write, PATIENCE) for _ in range(20)] == [0] * 20


def test_child_when_its_parent_lets_go_of_the_file_still_sees_what_others_do(tier: Tier) -> None:
    """The parent was the last that SQLite knew of: it must not delete the log of its child."""
    tier.store(tier.key("before"), b"value")

    def let_go() -> None:
        wait_for(lambda: tier.value(tier.key("child")) == b"value")
        tier.backend.close()  # as the end of the process would
        tier.store(tier.key("after"), b"value")

    def read() -> None:
        tier.store(tier.key("child"), b"value")
        wait_for(lambda: tier.value(tier.key("after")) == b"value")
        tier.store(tier.key("last"), b"value")

    parent = threading.Thread(target=let_go)
    parent.start()
    assert in_child(read, PATIENCE) == 0
    parent.join()
    assert tier.value(tier.key("last")) == b"value"


def test_fork_waits_for_no_one_who_only_waits(tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for news comes out before a fork, and asks again after it."""
    monkeypatch.setattr(forks, "PATIENCE", 10 * PATIENCE)
    positions = start(tier)
    with repeated(lambda _: tier.run(Poll(positions, 5 * PATIENCE))):
        time.sleep(0.02)  # so that they are waiting, most likely
        assert in_child(lambda: None, PATIENCE) == 0
        tier.drop(tier.partition("p"))  # ends what they wait for


def test_fork_when_somebody_stays_inside_goes_on_without_him(
    tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork in the midst of a command, as in the handler of a signal, does not wait for itself."""
    monkeypatch.setattr(forks, "PATIENCE", 0.05)
    tier.store(tier.key(), b"value")
    with forks.GATE:
        assert in_child(lambda: None, PATIENCE) == 0
    assert tier.value(tier.key()) == b"value"


def wait_for(done: Callable[[], bool]) -> None:
    """Look again and again, as long as the patience lasts."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)
