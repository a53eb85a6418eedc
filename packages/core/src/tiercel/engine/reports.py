"""How trouble that no caller sees gets into the log: soon, but not once per call."""

from __future__ import annotations

from collections.abc import Hashable

from tiercel.clock import Clock

INTERVAL = 60.0
"""Seconds between two lines of one kind."""


class Reports:
    """Lets one line of each kind through per interval, and counts those that it holds back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[Hashable, float] = {}
        self._held_back: dict[Hashable, int] = {}

    def due(self, kind: Hashable) -> int | None:
        """Return how many were held back since the last line; None: hold this one back too."""
        now = self._clock.monotonic()
        if now < self._next.get(kind, now):
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return None
        self._next[kind] = now + INTERVAL
        return self._held_back.pop(kind, 0)
