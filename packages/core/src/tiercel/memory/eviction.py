"""S3-FIFO with one visited bit: which entry leaves when the memory tier is full.

Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023; here with a single bit
per entry, a small queue of 20 % and ghosts for up to half the capacity. A hit sets one bit and
takes no lock; everything below runs under the lock of the tier.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import compress
from operator import attrgetter

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

    def take(self, count: int) -> list[Entry]:
        """Take out the oldest entries: at most so many, and one at least if there is any."""
        oldest = self.checked or self.unchecked
        taken = [oldest.popleft() for _ in range(min(count, len(oldest)))]
        self.size -= len(taken)
        return taken


class Ghosts:
    """Marks of keys that left the small queue unvisited: at least the last half of `capacity`.

    Attributes:
        half: How many `newer` may hold before they become the `older` ones.
        newer: The last ones.
        older: Those before them.
    """

    __slots__ = ("half", "newer", "older")

    def __init__(self, capacity: int) -> None:
        self.half = capacity // 2
        self.newer: set[int] = set()
        self.older: set[int] = set()

    def add(self, marks: list[int]) -> None:
        """Remember the last ones of these; the older half is forgotten at once, now and then."""
        if len(self.newer) > self.half:
            self.older, self.newer = self.newer, set()
        self.newer.update(marks[-self.half - 1 :])


class S3Fifo:
    """The queues of one tier: which entries it holds, and in which order they leave.

    To file an entry and to look for what is to leave would take longer than all the rest of a
    write. So it is done for up to 16 writes at once, where that is no more than 1/64 of the tier.

    Attributes:
        fresh: Entries that are not in a queue yet.
        room: How many may be added to them before `tidy` must be called.
        dropped: How many entries were dropped one by one and only wait to be reclaimed. Those of
            a dropped partition or function count as held until they are reclaimed.
        bytes: The sizes of all entries but these, added up.
    """

    def __init__(self, max_entries: int, max_bytes: int | None) -> None:
        self.fresh: list[Entry] = []
        self.room = 0
        self.dropped = 0
        self.bytes = 0
        self._max_entries = max_entries
        self._max_held = max_entries + max_entries // 4
        self._max_bytes = max_bytes
        # Where bytes are bounded, how much room is needed is not known before each write.
        self._pace = 1 if max_bytes else max(1, min(MAX_PACE, max_entries // 64))
        self._small = Fifo()
        self._main = Fifo()
        self._ghosts = Ghosts(max_entries // 2)
        self._sweeping, self._waiting = self._small, self._main
        self._sweep_per_write = IDLE_SWEEP
        self._due = self._due_again = math.inf

    @property
    def held(self) -> int:
        """How many entries there are."""
        return len(self.fresh) + self._small.size + self._main.size

    def add_known(self, entry: Entry) -> None:
        """Add an entry whose key is known to be asked for again; there must be room."""
        self.room -= 1
        self._file([entry], self._main)

    def tidy(self, now: float, size: int) -> list[Entry]:
        """Make room for the next entries; return those that leave, dead ones in passing.

        Args:
            now: Monotonic seconds.
            size: Bytes that the next entry counts for.
        """
        gone: list[Entry] = []
        if self.fresh:
            self._file_fresh()
        if now >= self._due:
            self._sweep(now, gone)
        if self._surplus(1, size) > 0:
            self._evict(size, gone)
        self.room = min(self._pace, -self._surplus(0, 0))
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

    def _file_fresh(self) -> None:
        """Put fresh entries into the queues: main if their key is a ghost, else small."""
        fresh, ghosts = self.fresh, self._ghosts
        marks = _marks(fresh)
        if ghosts.newer.isdisjoint(marks) and ghosts.older.isdisjoint(marks):
            self._file(fresh, self._small)
        else:
            for entry, mark in zip(fresh, marks, strict=True):
                known = mark in ghosts.newer or mark in ghosts.older
                self._file([entry], self._main if known else self._small)
        fresh.clear()

    def _file(self, entries: list[Entry], queue: Fifo) -> None:
        queue.unchecked.extend(entries)
        queue.size += len(entries)
        end = min(map(_end, entries))
        self._due = min(self._due, end)
        self._due_again = min(self._due_again, end)

    def _evict(self, size: int, gone: list[Entry]) -> None:
        """Evict until the next entries fit."""
        small, main = self._small, self._main
        spared = 0
        while (surplus := self._surplus(self._pace, size)) > 0:
            # A fifth of what is held, not of what may be held: bytes may be the tighter bound.
            queue = small if small.size * 4 > main.size else main
            leaving = queue.take(surplus)
            visited = [entry.visited for entry in leaving]  # Hits may go on setting it.
            if True in visited and spared < MAX_SCAN * self._pace:
                kept = list(compress(leaving, visited))
                leaving = [entry for entry, hit in zip(leaving, visited, strict=True) if not hit]
                spared += len(kept)
                self._keep(kept)
            if queue is small:
                self._ghosts.add(_marks(leaving))
            if self.dropped or self._max_bytes is not None:
                self._uncount(leaving)
            gone += leaving

    def _surplus(self, entries: int, size: int) -> int:
        """How many have to leave, as far as can be told now, before so much more fits.

        Negative is how many more would fit.
        """
        if self._max_bytes is not None and self.bytes + size > self._max_bytes:
            return 1
        held = self._small.size + self._main.size
        return entries + max(held - self.dropped - self._max_entries, held - self._max_held)

    def _keep(self, entries: list[Entry]) -> None:
        """Give entries that were hit another round, in the main queue."""
        for entry in entries:
            entry.visited = False
        self._file(entries, self._main)

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
                self._uncount([entry])
                gone.append(entry)
                self._sweep_per_write = BUSY_SWEEP
            else:
                queue.checked.append(entry)
                self._due_again = min(self._due_again, entry.hard)

    def _turn(self) -> None:
        self._sweeping, self._waiting = self._waiting, self._sweeping
        if self._sweeping is self._small:
            self._due, self._due_again = self._due_again, math.inf

    def _uncount(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.hard == NEVER:
                self.dropped -= 1
            else:
                self.bytes -= entry.size


_end = attrgetter("hard")


def _marks(entries: list[Entry]) -> list[int]:
    """What the ghosts of these entries are known by."""
    return [hash(entry.key) ^ entry.part.generation.salt for entry in entries]
