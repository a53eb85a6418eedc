"""The table of a function whose cache is not known yet, or may change."""

from __future__ import annotations

from collections.abc import Hashable

from tiercel.memory.entry import Entry
from tiercel.memory.table import FunctionTable, Rebind


class LateTable:
    """Stands for the table of a function until its cache is known, and when that changes.

    Attributes:
        partitions: How many partitions its entries are nested in.
    """

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._table: FunctionTable | None = None
        self._rebinds: list[Rebind] = []

    def follow(self, rebind: Rebind) -> None:
        """Call `rebind` with the dict of whatever table is attached."""
        self._rebinds.append(rebind)

    def attach(self, table: FunctionTable | None) -> None:
        """Look up in this table from now on; None: find nothing."""
        self._table = table
        if table is None:
            self._rebind({})
        else:
            table.follow(lambda entries: self._rebind(entries) if self._table is table else None)

    def _rebind(self, entries: dict[Hashable, Entry]) -> None:
        for rebind in self._rebinds:
            rebind(entries)
