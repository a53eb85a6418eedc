"""Many clients at once, judged by the versions of a source that only grow."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tiercel.contracts.backend import Begin, Capability, DropKey, Granted, Key, Release
from tiercel.testing.conformance.tier import LONG, Tier, needs

ROUNDS = 40
"""Changes that each writer makes."""


COMPUTING = 0.002
"""Seconds that a holder keeps its lease."""


class Source:
    """The data behind the cache: a version that grows, and the last one whose drop is done.

    A value is stale iff its version is below `acknowledged` as it was before the read began.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.version = 0
        self.acknowledged = 0

    def change(self) -> int:
        """Commit a change; return its version."""
        with self._lock:
            self.version += 1
            return self.version

    def acknowledge(self, version: int) -> None:
        """Note that everything before `version` has been dropped."""
        with self._lock:
            self.acknowledged = max(self.acknowledged, version)


class RaceTests:
    """What the fixed schedules do not reach, found by repetition."""

    def test_readers_never_see_what_was_dropped_before_they_began(self, tier: Tier) -> None:
        """Three readers fill and two writers drop keys, partitions and functions (P1)."""
        source, key, done = Source(), tier.key(), threading.Event()
        stale: list[tuple[int, int]] = []

        def read(_: int) -> int:
            served = 0
            with tier.other() as mine:
                while not done.is_set():
                    needed = source.acknowledged
                    version = _cached(mine, key, source)
                    served += 1
                    if version < needed:
                        stale.append((version, needed))
            return served

        def write(which: int) -> None:
            with tier.other() as mine:
                for number in range(ROUNDS):
                    version = source.change()
                    _drop(mine, key, number + which)
                    source.acknowledge(version)

        with ThreadPoolExecutor(5) as pool:
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

        with ThreadPoolExecutor(4) as pool:
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
