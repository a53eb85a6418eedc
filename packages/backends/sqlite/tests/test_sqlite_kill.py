"""Processes that are killed at any instant leave a whole file, and nothing stale."""

from __future__ import annotations

import mmap
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

from tiercel.spi import BackendLocation, Begin, DropKey, Granted
from tiercel.testing.conformance.tier import LONG, Tier
from tiercel_sqlite.backend import SQLiteBackend

VERSION, ACKNOWLEDGED, STALE, *SERVED = range(5)
"""Places in the memory that all processes share: the source, and what the workers saw.

Two workers live at a time, and each counts in a place of its own what it was served. Places are
written through a cast view, in one step: `struct.pack_into` fills a place with zeros first, which
another process may read.
"""

LIVES = 40
AT_LEAST, AT_MOST = 3, 12
"""What is served between two kills: by the number, since a busy machine serves less in a time."""

PATIENCE = 60.0
"""Seconds that this may take."""


def test_file_when_processes_are_killed_stays_whole_and_fresh(tmp_path: Path) -> None:
    """Forty workers die by SIGKILL while data changes; no drop is ever undone (P1)."""
    chance, shared = random.Random(7), memoryview(mmap.mmap(-1, 40)).cast("q")
    tier = _open(tmp_path)
    workers = [_start(tmp_path, shared, seed) for seed in range(2)]
    for seed in range(2, 2 + LIVES):
        _change_until_served(tier, shared, chance.randint(AT_LEAST, AT_MOST))
        time.sleep(chance.uniform(0.0, 0.003))
        _kill(workers.pop(0))
        workers.append(_start(tmp_path, shared, seed))
    for worker in workers:
        _kill(worker)
    tier.backend.close()
    assert shared[STALE] == 0
    assert _served(shared) >= LIVES * AT_LEAST
    assert shared[VERSION] >= LIVES
    _check_file(tmp_path / "c.db")


def _open(directory: Path) -> Tier:
    location = BackendLocation(f"sqlite:///{directory}/c.db", timeout=60.0)
    return Tier(SQLiteBackend(location), space="tiercel:kill")


def _change_until_served(tier: Tier, shared: memoryview[int], count: int) -> None:
    """Change once at least, and again and again until so many values have been served.

    Ever more slowly: where changes outrun the workers, nothing is ever served.
    """
    enough, deadline, pause = _served(shared) + count, time.monotonic() + PATIENCE, 0.001
    while True:
        _change(tier, shared)
        time.sleep(pause)
        if _served(shared) >= enough:
            return
        assert time.monotonic() < deadline, f"{count} values were not served in {PATIENCE:g} s"
        pause *= 1.1


def _change(tier: Tier, shared: memoryview[int]) -> None:
    version = shared[VERSION] + 1
    shared[VERSION] = version
    tier.drop(tier.partition() if version % 2 else tier.function())
    shared[ACKNOWLEDGED] = version


def _start(directory: Path, shared: memoryview[int], seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            _work(_open(directory), shared, SERVED[seed % 2], random.Random(seed))
        finally:
            os._exit(1)
    return pid


def _work(tier: Tier, shared: memoryview[int], served: int, chance: random.Random) -> None:
    while True:
        key = tier.key(f"k{chance.randrange(3)}")
        needed = shared[ACKNOWLEDGED]
        found = tier.value(key)
        if found is not None:
            shared[served] += 1
            if int(found) < needed:
                shared[STALE] = int(found) or 1
        begun = tier.run(Begin(key, 0.2, LONG, force=chance.random() < 0.3))
        if isinstance(begun, Granted):
            tier.fill(key, begun, b"%d" % shared[VERSION])
        if chance.random() < 0.2:
            tier.run(DropKey(key))


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "a worker ended by itself"


def _check_file(path: Path) -> None:
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    totals = "SELECT entries, stamps FROM totals"
    counts = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM stamps)"
    assert db.execute(totals).fetchone() == db.execute(counts).fetchone()
    db.close()


def _served(shared: memoryview[int]) -> int:
    return sum(shared[place] for place in SERVED)
