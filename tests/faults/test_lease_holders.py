"""Who holds a lease dies or falls asleep in the middle of its computation."""

from __future__ import annotations

import signal
import time

from tests.faults.programs import program
from tests.faults.rig import Rig, Shape, Source, timed
from tiercel.testing.servers import RedisServer

LEASE = 0.6


def test_holder_when_killed_then_another_computes_after_its_lease(
    redis: RedisServer, shape: Shape
) -> None:
    """A lease is no longer renewed when its process is dead."""
    with Rig(redis.url, shape, name="held", lease=LEASE) as rig:
        with program("holder", redis.url, str(LEASE)) as holder:
            assert holder.hear() == "computing"
            time.sleep(LEASE * 1.2)  # it renews
            holder.kill()
        value, took = timed(lambda: rig.call(1))
        print(f"\n{shape}: another computed after {took:.2f} s")
        assert value == 0
        assert LEASE / 4 < took < LEASE * 1.2 + 0.5


def test_holder_when_it_slept_past_its_lease_then_it_cannot_overwrite(
    redis: RedisServer, shape: Shape
) -> None:
    """Its own caller gets what it computed, and nobody else does."""
    source = Source()
    source.change(1)
    with Rig(redis.url, shape, source, name="held", lease=LEASE) as rig:
        with program("holder", redis.url, str(LEASE)) as holder:
            assert holder.hear() == "computing"
            holder.signal(signal.SIGSTOP)
            value, took = timed(lambda: rig.call(1))
            print(f"\n{shape}: another computed after {took:.2f} s")
            assert value == 1
            holder.tell()
            holder.signal(signal.SIGCONT)
            assert holder.hear() == {"value": 0, "refused": 1}
        assert rig.call(1) == 1
        with Rig(redis.url, shape, source, name="held") as fresh:
            assert fresh.call(1) == 1
        assert source.asked[1] == 1
