"""Who holds a lease dies or falls asleep in the middle of its computation."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest

from tests.faults.programs import program
from tests.faults.rig import PATIENCE, PATIENT, SHAPES, Rig, Shape, Source, note, timed
from tiercel.contracts.backend import Command, Held, ReadThenBegin
from tiercel.engine import lease
from tiercel.testing.servers import RedisServer

LEASE = 2.0
TWO = [SHAPES[0], SHAPES[3]]


@pytest.mark.parametrize("shape", TWO, ids=str)
def test_holder_when_killed_then_another_computes_after_its_lease(
    redis: RedisServer, shape: Shape
) -> None:
    """A lease is no longer renewed when its process is dead."""
    with Rig(redis.url, shape, name="held", lease=LEASE, timeout=PATIENT) as rig:
        with program("holder", redis.url, str(LEASE)) as holder:
            assert holder.hear() == "computing"
            time.sleep(LEASE * 1.2)  # it renews
            holder.kill()
        left = lease_left(redis)
        value, took = timed(lambda: rig.call(1))
        note(f"{shape}: another computed after {took:.2f} s, the lease lasted {left:.2f} s")
        assert value == 0
        assert left > 0
        assert 0.9 * left - 0.1 < took < LEASE + 10


def lease_left(redis: RedisServer) -> float:
    """Return for how many seconds the only lease is still held."""
    (name,) = redis.command("KEYS", "*!lease").split()
    return int(redis.command("PTTL", name)) / 1000


@pytest.mark.parametrize("shape", TWO, ids=str)
def test_holder_when_it_slept_past_its_lease_then_it_cannot_overwrite(
    redis: RedisServer, shape: Shape
) -> None:
    """Its own caller gets what it computed, and nobody else does."""
    source = Source()
    source.change(1)
    with Rig(redis.url, shape, source, name="held", lease=LEASE, timeout=PATIENT) as rig:
        with program("holder", redis.url, str(LEASE)) as holder:
            assert holder.hear() == "computing"
            holder.signal(signal.SIGSTOP)
            value, took = timed(lambda: rig.call(1))
            note(f"{shape}: another computed after {took:.2f} s")
            assert value == 1
            holder.tell()
            holder.signal(signal.SIGCONT)
            assert holder.hear() == {"value": 0, "refused": 1}
        assert rig.call(1) == 1
        with Rig(redis.url, shape, source, name="held", timeout=PATIENT) as fresh:
            assert fresh.call(1) == 1
        assert source.asked[1] == 1


def test_waiter_when_the_value_comes_before_it_waits_then_it_is_not_held_up(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake that arrives between the answer `Held` and the wait is not lost."""
    shape = Shape(asynchronous=False, memory=False)
    computing, may_end = threading.Event(), threading.Event()

    def compute(_: int) -> int:
        computing.set()
        assert may_end.wait(PATIENCE)
        return 7

    monkeypatch.setattr(lease, "RECONSIDER", 2 * PATIENCE)
    with (
        Rig(redis.url, shape, timeout=PATIENT) as holder,
        Rig(redis.url, shape, timeout=PATIENT) as waiter,
    ):
        function = holder.cached(compute, "woken", lease=4 * PATIENCE, wait=4 * PATIENCE)
        waiting = waiter.cached(compute, "woken", lease=4 * PATIENCE, wait=4 * PATIENCE)
        waiting.cached_function.subject.missing = 1.0  # asks for the lease along with the value
        backend = waiter.cache.shared
        assert backend is not None
        execute = backend.execute

        def answered_late(command: Command[Any]) -> Any:
            answer = execute(command)
            if isinstance(command, ReadThenBegin):
                assert isinstance(answer[1], Held)
                may_end.set()
                first.join()
                time.sleep(0.1)  # for the wake to arrive
            return answer

        monkeypatch.setattr(backend, "execute", answered_late)
        first = threading.Thread(target=function, args=(1,))
        first.start()
        assert computing.wait(PATIENCE)
        value, took = timed(lambda: waiting(1))
        assert value == 7
        assert took < PATIENCE
