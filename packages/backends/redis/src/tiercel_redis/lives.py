"""Remembers how long stamps live at least, so that not every command asks for it."""

from __future__ import annotations

import time
from collections.abc import Iterable

SLACK = 1.25
"""How much longer than asked for a stamp is made to live when its life is extended."""

MARGIN = 1.125
"""How much longer than asked for a stamp lives after its life was checked."""

LIMIT = 20_000
"""Names remembered at most; then all are forgotten."""


class Lives:
    """When, on this process's monotonic clock, stamps may begin to expire.

    It may be wrong after an eviction or another process's drop. A stamp then expires before the
    entries that carry it, which makes them misses, and the next `Begin` mints it for long enough.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def cover(self, names: Iterable[str], life: float) -> bool:
        """Tell whether all of these stamps are known to live `life` seconds from now."""
        until, needed = self._until, time.monotonic() + life
        for name in names:  # noqa: SIM110  # each miss asks twice, and a loop takes half as long
            if until.get(name, 0.0) < needed:
                return False
        return True

    def note(self, names: Iterable[str], life: float, sent: float) -> None:
        """Note that stamps were checked to live `life` seconds, by a command of time `sent`."""
        if len(self._until) > LIMIT:
            self._until = {}
        self._until.update(dict.fromkeys(names, sent + life * MARGIN))

    def forget(self, names: Iterable[str]) -> None:
        """Forget stamps that are about to change."""
        for name in names:
            self._until.pop(name, None)
