"""The mailbox of the reference backend."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tiercel.contracts.backend import Mailbox
from tiercel.errors import BackendUnavailable


class SimulatedMailbox(Mailbox):
    """Wakes in a list, guarded by the backend's condition."""

    def __init__(self, changed: threading.Condition, open_ones: list[SimulatedMailbox]) -> None:
        self._changed = changed
        self._open_ones = open_ones
        self._texts: list[str] = []
        open_ones.append(self)

    def deliver(self, text: str) -> None:
        """Add a wake; the caller holds the condition and notifies."""
        self._texts.append(text)

    def receive(self, timeout: float) -> Sequence[str]:
        """Wait at most `timeout` real seconds for wakes."""
        with self._changed:
            self._changed.wait_for(lambda: self._texts or self not in self._open_ones, timeout)
            if self not in self._open_ones:
                raise BackendUnavailable("simulated: the mailbox is closed")
            texts, self._texts = self._texts, []
        return texts

    def close(self) -> None:
        """Close; a `receive` in another thread raises."""
        with self._changed:
            if self in self._open_ones:
                self._open_ones.remove(self)
            self._changed.notify_all()
