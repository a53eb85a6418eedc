"""Where the simulated shared tier keeps everything, with faults that tests can order."""

from __future__ import annotations

import threading
from typing import Any

from tiercel.clock import Clock
from tiercel.contracts.position import Announcement
from tiercel.errors import BackendRefused, BackendUnavailable
from tiercel.testing.cells import Cell, Snapshot


class SimulatedStore:
    """Cells that expire and the stream of a push channel, both in this process.

    Args:
        clock: Decides what has expired.

    Attributes:
        clock: The clock it was given.
        unreachable: While true, every command raises `BackendUnavailable` and does nothing.
        past: Another number after each `rollback`.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.unreachable = False
        self.past = 0
        self._cells: dict[str, Cell] = {}
        self._stream: tuple[Announcement, ...] = ()
        self._refusals = 0
        self._lost_replies = 0
        self._changed = threading.Condition(threading.RLock())

    # Cells: value/<key>, stamp/<scope>, lease/<key>, claim/<key>, index/<function>

    def _get(self, name: str) -> Any:
        cell = self._cells.get(name)
        return cell.data if cell and self.clock.monotonic() < cell.deadline else None

    def _put(self, name: str, data: Any, life: float) -> None:
        self._cells[name] = Cell(data, self.clock.monotonic() + life)

    def _remaining(self, name: str) -> float:
        return self._cells[name].deadline - self.clock.monotonic()

    def _prolong(self, name: str, life: float) -> None:
        data = self._get(name)
        if data is not None and self._remaining(name) < life:
            self._put(name, data, life)

    # Faults

    def _fail_if_told_to(self) -> None:
        if self.unreachable:
            raise BackendUnavailable("simulated: unreachable")
        if self._refusals:
            self._refusals -= 1
            raise BackendRefused("simulated: refused")

    def _lose_reply_if_told_to(self) -> None:
        if self._lost_replies:
            self._lost_replies -= 1
            raise BackendUnavailable("simulated: executed, but the reply was lost")

    def names(self) -> list[str]:
        """Return the names of all live cells.

        They are `value/<key>`, `stamp/<scope>`, `lease/<key>`, `claim/<key>` and
        `index/<function>`.
        """
        return [name for name in self._cells if self._get(name) is not None]

    def evict(self, name: str) -> None:
        """Lose one cell, by a name from `names()`; nothing happens if it is gone already."""
        with self._changed:
            self._cells.pop(name, None)

    def lose_stream(self) -> None:
        """Lose the push channel with its position; the next message begins another epoch."""
        with self._changed:
            self._stream = ()
            self._changed.notify_all()

    def trim_stream(self, n: int) -> None:
        """Keep only the last `n` messages of the push channel; at least one."""
        with self._changed:
            self._stream = self._stream[-max(n, 1) :]

    def refuse(self, commands: int = 1) -> None:
        """Answer the next `commands` commands with `BackendRefused`."""
        self._refusals = commands

    def lose_replies(self, commands: int = 1) -> None:
        """Execute the next `commands` commands, then raise `BackendUnavailable` anyway."""
        self._lost_replies = commands

    def snapshot(self) -> Snapshot:
        """Remember everything, as a replica or a dump would."""
        with self._changed:
            return Snapshot(dict(self._cells), self._stream)

    def rollback(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, as a failover to a lagging replica does."""
        with self._changed:
            self._cells, self._stream = dict(snapshot.cells), snapshot.stream
            self.past += 1
            self._changed.notify_all()
