"""The memory tier of one cache: a bounded store that is dropped from without scanning it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from tiercel.clock import SYSTEM_CLOCK, Clock
from tiercel.errors import ConfigurationError
from tiercel.keys.layout import FENCE
from tiercel.memory.entry import NEVER, RESERVED, SPOILED, DetailedEntry, Entry
from tiercel.memory.eviction import S3Fifo
from tiercel.memory.names import Names
from tiercel.memory.partition import Partitions
from tiercel.memory.table import FunctionTable


class Garbage(list[Any]):
    """What a write let go of, to be freed once it has released the lock.

    Attributes:
        evicted: How many entries were evicted.
    """

    evicted = 0


class MemoryTier:
    """Values of any number of functions in this process, in tables that share one bound.

    Reading takes no lock. Writing takes one; a writer that interrupts another in the same thread
    (a finalizer or a signal handler) stores nothing, while its drops still take effect.

    Attributes:
        clock: Tells the time of deadlines.
        max_entries: How many entries are kept at most. A full tier makes room for several at
            once, so it may hold up to 3 % less, and never more than 63 less.
        max_bytes: How many bytes they may count for, or None. Room is made in the same way.
        by_text: Whether entries are found by the canonical text of their key, as a tier that
            follows a shared one needs it. Costs one dict item per entry.
        evictions: Entries that left to make room.
        on_evict: Called without a lock, with the number of entries that one write evicted.

    The attributes below are for tables:

    Attributes:
        now: Monotonic seconds.
        lock: Held by writers and droppers.
        busy: Whether a writer holds the lock and may be in the middle of a change.
        queues: Which entries there are, in the order of their eviction.
    """

    def __init__(
        self,
        max_entries: int,
        max_bytes: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
        *,
        by_text: bool = False,
        on_evict: Callable[[int], None] | None = None,
    ) -> None:
        """Make an empty tier.

        Args:
            max_entries: At least 1.
            max_bytes: At least 1, or None for no bound in bytes.
            clock: Tells the time of deadlines.
            by_text: Whether `drop_name` finds entries by the text of their key.
            on_evict: Called without a lock, with the number of entries that one write evicted.

        Raises:
            ConfigurationError: A bound is below 1.
        """
        for option, bound in (("max_entries", max_entries), ("max_bytes", max_bytes)):
            if bound is not None and bound < 1:
                raise ConfigurationError(f"{option} must be at least 1, not {bound}")
        self.clock = clock
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.by_text = by_text
        self.evictions = 0
        self.on_evict = on_evict
        self.now = clock.monotonic
        self.lock = threading.RLock()
        self.busy = False
        self.queues = S3Fifo(max_entries, max_bytes)
        self._tables: WeakValueDictionary[str, FunctionTable] = WeakValueDictionary()
        self._partitions = Partitions()
        self._names = Names(by_text)
        self._abandoned: deque[Entry] = deque()
        _tiers.add(self)

    def __len__(self) -> int:
        """Return how many entries take up room, those that died a moment ago included."""
        return self.queues.held

    def __bool__(self) -> bool:
        return True  # An empty one is still there: `if table` asks that.

    @property
    def bytes(self) -> int:
        """The sizes of all entries; 0 where bytes are not bounded."""
        return self.queues.bytes

    def table(self, name: str, partitions: int = 0) -> FunctionTable:
        """Return the table of a function; functions of one name share it while one is alive.

        Args:
            name: Under which the whole function is dropped.
            partitions: How many partitions its entries are nested in.

        Raises:
            ConfigurationError: The table exists with another number of partitions.
        """
        with self.lock:
            table = self._tables.get(name)
            if table is None:
                table = self._tables[name] = FunctionTable(self, name, partitions)
        if table.partitions != partitions:
            raise ConfigurationError(
                f"table {name!r} has {table.partitions} partitions, not {partitions}:"
                " give the function a name of its own"
            )
        return table

    def entries(self) -> Iterator[Entry]:
        """Iterate over all entries that have not ended, stale ones included, table by table."""
        for table in list(self._tables.values()):
            yield from table

    def drop_name(self, name: str) -> None:
        """Drop whatever a push channel names: a function, a partition, an entry by text, a tag.

        The name of a fence drops what its function is computing, and no entry.

        A name that nothing here goes by may be a tag of a result that is still being computed, so
        it drops the reservations whose tags are not known yet.
        """
        with self.lock:
            known = self._partitions.drop(name)
            if known:
                self.queues.expect_end()
            table = self._tables.get(name)
            if table is not None:
                table.drop()
            found = self._names.with_text(name)
            if not known and table is None and not found:
                found = self._unknown(name)
            values = [self.discard(entry) for entry in found]
        del values  # Finalizers of values run without the lock.

    def _unknown(self, name: str) -> tuple[Entry, ...]:
        """Return what a name concerns that is neither a function, a partition nor a key."""
        if not name.endswith(FENCE):
            return self._names.with_tag(name)
        fenced = self._tables.get(name.removesuffix(FENCE))
        if fenced is not None:
            fenced.drop_reservations()
        return ()

    def drop_tag(self, name: str) -> None:
        """Drop the entries that carry a tag; takes time in proportion to their number."""
        with self.lock:
            values = [self.discard(entry) for entry in self._names.with_tag(name)]
        del values

    def clear(self) -> None:
        """Drop everything, and all that is being computed."""
        with self.lock:
            for table in list(self._tables.values()):
                table.drop()
            queues = self.queues
            if not self.busy:
                self._partitions.clear()
                self._names.clear()
                self.queues = S3Fifo(self.max_entries, self.max_bytes)
        del queues

    def reserve(self, entry: Entry, nested: Sequence[str]) -> None:
        """Register a reservation under its key, partition, text and tags."""
        with self.lock:
            if self.busy:
                entry.hard = NEVER
                return
            self.busy = True
            try:
                if nested:
                    entry.part = self._partitions.acquire(entry.part, nested)
                entry.part.generation.register(entry)
                if entry.text is not None or entry.tags != ():
                    self._names.add(entry)
            finally:
                self.busy = False

    def tag(self, entry: DetailedEntry, tags: tuple[str, ...]) -> None:
        """Give a reservation the tags of its result."""
        with self.lock:
            self._names.tag(entry, tags)
            entry.tags = tags

    def abandon(self, reservation: Entry) -> None:
        """Settle a reservation without storing; see `FunctionTable.abandon`."""
        with self.lock:
            self._abandoned.append(reservation)
            if not self.busy:
                self.busy = True
                try:
                    self._settle_abandoned()
                finally:
                    self.busy = False

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is small enough for the tier."""
        return self.max_bytes is None or entry.size <= self.max_bytes

    def make_way(self, entry: Entry) -> Garbage:
        """Replace what is in the place of an entry, and have room for it in the queues."""
        garbage = Garbage()
        if entry.visited:  # A rival: the place of its key is taken.
            replaced = entry.part.generation.claim(entry)
            if replaced is None:
                entry.visited = False
            else:
                garbage.append(self.discard(replaced))
        if not self.queues.fits(entry.size):
            drops, now = self.queues.drops, self.now()
            gone = self.queues.tidy(now, entry.size)
            garbage.evicted = self._let_go(gone, now)
            garbage += gone
            if self.queues.drops != drops:  # By a finalizer that ran in between.
                self.queues.recount()
        self.queues.bytes += entry.size  # Where bytes count, every write comes here.
        if self._abandoned:
            self._settle_abandoned()
        return garbage

    def dispose(self, garbage: Garbage) -> None:
        """Free what a write let go of, whose finalizers may do anything: needs no lock."""
        evicted = garbage.evicted
        garbage.clear()
        if evicted and self.on_evict is not None:
            self.on_evict(evicted)

    def _let_go(self, gone: list[Entry], now: float) -> int:
        """Let go of what left the queues; return how many of these could have been served."""
        evicted = 0
        for entry in gone:
            part = entry.part
            if entry.hard > now and part.alive and (part.parent is None or part.served):
                evicted += 1
                generation = part.generation
                generation.statistics.evictions += 1
                if part.parent is None and type(entry) is Entry:
                    # What was neither dropped nor replaced is where it was put.
                    generation.entries.pop(entry.key, None)
                    continue
            self._forget(entry)
        self.evictions += evicted
        return evicted

    def refuse(self, reservation: Entry) -> None:
        """Settle a reservation whose value came too late."""
        self._abandoned.append(reservation)
        self._settle_abandoned()
        reservation.part.generation.statistics.refusals += 1

    def discard(self, entry: Entry) -> Any:
        """Drop an entry or reservation; return its value, to be freed without the lock."""
        entry.part.generation.remove(entry)
        if entry.text is not None or entry.tags != ():
            self._names.remove(entry)
        if entry.reserved:
            entry.hard = SPOILED
        else:
            self.queues.drop(entry)
        return entry.drop()

    def _forget(self, entry: Entry) -> None:
        """Let go of all that knows an entry which is neither queued nor reserved any more."""
        part = entry.part
        entries = part.generation.entries
        if entries.get(entry.key) is entry:
            del entries[entry.key]
        else:
            part.generation.remove(entry)
        if part.parent is not None:
            self._partitions.release(part)
        if type(entry) is DetailedEntry:
            self._names.remove(entry)

    def _settle_abandoned(self) -> None:
        while self._abandoned:
            reservation = self._abandoned.popleft()
            if NEVER < reservation.hard <= RESERVED:
                reservation.hard = NEVER
                self._forget(reservation)


_tiers: WeakSet[MemoryTier] = WeakSet()


def _lock_all() -> None:
    for tier in list(_tiers):
        tier.lock.acquire()


def _unlock_all() -> None:
    for tier in list(_tiers):
        tier.lock.release()


def _renew_locks() -> None:
    for tier in list(_tiers):
        tier.lock = threading.RLock()
        tier.busy = False


os.register_at_fork(before=_lock_all, after_in_parent=_unlock_all, after_in_child=_renew_locks)
