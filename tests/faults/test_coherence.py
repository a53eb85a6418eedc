"""The memory of every process follows what is dropped in another, channel trouble included."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from struct import calcsize
from typing import Any

import pytest

from tests.faults.programs import program
from tests.faults.rig import note, quantiles
from tests.faults.workers import CROWD, VERSION
from tiercel.testing.proxy import TcpProxy
from tiercel.testing.servers import RedisServer

MAX_LAG = 0.3
ITEMS = 64
PAUSE = 0.05
"""Seconds."""

Sightings = Sequence[tuple[float, int, int]]
"""When, which item, which version."""


def by_item(sightings: Iterable[tuple[float, int, int]]) -> dict[int, list[tuple[float, int]]]:
    """Return when which version was there, in order, for each item."""
    found: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for when, item, version in sorted(sightings):
        found[item].append((when, version))
    return found


def violations(seen: Sightings, acknowledged: Sightings) -> list[tuple[float, int, int, int]]:
    """Return what was read although it had been dropped for longer than `MAX_LAG`."""
    found, reads = [], by_item(seen)
    for item, drops in by_item(acknowledged).items():
        times, newest = [when for when, _ in drops], 0
        least = [newest := max(newest, version) for _, version in drops]
        for when, version in reads[item]:
            known = bisect_right(times, when - MAX_LAG)
            if known and version < least[known - 1]:
                found.append((when, item, version, least[known - 1]))
    return found


def delays(seen: Sightings, acknowledged: Sightings) -> Iterator[float]:
    """Yield for how long after each drop an older value was read.

    Counted are the pauses between two reads, each up to `PAUSE`: where a busy machine lets nobody
    read for longer, nothing old is served either.
    """
    reads = by_item(seen)
    for when, item, version in acknowledged:
        lag, last, begun = 0.0, when, bisect_left(reads[item], (when, 0))
        for at, now in reads[item][begun:]:
            lag, last = lag + min(at - last, PAUSE), at
            if now >= version:
                yield lag
                break


@contextmanager
def cut_at_random(proxy: TcpProxy) -> Iterator[list[str]]:
    """Break the way to Redis again and again: reset it, leave it cut, or let it stall.

    It is left alone for longer than the breakers of the processes stay open, or nothing would be
    shared at all.
    """
    ended, done, random = threading.Event(), list[str](), Random(1)

    def cut() -> None:
        while not ended.wait(random.uniform(0.3, 3.0)):
            how = random.choice(("reset", "cut", "stall"))
            done.append(how)
            proxy.stall() if how == "stall" else proxy.cut()
            if how != "reset":
                ended.wait(random.uniform(0.05, 0.4))
            proxy.heal()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()


def run(workers: Sequence[tuple[str, ...]], beside: Sequence[tuple[str, ...]] = ()) -> list[Any]:
    """Let workers begin at once; return what each of them reports, but not those beside them."""
    with ExitStack() as stack:
        programs = [stack.enter_context(program(*each)) for each in (*workers, *beside)]
        assert [each.hear() for each in programs] == ["ready"] * len(programs)
        for each in programs:
            each.tell()
        reports = [each.hear() for each in programs]
        for each in programs:
            each.end()
    return reports[: len(workers)]


def written(path: Path, items: int) -> str:
    """Make a file of versions, all 0."""
    path.write_bytes(bytes(calcsize(VERSION) * items))
    return str(path)


@pytest.mark.parametrize("operations", [16_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_processes_when_connections_are_cut_at_random_serve_nothing_dropped_long_ago(
    redis: RedisServer, tmp_path: Path, operations: int
) -> None:
    """Four processes with two tiers read, write and drop; P2 of the protocol."""
    truth, each = written(tmp_path / "truth", ITEMS), str(operations // CROWD)
    with TcpProxy(redis.port) as proxy, cut_at_random(proxy) as cuts:
        arguments = (f"redis://127.0.0.1:{proxy.port}/0", truth, each, str(MAX_LAG))
        reports = run([("mixer", *arguments, str(number)) for number in range(CROWD)])
    seen = [sighting for report in reports for sighting in report["seen"]]
    acknowledged = [drop for report in reports for drop in report["acknowledged"]]
    hits = sum(report["memory_hits"] for report in reports)
    lags = list(delays(seen, acknowledged))
    note(
        f"{len(seen)} reads, {hits} from memory, {len(acknowledged)} writes and drops, "
        f"{len(cuts)} cuts; from a drop to the next read that shows it: {quantiles(lags)}"
    )
    assert violations(seen, acknowledged) == []
    assert len(seen) > 0.85 * operations
    assert hits > len(seen) / 10
    assert len(acknowledged) > operations / 200


def test_violations_when_something_stale_was_read_are_found() -> None:
    """What the tests here look for would be seen."""
    acknowledged = [(1.0, 7, 1), (2.0, 7, 2), (2.1, 7, 1)]
    fine = [(1.2, 7, 0), (2.2, 7, 1), (2.5, 7, 2), (9.0, 8, 0)]
    assert violations(fine, acknowledged) == []
    assert violations([(1.4, 7, 0)], acknowledged) == [(1.4, 7, 0, 1)]
    assert violations([(2.5, 7, 1)], acknowledged) == [(2.5, 7, 1, 2)]


@pytest.mark.parametrize(
    ("seconds", "busy", "goal"),
    [
        (2.0, 0, MAX_LAG),
        pytest.param(20.0, 0, 0.005, marks=pytest.mark.long),
        pytest.param(20.0, 2, 0.025, marks=pytest.mark.long),
    ],
    ids=["short", "idle", "busy"],
)
def test_drops_when_nothing_is_cut_reach_other_processes_soon(
    redis: RedisServer, tmp_path: Path, seconds: float, busy: int, goal: float
) -> None:
    """Two readers that sleep most of the time, one that drops, and others that keep cores busy.

    The goals are those of the 99th percentile on a machine that does nothing else. Elsewhere that
    one says how the scheduler is loaded, so what is held up here is the 90th.
    """
    truth = written(tmp_path / "truth", 1)
    arguments = (redis.url, truth, str(seconds), str(MAX_LAG))
    workers = [("reader", *arguments), ("reader", *arguments), ("dropper", *arguments)]
    *readers, acknowledged = run(workers, [("burner", str(seconds))] * busy)
    lags = sorted(lag for reader in readers for lag in delays(reader["seen"], acknowledged))
    reached = "reached" if lags[int(len(lags) * 0.99)] < goal else "missed"
    note(
        f"{len(acknowledged)} drops, {busy} cores busy: propagation {quantiles(lags)}; "
        f"goal of {goal * 1e3:g} ms for p99 {reached}"
    )
    for reader in readers:
        assert violations(reader["seen"], acknowledged) == []
        assert reader["memory_hits"] > len(reader["seen"]) / 20
    assert len(acknowledged) > 10 * seconds
    assert lags[int(len(lags) * 0.9)] < goal
    assert lags[int(len(lags) * 0.99)] < MAX_LAG
