"""A server that was never there, dies, hangs or comes back: callers get values, soon and true."""

from __future__ import annotations

import logging
import time
from random import Random
from statistics import median

import pytest

from tests.faults.rig import (
    PATIENCE,
    PATIENT,
    SHAPES,
    SLACK,
    TIMEOUT,
    Rig,
    Shape,
    Tally,
    note,
    quantiles,
    timed,
    under_load,
)
from tiercel.testing.servers import RedisServer, free_port, wait_until

LONGEST = {
    True: SLACK,
    False: 2 * TIMEOUT
    + SLACK,  # who reads in time may still wait in vain to take a lease or to store
}
"""Seconds that a call may take while the server is healthy, and while it is not."""


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What an operator would see."""
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_server_when_it_was_never_there_then_callers_do_not_notice(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """Values are computed, a call costs microseconds more, and the log says so once."""
    server = RedisServer(port=free_port())
    with Rig(server.url, shape, timeout=PATIENT) as rig:
        answers = [timed(lambda n=n: rig.call(n % 100)) for n in range(1000)]  # type: ignore[misc]
        rig.change(1)
        assert rig.call(1) == 1
        note(f"{shape}: {quantiles([took for _, took in answers])}")
        assert [value for value, _ in answers] == [0] * 1000
        assert median(took for _, took in answers) < 0.002
        lines = logged(caplog)
        assert len(lines) == 2  # computed without it; unavailable
        with server:
            wait_until(rig.recovered, "the drop that is owed, without a call", PATIENCE)
            assert rig.call(1) == 1
            before = rig.source.asked.copy()
            rig.change(1)
            assert [rig.call(1), rig.call(1)] == [2, 2]
            assert rig.source.asked[1] == before[1] + 1
        assert len(logged(caplog)) == len(lines) + 1  # available again


@pytest.mark.parametrize("comes_back", ["healthy", "empty", "same"])
def test_server_when_it_fails_under_load_then_nothing_is_stale_or_late(
    rig: Rig, redis: RedisServer, comes_back: str
) -> None:
    """Killed and restarted empty, or stopped and continued, with callers and droppers at work."""
    judge(rig, under_load(rig, lambda: fail(redis, comes_back, 0.4)), comes_back)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_server_when_it_fails_again_and_again_then_nothing_is_stale_or_late(
    rig: Rig, redis: RedisServer, seed: int
) -> None:
    """The same for longer, at random."""
    random = Random(seed)

    def happens() -> None:
        for _ in range(8):
            fail(redis, random.choice(("same", "empty")), random.uniform(0.05, 1.5))

    judge(rig, under_load(rig, happens, seed=seed), f"seed {seed}")


def fail(redis: RedisServer, comes_back: str, seconds: float) -> None:
    """Take the server away for a while, between two times of health."""
    time.sleep(0.2)
    if comes_back == "empty":
        redis.kill()
        time.sleep(seconds)
        redis.start()
    elif comes_back == "same":
        redis.pause()
        time.sleep(seconds)
        redis.resume()
    time.sleep(0.4)


def judge(rig: Rig, tally: Tally, comes_back: str) -> None:
    """Check what callers saw, and that one computation per item is enough afterwards."""
    note(f"{rig.shape}, {comes_back}: {tally}")
    assert tally.errors == []
    assert tally.wrong == []
    assert max(tally.latencies) < LONGEST[comes_back == "healthy"] + 3 * tally.held_up
    note(f"recovered {rig.await_recovery():.2f} s after the end")
    wait_until(lambda: one_is_enough(rig, range(16)), "one computation per item", PATIENCE)


def one_is_enough(rig: Rig, items: range) -> bool:
    """Read items again and again; tell whether none was computed more than once."""
    before = rig.source.asked.copy()
    values = [[rig.call(item) for item in items] for _ in range(3)]
    assert values[0] == values[1] == values[2]
    return all(rig.source.asked[item] <= before[item] + 1 for item in items)


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]], ids=str)
def test_server_when_it_hangs_then_one_call_waits_and_later_ones_do_not(
    rig: Rig, redis: RedisServer
) -> None:
    """Each of the first calls takes the time limit; once the breaker is open, microseconds."""
    rig.call(0)
    redis.pause()
    first = [timed(lambda n=n: rig.call(n))[1] for n in range(100, 104)]  # type: ignore[misc]
    later = [timed(lambda n=n: rig.call(n))[1] for n in range(200, 400)]  # type: ignore[misc]
    redis.resume()
    note(f"{rig.shape}: first {[f'{s:.3f}' for s in first]}, later {quantiles(later)}")
    assert min(first) < TIMEOUT + SLACK  # the machine may hold some of them up
    assert median(later) < TIMEOUT / 40
    assert sum(took > TIMEOUT / 2 for took in later) < 20  # a few probes, however slow the rest
    rig.await_recovery()
    wait_until(lambda: one_is_enough(rig, range(500, 501)), "one computation", PATIENCE)
