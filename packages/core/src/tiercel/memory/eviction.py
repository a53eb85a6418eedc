"""S3-FIFO with one visited bit: which entry leaves when the memory tier is full.

Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023; here with a single bit
per entry, a small queue of 20 % and ghosts for up to half the capacity. A hit sets one bit and
takes no lock; everything below runs under the lock of the tier.
"""

from __future__ import annotations

import math
import sys
from collections import deque

from tiercel.memory.entry import NEVER, Entry

MAX_SCAN = 64
"""Entries that one eviction looks at before it takes the next one, visited or not."""

IDLE_SWEEP = 2
BUSY_SWEEP = 8
"""Entries checked per write while dead ones are to be expected, and after some were found."""

MAX_PACE = 16
"""Writes that share one tidying at most, and entries that one makes room for."""


class Fifo:
    """A queue of entries, in two parts between which a sweep moves them, oldest first.

    Attributes:
        checked: Entries that the sweep under way has passed; all older than the others.
        unchecked: The others.
        size: How many entries there are.
    """

    __slots__ = ("checked", "size", "unchecked")

    def __init__(self) -> None:
        self.checked: deque[Entry] = deque()
        self.unchecked: deque[Entry] = deque()
        self.size = 0

    def turn(self) -> None:
        """Begin another sweep, after one that has passed all."""
        self.checked, self.unchecked = self.unchecked, self.checked


class Ghosts:
    """Hashes of keys that left the small queue unvisited: at least the last half of `capacity`.

    Attributes:
        half: How many `newer` may hold.
        newer: The last ones.
        older: Those before them.
    """

    __slots__ = ("half", "newer", "older")

    def __init__(self, capacity: int) -> None:
        self.half = capacity // 2
        self.newer: set[int] = set()
        self.older: set[int] = set()

    def turn(self) -> None:
        """Forget the older half; done now and then, which needs no queue."""
        self.older, self.newer = self.newer, set()


class S3Fifo:
    """The queues of one tier: which entries it holds, and in which order they leave.

    To look for what is to leave at every write would take longer than the rest of it. So it is
    done for up to 16 writes at once, where that is no more than a 64th of the entries.

    Attributes:
        room: How many more may be added before `tidy` must be called.
        dropped: How many entries were dropped one by one and only wait to be reclaimed. Those of
            a dropped partition or function count as held until they are reclaimed.
        bytes: The sizes of all entries but these, added up.
    """

    def __init__(self, max_entries: int, max_bytes: int | None) -> None:
        self.room = 0
        self.bytes = 0
        self.dropped = 0
        self._max_entries = max_entries
        self._max_held = max_entries + max_entries // 4
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        # Where bytes are bounded, how much room a write needs is known when it comes.
        self._pace = 1 if max_bytes else max(1, min(MAX_PACE, max_entries // 64))
        self._small = Fifo()
        self._main = Fifo()
        self._ghosts = Ghosts(max_entries // 2)
        self._sweeping, self._waiting = self._small, self._main
        self._sweep_per_write = IDLE_SWEEP
        self._due = self._due_again = math.inf

    @property
    def held(self) -> int:
        """How many entries are in the queues."""
        return self._small.size + self._main.size

    def add(self, entry: Entry, known: bool) -> None:
        """Add an entry, for which there must be room.

        Args:
            entry: The new entry.
            known: Whether its key is known to be asked for again: the main queue takes it.
        """
        ghosts, ghost = self._ghosts, hash(entry.key) ^ entry.part.generation.salt
        if known or ghost in ghosts.newer or ghost in ghosts.older:
            queue = self._main
        else:
            queue = self._small
        queue.unchecked.append(entry)
        queue.size += 1
        self.room -= 1
        self.bytes += entry.size
        if entry.hard < self._due_again:
            self._due_again = entry.hard
            self._due = min(self._due, entry.hard)

    def tidy(self, now: float, size: int) -> list[Entry]:
        """Make room for the next entries; return those that leave, dead ones in passing.

        Args:
            now: Monotonic seconds.
            size: Bytes that the next entry counts for.
        """
        gone: list[Entry] = []
        if now >= self._due:
            self._sweep(now, gone)
        held = self.held
        if (
            held - self.dropped >= self._max_entries
            or held + self._pace > self._max_held
            or self.bytes + size > self._max_bytes
        ):
            self._evict(size, gone)
        self.room = min(self._pace, self._max_entries - self.held + self.dropped)
        return gone

    def drop(self, entry: Entry) -> None:
        """Stop counting an entry that was dropped; its place is reclaimed in passing."""
        if entry.hard != NEVER:
            entry.hard = NEVER
            self.dropped += 1
            self.bytes -= entry.size
            self.expect_dead()

    def expect_dead(self) -> None:
        """Have the next writes look for dead entries: a partition or a function was dropped."""
        self._due = self._due_again = NEVER

    def _evict(self, size: int, gone: list[Entry]) -> None:
        """Evict until the next entries fit. Its calls are written out: most time is spent here."""
        small, main, ghosts = self._small, self._main, self._ghosts
        most, most_held = self._max_entries - self._pace, self._max_held - self._pace
        most_bytes = self._max_bytes - size
        scanned = 0
        while (
            (held := small.size + main.size) - self.dropped > most
            or held > most_held
            or self.bytes > most_bytes
        ):
            # A fifth of what is held, not of what may be held: bytes may be the tighter bound.
            queue = small if small.size * 4 > main.size else main
            entry = (queue.checked or queue.unchecked).popleft()
            queue.size -= 1
            if entry.visited and scanned < MAX_SCAN:
                scanned += 1
                self._keep(entry)
                continue
            scanned = 0
            if queue is small:
                if len(ghosts.newer) > ghosts.half:
                    ghosts.turn()
                ghosts.newer.add(hash(entry.key) ^ entry.part.generation.salt)
            self._uncount(entry)
            gone.append(entry)

    def _keep(self, entry: Entry) -> None:
        """Give an entry that was hit another round, in the main queue."""
        entry.visited = False
        self._main.unchecked.append(entry)
        self._main.size += 1
        self._due_again = min(self._due_again, entry.hard)

    def _sweep(self, now: float, gone: list[Entry]) -> None:
        budget, self._sweep_per_write = self._sweep_per_write * self._pace, IDLE_SWEEP
        for _ in range(budget):
            if now < self._due:
                break
            queue = self._sweeping
            if not queue.unchecked:
                queue.turn()
                self._turn()
                continue
            entry = queue.unchecked.popleft()
            if entry.hard <= now or not entry.part.served:
                queue.size -= 1
                self._uncount(entry)
                gone.append(entry)
                self._sweep_per_write = BUSY_SWEEP
            else:
                queue.checked.append(entry)
                self._due_again = min(self._due_again, entry.hard)

    def _turn(self) -> None:
        self._sweeping, self._waiting = self._waiting, self._sweeping
        if self._sweeping is self._small:
            self._due, self._due_again = self._due_again, math.inf

    def _uncount(self, entry: Entry) -> None:
        if entry.hard == NEVER:
            self.dropped -= 1
        else:
            self.bytes -= entry.size
