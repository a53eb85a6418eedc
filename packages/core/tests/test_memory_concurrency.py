"""Threads and forks around the memory tier."""

from __future__ import annotations

import os
import threading

import pytest

from packages.core.tests.test_memory_tier import INF, store
from tiercel.memory import MemoryTier


def test_threads_when_they_read_write_and_drop_then_no_dropped_value_is_served() -> None:
    """After its drop returned, no thread finds a value that was reserved before it."""
    tier = MemoryTier(64, by_text=True)
    tables = [tier.table("plain"), tier.table("parts", 1)]
    versions = [0] * 16
    wrong: list[object] = []
    stop = threading.Event()

    def scopes(key: int) -> tuple[str, str]:
        return ("parts", f"p{key}")

    def write(seed: int) -> None:
        for step in range(3000):
            key = (step * 7 + seed) % 16
            table = tables[step % 2]
            reservation = table.reserve(
                key, f"{table.name}:{key}", scopes(key) if table.partitions else ()
            )
            value = versions[key]
            table.commit(reservation, value, INF)

    def drop() -> None:
        step = 0
        while not stop.is_set():
            key = step = (step + 1) % 16
            versions[key] += 1
            now = versions[key]
            tables[0].drop_key(key) if step % 3 else tier.drop_name(f"plain:{key}")
            tier.drop_name(f"p{key}")
            for table in tables:
                entry = table.find(key)
                value = getattr(entry, "value", now)
                if value < now:
                    wrong.append((table.name, key, value, now))

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    dropper = threading.Thread(target=drop)
    for thread in (*writers, dropper):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    dropper.join()
    assert wrong == []
    assert len(tier) <= 80
    assert not any(table.root.generation.rivals for table in tables)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_fork_when_another_thread_writes_then_the_child_can_write() -> None:
    """A child never inherits a lock that some thread of its parent held."""
    tier = MemoryTier(10)
    table = tier.table("f")
    stop = threading.Event()

    def write() -> None:
        key = 0
        while not stop.is_set():
            key += 1
            store(table, key)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(0 if store(table, "child") is not None else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        writer.join()
