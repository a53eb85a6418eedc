"""A server without memory, and one that evicts what the protocol is made of."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from tests.faults.rig import PATIENT, Rig, Shape, note, under_load
from tiercel.testing.servers import RedisServer

FILL = "for n = 1, 60 do redis.call('SET', KEYS[1] .. n, string.rep('x', 10000)) end"


@pytest.fixture
def rig(redis: RedisServer, shape: Shape) -> Iterator[Rig]:
    with Rig(redis.url, shape, timeout=PATIENT) as rig:
        yield rig


def test_server_when_out_of_memory_then_reads_and_drops_work_and_fills_are_reported(
    rig: Rig, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Under noeviction: what is there is served, what is dropped is gone, nothing is raised."""
    for item in range(5):
        assert rig.call(item) == 0
    redis.command("CONFIG", "SET", "maxmemory", "1")
    before = rig.source.asked.copy()
    assert [rig.call(item) for item in range(5)] == [0] * 5
    assert rig.source.asked == before
    rig.change(1, how=2)
    rig.change(2, how=1)
    assert [rig.call(item) for item in (0, 1, 2, 3, 4, 9)] == [0, 1, 1, 0, 0, 0]
    time.sleep(0.25)  # for longer than `max_lag` memory keeps nothing that was not stored
    assert [rig.call(item) for item in (1, 2, 9)] == [1, 1, 0]
    assert (rig.source.asked[1], rig.source.asked[9]) == (3, 2)
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert any("out of memory" in line for line in warned)
    assert len(warned) <= 3
    assert not rig.cache.engine.pending
    redis.command("CONFIG", "SET", "maxmemory", "0")
    assert [rig.call(9), rig.call(9)] == [0, 0]
    time.sleep(0.25)
    asked = rig.source.asked[9]
    assert rig.call(9) == 0
    assert rig.source.asked[9] <= asked + (asked == 2)


def test_server_when_it_evicts_under_load_then_nothing_is_stale(shape: Shape) -> None:
    """Under allkeys-lru, stamps, leases and streams are lost at random: misses, nothing worse."""
    options = {"maxmemory": "2mb", "maxmemory-policy": "allkeys-lru", "maxmemory-samples": "1"}
    with RedisServer(options) as redis, Rig(redis.url, shape, timeout=PATIENT) as rig:
        rig.source.pause = 0.001

        def happens() -> None:
            for _ in range(12):
                redis.command("EVAL", FILL, 1, f"filler{time.monotonic()}")
                time.sleep(0.05)

        tally = under_load(rig, happens)
        statistics = redis.command("INFO", "stats").splitlines()
        evicted = next(int(s.split(":")[1]) for s in statistics if s.startswith("evicted_keys"))
        note(f"{shape}: {evicted} evicted, {tally}")
        assert tally.errors == []
        assert tally.wrong == []
        assert evicted > 100
