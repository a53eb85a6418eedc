"""Cells through which everything stored for a function or a partition is dropped in one step.

Every entry points to one cell and every cell to its parent, up to the root cell of its function.
Dropping flips `alive` in one cell; who serves an entry looks at its cell and the cells above.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiercel.memory.entry import Entry


class Statistics:
    """Counters of one function; approximate where threads meet, as no lock guards them.

    Attributes:
        hits: Entries served by the slow path, which counts them; the generated path has its own.
        misses: Calls that found nothing to serve; the slow path counts them.
        stores: Entries committed.
        refusals: Values that were dropped before they could be committed.
        evictions: Entries that left to make room.
    """

    __slots__ = ("evictions", "hits", "misses", "refusals", "stores")

    def __init__(self) -> None:
        self.hits = self.misses = self.stores = self.refusals = self.evictions = 0


_serial = count(1)


class Generation:
    """What a function holds between two drops of the whole function.

    Attributes:
        entries: Its entries by key, reservations included; hits read this dict.
        rivals: Reservations of keys whose place in `entries` is taken.
        salt: Tells the hashes of its keys from those of other functions.
        statistics: Counters of the function, shared by all its generations.
    """

    __slots__ = ("entries", "rivals", "salt", "statistics")

    def __init__(self, statistics: Statistics) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.rivals: dict[Hashable, list[Entry]] = {}
        self.salt = next(_serial) * 0x9E3779B97F4A7C15 % 2**61  # Far from one another.
        self.statistics = statistics

    def register(self, entry: Entry) -> None:
        """Put a reservation in the place of its key or, if that is taken, among its rivals."""
        if self.entries.setdefault(entry.key, entry) is not entry:
            entry.visited = True
            self.rivals.setdefault(entry.key, []).append(entry)

    def remove(self, entry: Entry) -> None:
        """Take an entry out, wherever it is."""
        key = entry.key
        if self.entries.get(key) is entry:
            del self.entries[key]
        elif rivals := self.rivals.get(key):
            rivals[:] = [rival for rival in rivals if rival is not entry]
            if not rivals:
                del self.rivals[key]

    def claim(self, entry: Entry) -> Entry | None:
        """Put an entry in the place of its key; return the committed one that it replaces."""
        self.remove(entry)
        # Plain reservations are made without the lock: only `setdefault` cannot lose one.
        found = self.entries.setdefault(entry.key, entry)
        if found is entry:
            return None
        self.entries[entry.key] = entry
        if not found.reserved:
            return found
        found.visited = True
        self.rivals.setdefault(entry.key, []).append(found)
        return None


class Partition:
    """A cell shared by all entries of one partition.

    Attributes:
        alive: False once it was dropped.
        parent: The cell of the enclosing partition; None for the root cell of a function.
        name: Under which it is dropped.
        users: Entries and cells that point to it.
        generation: Where its entries are.
    """

    __slots__ = ("alive", "generation", "name", "parent", "users")

    def __init__(self, name: str, parent: Partition | None, generation: Generation) -> None:
        self.alive = True
        self.parent = parent
        self.name = name
        self.users = 0
        self.generation = generation

    @property
    def served(self) -> bool:
        """Whether neither this partition nor one around it was dropped."""
        cell: Partition | None = self
        while cell is not None and cell.alive:
            cell = cell.parent
        return cell is None


class Partitions:
    """The cells in use, by name. Callers hold the lock of the tier."""

    def __init__(self) -> None:
        self._cells: dict[str, Partition] = {}

    def __len__(self) -> int:
        return len(self._cells)

    def acquire(self, root: Partition, names: Sequence[str]) -> Partition:
        """Return the cell of the innermost of nested partitions, outermost name first."""
        cell = root
        for name in names:
            child = self._cells.get(name)
            if child is None or child.parent is not cell:
                if child is not None:
                    child.alive = False  # Nothing may hold what its name no longer reaches.
                child = self._cells[name] = Partition(name, cell, cell.generation)
                cell.users += 1
            cell = child
        cell.users += 1
        return cell

    def release(self, cell: Partition) -> None:
        """Give back a cell from `acquire`; forgets cells that nothing points to any more."""
        while cell.parent is not None:
            cell.users -= 1
            if cell.users:
                return
            if self._cells.get(cell.name) is cell:
                del self._cells[cell.name]
            cell = cell.parent

    def drop(self, name: str) -> bool:
        """Drop a partition and all within it; False if nothing is stored or computed there."""
        cell = self._cells.pop(name, None)
        if cell is None:
            return False
        cell.alive = False
        return True

    def clear(self) -> None:
        """Forget all cells; their functions have been dropped."""
        self._cells.clear()
