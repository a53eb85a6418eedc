"""S3-FIFO with one visited bit: which entry leaves when the memory tier is full.

Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023; here with a single bit
per entry, a small queue of 20 % and ghosts for up to half the capacity. A hit sets one bit and
takes no lock; everything below runs under the lock of the tier.
"""

from __future__ import annotations

import math

from tiercel.memory.entry import NEVER, Entry

MAX_SCAN = 64
"""Entries that one eviction looks at before it takes the next one, visited or not."""

IDLE_SWEEP = 2
BUSY_SWEEP = 8
"""Entries that one write checks while dead ones are to be expected, and after it found some."""


class Fifo:
    """A singly linked queue of entries with a hand that takes dead ones out of its middle.

    Attributes:
        root: What stands before the first entry.
        tail: The last entry, or the root.
        hand: What stands before the next entry to look at.
        size: How many entries there are.
    """

    __slots__ = ("hand", "root", "size", "tail")

    def __init__(self) -> None:
        self.root = self.tail = self.hand = Entry.__new__(Entry)
        self.root.next = None
        self.size = 0

    def take(self, entry: Entry) -> None:
        """Take the entry behind the hand."""
        self.hand.next = entry.next
        if self.tail is entry:
            self.tail = self.hand
        self.size -= 1


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

    Attributes:
        dropped: How many entries were dropped one by one and only wait to be reclaimed. Those of
            a dropped partition or function count as held until they are reclaimed.
        bytes: The sizes of all entries but these, added up.
    """

    def __init__(self, max_entries: int, max_bytes: int | None) -> None:
        self.bytes = 0
        self.dropped = 0
        self._max_entries = max_entries
        self._max_held = max_entries + max_entries // 4
        self._max_bytes = max_bytes
        self._small = Fifo()
        self._main = Fifo()
        self._ghosts = Ghosts(max_entries // 2)
        self._sweeping, self._waiting = self._small, self._main
        self._budget = IDLE_SWEEP
        self._due = self._due_again = math.inf

    @property
    def held(self) -> int:
        """How many entries are in the queues."""
        return self._small.size + self._main.size

    def add(self, entry: Entry, now: float, known: bool) -> list[Entry]:
        """Add an entry and return those that leave: dead ones in passing, others for its room.

        Args:
            entry: The new entry.
            now: Monotonic seconds.
            known: Whether its key is known to be asked for again: the main queue takes it.
        """
        gone: list[Entry] = []
        small, main = self._small, self._main
        if now >= self._due:
            self._sweep(now, gone)
        if small.size + main.size >= self._max_entries or self._max_bytes is not None:
            self._make_room(entry.size, gone)
        ghosts, ghost = self._ghosts, hash(entry.key) ^ entry.part.generation.salt
        queue = main if known or ghost in ghosts.newer or ghost in ghosts.older else small
        entry.next = None
        queue.tail.next = queue.tail = entry
        queue.size += 1
        if entry.hard < self._due_again:
            self._due_again = entry.hard
            self._due = min(self._due, entry.hard)
        if self._max_bytes is not None:
            self.bytes += entry.size
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

    def _make_room(self, size: int, gone: list[Entry]) -> None:
        """Evict until one more entry fits. Its calls are written out: most writes come here."""
        small, main, ghosts = self._small, self._main, self._ghosts
        scanned = 0
        while (held := small.size + main.size) and (
            held - self.dropped >= self._max_entries
            or held >= self._max_held
            or (self._max_bytes is not None and self.bytes + size > self._max_bytes)
        ):
            # A fifth of what is held, not of what may be held: bytes may be the tighter bound.
            queue = small if small.size * 4 > main.size else main
            root = queue.root
            entry = root.next
            assert entry is not None
            root.next = entry.next
            if entry is queue.tail:
                queue.tail = root
            if entry is queue.hand:
                queue.hand = root
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
            if self.dropped or self._max_bytes is not None:
                self._uncount(entry)
            gone.append(entry)

    def _keep(self, entry: Entry) -> None:
        """Give an entry that was hit another round, in the main queue."""
        entry.visited = False
        entry.next = None
        self._main.tail.next = self._main.tail = entry
        self._main.size += 1
        self._due_again = min(self._due_again, entry.hard)

    def _sweep(self, now: float, gone: list[Entry]) -> None:
        budget, self._budget = self._budget, IDLE_SWEEP
        for _ in range(budget):
            queue = self._sweeping
            entry = queue.hand.next
            if entry is None:
                queue.hand = queue.root
                self._turn()
            elif entry.hard <= now or not entry.part.served:
                queue.take(entry)
                self._uncount(entry)
                gone.append(entry)
                self._budget = BUSY_SWEEP
            else:
                queue.hand = entry
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
