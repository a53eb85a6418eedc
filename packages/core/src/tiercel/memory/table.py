"""The part of a memory tier that belongs to one function: its entries and their reservations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tiercel.memory.entry import NEVER, RESERVED, DetailedEntry, Entry
from tiercel.memory.partition import Generation, Partition, Statistics

if TYPE_CHECKING:
    from tiercel.memory.tier import MemoryTier

Rebind = Callable[[dict[Hashable, Entry]], None]
"""Told the dict in which entries are to be looked up from now on."""

ENTRY_OVERHEAD = 300
"""Bytes that an entry takes up besides its value, as an estimate."""


class FunctionTable:
    """The entries of one function in a memory tier.

    Attributes:
        name: The name under which the whole function is dropped.
        tier: The tier that it belongs to.
        partitions: How many partitions its entries are nested in; 0 for none.
        root: The cell that stands for the function since it was last dropped.
        entries: Its entries by key, reservations included. Replaced by another dict when the
            function is dropped: use `follow` to hold on to the current one.
        statistics: Its counters.
    """

    def __init__(self, tier: MemoryTier, name: str, partitions: int) -> None:
        self.tier = tier
        self.name = name
        self.partitions = partitions
        self.statistics = Statistics()
        self._sized = tier.max_bytes is not None
        self._followers: list[Rebind] = []
        self._renew()

    def __len__(self) -> int:
        """Return how many entries can be served; counts them one by one."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True  # An empty one is still there: `if table` asks that.

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries that have not ended, stale ones included."""
        now = self.tier.clock.monotonic()
        for entry in list(self.entries.values()):
            if entry.hard > now and entry.part.served:
                yield entry

    def __del__(self) -> None:
        # The queues of the tier know these entries until a writer passes them; free them now.
        self.root.alive = False
        for entry in list(self.entries.values()):
            entry.drop()
        self.entries.clear()

    def follow(self, rebind: Rebind) -> None:
        """Call `rebind` with the current dict, now and whenever it is replaced."""
        with self.tier.lock:
            self._followers.append(rebind)
            rebind(self.entries)

    def find(self, key: Hashable) -> Entry | None:
        """Return the entry of a key unless it has ended; its deadline may have passed."""
        entry = self.entries.get(key)
        if entry is None or entry.hard <= self.tier.clock.monotonic() or not entry.part.served:
            return None
        return entry

    def was_evicted(self, key: Hashable) -> bool:
        """Tell whether an entry left to make room and was not hit before; soon forgotten."""
        return self.tier.queues.has_ghost(key, self.root.generation)

    def reserve(
        self,
        key: Hashable,
        text: str | None = None,
        scopes: Sequence[str] = (),
        tags: Sequence[str] | None = (),
    ) -> Entry:
        """Reserve a place; to be called before anything is read or computed (rule 11).

        Several may be reserved for one key. Each must be committed or abandoned.

        Args:
            key: The fast key, or the canonical text.
            text: The canonical text; needed where the tier finds entries by text.
            scopes: The function's name, then one name for each enclosing partition, outermost
                first: `Key.scopes`. May be left out for a function without partitions.
            tags: Names of the tags that the entry will have; None if the result decides.

        Returns:
            An entry without a value. It stays `alive` until something that concerns it is
            dropped.

        Raises:
            ValueError: The number of scopes is not what the table was made for.
        """
        root = self.root
        plain = text is None and not self._sized and tags is not None and not tags
        entry = Entry() if plain else _detailed(text, tags)
        # Written out, as a constructor would take longer than all the rest.
        entry.key = key
        entry.part = root
        entry.deadline = NEVER
        entry.hard = RESERVED
        entry.visited = False
        first = plain and not self.partitions
        # Where it is the first of its key it needs no lock: `setdefault` is atomic.
        if first and root.generation.entries.setdefault(key, entry) is entry:
            return entry
        if len(scopes) != self.partitions + 1 and (scopes or self.partitions):
            raise ValueError(
                f"table {self.name!r} has {self.partitions} partitions, but the scopes are"
                f" {tuple(scopes)!r}: pass the function's name and one name for each partition"
            )
        self.tier.reserve(entry, scopes[1:])
        return entry

    def commit(
        self,
        reservation: Entry,
        value: Any,
        deadline: float,
        hard: float | None = None,
        size: int | None = None,
        tags: Sequence[str] | None = None,
        fill: Any = None,
    ) -> Entry | None:
        """Give a reservation its value, unless what it depends on was dropped in the meantime.

        Args:
            reservation: From `reserve` of this table; it is used up by this call.
            value: The value to serve.
            deadline: Monotonic seconds until which hits may serve it.
            hard: Monotonic seconds at which the entry ends; None for the deadline.
            size: Bytes it counts for where bytes are bounded; None for a shallow estimate.
            tags: Names of its tags, where the reservation left them to the result.
            fill: Anything to keep beside the value.

        Returns:
            The entry, or None if the value must not be stored or is larger than the tier.

        Raises:
            ValueError: Tags are given that were not reserved.
        """
        tier = self.tier
        if tags is not None or type(reservation) is DetailedEntry:
            self._detail(reservation, value, size, tags)
        lock = tier.lock
        lock.acquire()  # A `with` would cost twice as much.
        if tier.busy:
            lock.release()
            tier.abandon(reservation)
            return None
        tier.busy = True
        garbage = None
        try:
            part = reservation.part
            alive = part.alive if part.parent is None else part.served
            if reservation.hard != RESERVED or not alive:
                tier.refuse(reservation)
                return None
            reservation.value = value
            reservation.fill = fill
            reservation.hard = deadline if hard is None else hard
            reservation.deadline = deadline
            queues = tier.queues
            if queues.room < 1 or reservation.visited or self._sized:
                garbage = tier.make_way(reservation)
            queues.fresh.append(reservation)
            queues.room -= 1
            if reservation.hard < queues.due_again:
                queues.expect_end(reservation.hard)
            self.statistics.stores += 1
        finally:
            tier.busy = False
            lock.release()
        if garbage is not None:
            tier.dispose(garbage)
        return reservation

    def abandon(self, reservation: Entry) -> None:
        """Give a reservation back unused. Does nothing if it is used up."""
        self.tier.abandon(reservation)

    def drop_key(self, key: Hashable) -> bool:
        """Drop one entry and what is being computed for it; False if there was no entry."""
        with self.tier.lock:
            generation = self.root.generation
            found = [*generation.rivals.get(key, ())]
            if entry := generation.entries.get(key):
                found.append(entry)
            existed = any(not entry.reserved for entry in found)
            values = [self.tier.discard(entry) for entry in found]
        del values  # Finalizers of values run without the lock.
        return existed

    def drop_reservations_of(self, key: Hashable, besides: Entry | None = None) -> None:
        """Drop what is being computed for one key, `besides` excepted; its entry stays."""
        with self.tier.lock:
            generation = self.root.generation
            found = [*generation.rivals.get(key, ()), generation.entries.get(key)]
            for entry in found:
                if entry is not None and entry is not besides and entry.reserved:
                    self.tier.discard(entry)

    def drop_reservations(self) -> None:
        """Drop everything that is being computed for this function; its entries stay."""
        with self.tier.lock:
            generation = self.root.generation
            known = [list(generation.entries.values()), *list(generation.rivals.values())]
            reserved = [entry for group in known for entry in group if entry.reserved]
            for entry in reserved:
                self.tier.discard(entry)

    def drop(self) -> None:
        """Drop all entries and everything being computed for this function, in one step."""
        with self.tier.lock:
            self.root.alive = False
            self.tier.queues.expect_end()
            self._renew()

    def _detail(
        self, entry: Entry, value: Any, size: int | None, tags: Sequence[str] | None
    ) -> None:
        if entry.tags is not None and not set(tags or ()) <= set(entry.tags):
            raise ValueError(
                f"tags {tuple(tags or ())!r} of table {self.name!r} were not reserved: pass them,"
                " or None, to reserve() so that a drop in the meantime is noticed"
            )
        if isinstance(entry, DetailedEntry):
            if entry.tags is None:
                self.tier.tag(entry, tuple(tags or ()))
            if self._sized:
                entry.size = ENTRY_OVERHEAD + sys.getsizeof(value) if size is None else size
                if not self.tier.fits(entry):
                    self.tier.abandon(entry)

    def _renew(self) -> None:
        self.root = Partition(self.name, None, Generation(self.statistics))
        self.entries = self.root.generation.entries
        for rebind in self._followers:
            rebind(self.entries)


def _detailed(text: str | None, tags: Sequence[str] | None) -> DetailedEntry:
    entry = DetailedEntry()
    entry.text = text
    entry.tags = None if tags is None else tuple(tags)
    entry.size = 0
    return entry
