"""The memory of every process follows what is dropped in another, channel trouble included."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.faults.programs import program
from tests.faults.rig import note, quantiles
from tests.faults.workers import ITEMS, WORD
from tiercel.testing.servers import RedisServer

MAX_LAG = 0.3

Sightings = Sequence[tuple[float, int, int]]
"""When, which item, which version."""


def violations(seen: Sightings, acknowledged: Sightings) -> list[tuple[float, int, int, int]]:
    """Return what was read although it had been dropped for longer than `MAX_LAG`."""
    found = []
    for item in range(ITEMS):
        drops = [(when, version) for when, which, version in acknowledged if which == item]
        times = [when for when, _ in drops]
        for when, which, version in seen:
            known = bisect_right(times, when - MAX_LAG) if which == item else 0
            if known and version < drops[known - 1][1]:
                found.append((when, item, version, drops[known - 1][1]))
    return found


def delays(seen: Sightings, acknowledged: Sightings) -> Iterable[float]:
    """Yield how long after each drop its value, or a later one, was first read."""
    for when, item, version in acknowledged:
        later = (at for at, which, now in seen if at >= when and which == item and now >= version)
        if (first := next(later, None)) is not None:
            yield first - when


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=pytest.mark.long)])
def test_memory_when_connections_are_killed_at_random_then_lags_by_less_than_promised(
    redis: RedisServer, tmp_path: Path, seconds: float
) -> None:
    """Two readers and a dropper, each with two tiers; P2 of the protocol."""
    truth = tmp_path / "truth"
    truth.write_bytes(bytes(WORD.size * ITEMS))
    arguments = (redis.url, str(truth), str(seconds), str(MAX_LAG))
    random = Random(1)
    with ExitStack() as stack:
        roles = ("reader", "reader", "dropper")
        workers = [stack.enter_context(program(role, *arguments)) for role in roles]
        assert [worker.hear() for worker in workers] == ["ready"] * 3
        for worker in workers:
            worker.tell()
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            kind = random.choice(("normal", "pubsub"))
            redis.command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            time.sleep(random.random() * 0.3)
        *readers, acknowledged = [worker.hear() for worker in workers]
        assert [worker.end() for worker in workers] == [""] * 3
    for reader in readers:
        hits, reads = reader["memory_hits"], len(reader["seen"])
        lags = list(delays(reader["seen"], acknowledged))
        note(f"{reads} reads, {hits} from memory, {len(acknowledged)} drops: {quantiles(lags)}")
        assert violations(reader["seen"], acknowledged) == []
        assert hits > reads / 10
    assert len(acknowledged) > 10 * seconds
