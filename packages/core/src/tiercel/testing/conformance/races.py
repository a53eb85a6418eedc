"""Many clients at once, judged by the versions of a source that only grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tiercel.contracts.backend import Begin, Capability, DropKey, Granted, Key, Release
from tiercel.testing.conformance.threads import Threads
from tiercel.testing.conformance.tier import LONG, Tier, needs

ROUNDS = 40
"""Changes that each writer makes."""

PATIENCE = 30.0
"""Seconds that a writer waits for readers at most."""

READS = 4
"""Reads that end between two changes of a writer, so that changes and reads do meet."""

COMPUTING = 0.002
"""Seconds that a holder keeps its lease."""


class Source:
    """The data behind the cache: a version that grows, and the last one whose drop is done.

    A value is stale iff its version is below `acknowledged` as it was before the read began.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read = threading.Condition()
        self.version = 0
        self.acknowledged = 0
        self.reads = 0
        self.failed = False

    def change(self) -> int:
        """Commit a change; return its version."""
        with self._lock:
            self.version += 1
            return self.version

    def acknowledge(self, version: int) -> None:
        """Note that everything before `version` has been dropped."""
        with self._lock:
            self.acknowledged = max(self.acknowledged, version)

    def was_read(self) -> None:
        """Note that one more read has ended."""
        with self._read:
            self.reads += 1
            self._read.notify_all()

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Let nobody wait for others any more once somebody raises in here."""
        try:
            yield
        except BaseException:
            with self._read:
                self.failed = True
                self._read.notify_all()
            raise

    def await_reads(self, count: int) -> None:
        """Wait until `count` more reads have ended, for a few seconds at most."""
        with self._read:
            enough = self.reads + count
            done = lambda: self.failed or self.reads >= enough  # noqa: E731
            assert self._read.wait_for(done, PATIENCE), "nobody reads"


class RaceTests:
    """What the fixed schedules do not reach, found by repetition."""

    def test_readers_never_see_what_was_dropped_before_they_began(self, tier: Tier) -> None:
        """Three readers fill and two writers drop keys, partitions and functions (P1)."""
        source, key, done = Source(), tier.key(), threading.Event()
        stale: list[tuple[int, int]] = []

        def read(_: int) -> int:
            served = 0
            with source.taking_part(), tier.other() as mine:
                while not done.is_set():
                    needed = source.acknowledged
                    version = _cached(mine, key, source)
                    served += 1
                    if version < needed:
                        stale.append((version, needed))
                    source.was_read()
            return served

        def write(which: int) -> None:
            with source.taking_part(), tier.other() as mine:
                for number in range(ROUNDS):
                    source.await_reads(READS)
                    version = source.change()
                    _drop(mine, key, number + which)
                    source.acknowledge(version)

        with Threads(5) as pool:
            readers = [pool.submit(read, n) for n in range(3)]
            try:
                for writer in [pool.submit(write, n) for n in range(2)]:
                    writer.result()
            finally:
                done.set()
            assert min(reader.result() for reader in readers) > 0
        assert stale == []
        assert _cached(tier, key, source) == 2 * ROUNDS

    @needs(Capability.ATOMIC)
    def test_holders_of_one_key_never_overlap(self, tier: Tier) -> None:
        """Between a grant and the release of that lease nobody else is granted one (P4)."""
        key, holders = tier.key(), threading.Semaphore(1)

        def hold(_: int) -> tuple[int, int]:
            grants = overlaps = 0
            with tier.other() as mine:
                for _ in range(ROUNDS):
                    begun = mine.run(Begin(key, LONG, LONG))
                    if isinstance(begun, Granted):
                        alone = holders.acquire(blocking=False)
                        grants, overlaps = grants + 1, overlaps + (not alone)
                        time.sleep(COMPUTING)
                        if alone:
                            holders.release()
                        mine.run(Release(key, begun.token))
            return grants, overlaps

        with Threads(4) as pool:
            grants, overlaps = map(sum, zip(*pool.map(hold, range(4)), strict=True))
        assert grants > 0
        assert overlaps == 0


def _cached(tier: Tier, key: Key, source: Source) -> int:
    """Serve the version as the engine would: read, else begin, compute and fill."""
    found = tier.value(key)
    if found is not None:
        return int(found)
    begun = tier.run(Begin(key, LONG, LONG))
    version = source.version
    if isinstance(begun, Granted):
        tier.fill(key, begun, b"%d" % version)
    return version


def _drop(tier: Tier, key: Key, turn: int) -> None:
    if turn % 3 == 0:
        tier.run(DropKey(key))
    else:
        tier.drop(tier.partition() if turn % 3 == 1 else tier.function())
