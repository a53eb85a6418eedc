"""Processes that are killed at any instant leave a whole file, and nothing stale."""

from __future__ import annotations

import mmap
import os
import random
import signal
import sqlite3
import struct
import time
from pathlib import Path

from tiercel.spi import BackendLocation, Begin, DropKey, Granted
from tiercel.testing.conformance.tier import LONG, Tier
from tiercel_sqlite.backend import SQLiteBackend

VERSION, ACKNOWLEDGED, STALE, SERVED = 0, 8, 16, 24
"""Places in the memory that all processes share: the source, and what the workers saw."""


def test_file_when_processes_are_killed_stays_whole_and_fresh(tmp_path: Path) -> None:
    """Forty workers die by SIGKILL while data changes; no drop is ever undone (P1)."""
    chance, shared = random.Random(7), mmap.mmap(-1, 32)
    tier = _open(tmp_path)
    workers = [_start(tmp_path, shared, seed) for seed in range(2)]
    for seed in range(2, 42):
        until = time.monotonic() + chance.uniform(0.005, 0.05)
        while time.monotonic() < until:
            _change(tier, shared)
        _kill(workers.pop(0))
        workers.append(_start(tmp_path, shared, seed))
    for worker in workers:
        _kill(worker)
    tier.backend.close()
    assert _get(shared, STALE) == 0
    assert _get(shared, SERVED) > 100
    assert _get(shared, VERSION) > 40
    _check_file(tmp_path / "c.db")


def _open(directory: Path) -> Tier:
    location = BackendLocation(f"sqlite:///{directory}/c.db", timeout=5.0)
    return Tier(SQLiteBackend(location), space="tiercel:kill")


def _change(tier: Tier, shared: mmap.mmap) -> None:
    version = _get(shared, VERSION) + 1
    _put(shared, VERSION, version)
    tier.drop(tier.partition() if version % 2 else tier.function())
    _put(shared, ACKNOWLEDGED, version)
    time.sleep(0.001)


def _start(directory: Path, shared: mmap.mmap, seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            _work(_open(directory), shared, random.Random(seed))
        finally:
            os._exit(1)
    return pid


def _work(tier: Tier, shared: mmap.mmap, chance: random.Random) -> None:
    while True:
        key = tier.key(f"k{chance.randrange(3)}")
        needed = _get(shared, ACKNOWLEDGED)
        found = tier.value(key)
        if found is not None:
            _put(shared, SERVED, _get(shared, SERVED) + 1)
            if int(found) < needed:
                _put(shared, STALE, int(found) or 1)
        begun = tier.run(Begin(key, 0.2, LONG, force=chance.random() < 0.3))
        if isinstance(begun, Granted):
            tier.fill(key, begun, b"%d" % _get(shared, VERSION))
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


def _get(shared: mmap.mmap, place: int) -> int:
    return int(struct.unpack_from("<q", shared, place)[0])


def _put(shared: mmap.mmap, place: int, value: int) -> None:
    struct.pack_into("<q", shared, place, value)
