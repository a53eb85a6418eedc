"""S3-FIFO with one visited bit: which entry leaves when the memory tier is full.

Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023; here with a single bit
per entry, a small queue of 20 % and ghosts for up to half the capacity. A hit sets one bit and
takes no lock; everything below runs under the lock of the tier.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Hashable, Iterator
from itertools import chain, compress
from operator import not_
from typing import TYPE_CHECKING

from tiercel.memory.entry import NEVER, Entry

if TYPE_CHECKING:
    from tiercel.memory.partition import Generation

MAX_SCAN = 64
"""Entries that one eviction looks at before it takes the next one, visited or not."""

IDLE_SWEEP = 2
BUSY_SWEEP = 8
"""Entries checked per write while dead ones are to be expected, and after some were found."""

SPARE = 32
"""The part of a full tier that may be empty, because room is made for several writes at once."""

MAX_PACE = 64
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

    def __iter__(self) -> Iterator[Entry]:
        return chain(self.checked, self.unchecked)

    def turn(self) -> None:
        """Begin another sweep, after one that has passed all."""
        self.checked, self.unchecked = self.unchecked, self.checked

    def put(self, entries: list[Entry]) -> None:
        """Put entries behind the others."""
        self.unchecked.extend(entries)
        self.size += len(entries)

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

    To queue an entry and to look for what is to leave would take longer than all the rest of a
    write. So it is done for up to 64 writes at once, as long as that is 1/32 of the tier at most.
    A writer calls `tidy` once there is no room, adds to `fresh` and counts down `room`.

    Attributes:
        fresh: Entries that are not in a queue yet.
        room: How many may be added to them before `tidy` must be called.
        dropped: How many entries were dropped one by one and only wait to be reclaimed. Those of
            a dropped partition or function count as held until they are reclaimed.
        bytes: The sizes of all entries but these, added up.
        drops: How many entries were ever dropped one by one.
        due: When the first entry ends, or earlier.
        due_again: The same for the entries that the sweep under way has passed, and all new ones.
    """

    def __init__(self, max_entries: int, max_bytes: int | None) -> None:
        self.fresh: list[Entry] = []
        self.room = 0
        self.dropped = 0
        self.drops = 0
        self.bytes = 0
        self._max_entries = max_entries
        self._max_held = max_entries + max_entries // 4
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        self._spare_bytes = 0 if max_bytes is None else max_bytes // SPARE
        self._pace = max(1, min(MAX_PACE, max_entries // SPARE))
        self._small = Fifo()
        self._main = Fifo()
        self._ghosts = Ghosts(max_entries // 2)
        self._sweeping, self._waiting = self._small, self._main
        self._sweep_per_write = IDLE_SWEEP
        self.due = self.due_again = math.inf

    @property
    def held(self) -> int:
        """How many entries there are."""
        return len(self.fresh) + self._small.size + self._main.size

    def fits(self, size: int) -> bool:
        """Whether an entry of so many bytes may be added without tidying up."""
        return self.room > 0 and self.bytes + size <= self._max_bytes

    def tidy(self, now: float, size: int) -> list[Entry]:
        """Make room for the next entries; return those that leave, dead ones in passing.

        Args:
            now: Monotonic seconds.
            size: Bytes that the next entry counts for.
        """
        gone: list[Entry] = []
        if self.fresh:
            self._file_fresh()
        if now >= self.due:
            self._sweep(now, gone)
        if self._free() < 1 or self.bytes + size > self._max_bytes:
            self._evict(size, gone)
        self.room = min(self._free(), self._pace)
        return gone

    def drop(self, entry: Entry) -> None:
        """Stop counting an entry that was dropped; its place is reclaimed in passing."""
        if entry.hard != NEVER:
            entry.hard = NEVER
            self.dropped += 1
            self.drops += 1
            self.bytes -= entry.size
            self.expect_end()

    def has_ghost(self, key: Hashable, generation: Generation) -> bool:
        """Tell whether a key is among those that left the small queue unvisited."""
        mark = hash(key) + generation.salt
        return mark in self._ghosts.newer or mark in self._ghosts.older

    def expect_end(self, end: float = NEVER) -> None:
        """Have writes look for dead entries from then on; at once if something was dropped."""
        self.due = min(self.due, end)
        self.due_again = min(self.due_again, end)

    def recount(self) -> None:
        """Count again: something was dropped that had already left the queues."""
        held = [*self.fresh, *self._small, *self._main]
        self.dropped = sum(entry.hard == NEVER for entry in held)
        self.bytes = sum(entry.size for entry in held if entry.hard != NEVER)

    def _file_fresh(self) -> None:
        """Put fresh entries into the queues: main if their key is a ghost, else small."""
        fresh, ghosts = self.fresh, self._ghosts
        marks = _marks(fresh)
        if ghosts.newer.isdisjoint(marks) and ghosts.older.isdisjoint(marks):
            self._small.put(fresh)
        else:
            known = [mark in ghosts.newer or mark in ghosts.older for mark in marks]
            self._main.put(list(compress(fresh, known)))
            self._small.put(list(compress(fresh, map(not_, known))))
        fresh.clear()

    def _evict(self, size: int, gone: list[Entry]) -> None:
        """Evict until the next entries fit."""
        small, main = self._small, self._main
        spared = 0
        while (lacking := self._lacking(size)) > 0:
            # A fifth of what is held, not of what may be held: bytes may be the tighter bound.
            queue = small if small.size * 4 > main.size else main
            leaving = queue.take(lacking)
            visited = [entry.visited for entry in leaving]  # Hits may go on setting it.
            if True in visited and spared < MAX_SCAN * self._pace:
                kept = list(compress(leaving, visited))
                leaving = list(compress(leaving, map(not_, visited)))
                spared += len(kept)
                self._keep(kept)
            if queue is small:
                self._ghosts.add(_marks(leaving))
            if self.dropped or self.bytes:
                self._uncount(leaving)
            gone += leaving

    def _free(self) -> int:
        """Return how many more entries fit."""
        held = self._small.size + self._main.size
        return min(self._max_entries + self.dropped, self._max_held) - held

    def _lacking(self, size: int) -> int:
        """Return how many should leave before it is looked again whether the next entries fit."""
        excess = self.bytes + max(size, self._spare_bytes) - self._max_bytes
        if excess <= 0:
            return self._pace - self._free()
        # Half of what would do if all had the same size: the first may be the largest.
        return max(1, excess * self.held // (2 * self.bytes))

    def _keep(self, entries: list[Entry]) -> None:
        """Give entries that were hit another round, in the main queue."""
        for entry in entries:
            entry.visited = False
            if entry.hard < self.due_again:
                self.due_again = entry.hard
        self._main.put(entries)

    def _sweep(self, now: float, gone: list[Entry]) -> None:
        budget, self._sweep_per_write = self._sweep_per_write * self._pace, IDLE_SWEEP
        dead: list[Entry] = []
        while budget and now >= self.due:
            budget -= 1
            queue = self._sweeping
            if not queue.unchecked:
                queue.turn()
                self._turn()
                continue
            entry = queue.unchecked.popleft()
            part = entry.part
            if entry.hard <= now or not part.alive or (part.parent is not None and not part.served):
                dead.append(entry)
                queue.size -= 1
                continue
            queue.checked.append(entry)
            if entry.hard < self.due_again:
                self.due_again = entry.hard
        if dead:
            self._sweep_per_write = BUSY_SWEEP
            self._uncount(dead)
            gone += dead

    def _turn(self) -> None:
        self._sweeping, self._waiting = self._waiting, self._sweeping
        if self._sweeping is self._small:
            self.due, self.due_again = self.due_again, math.inf

    def _uncount(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.hard == NEVER:
                self.dropped -= 1
            else:
                self.bytes -= entry.size


def _marks(entries: list[Entry]) -> list[int]:
    """What the ghosts of these entries are known by."""
    return [hash(entry.key) + entry.part.generation.salt for entry in entries]
