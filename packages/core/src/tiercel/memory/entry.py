"""What the memory tier holds: entries, which begin as the reservation of a place for a value.

The attributes that most entries do without live in `DetailedEntry`, so that a plain one is small.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiercel.memory.partition import Partition

NEVER = -math.inf
"""The deadline of what has no value, and the end of what was dropped."""

RESERVED = -1e300
"""The end of an entry that waits for its value."""

SPOILED = -1e301
"""The end of an entry that was dropped while it waited for its value."""


class Entry:
    """One value in memory or, until it is committed, the reservation of a place for it.

    Attributes:
        key: Its key in the table of its function.
        value: What the function returned. Missing until committed and again once dropped, so
            that a hit that races a drop raises AttributeError and takes the slow path.
        deadline: Monotonic seconds until which a hit may serve it without asking; `inf` if
            nothing limits it. May be set by whoever knows that the entry is still valid: a
            dropped one stays dropped, because its value is gone.
        hard: Monotonic seconds at which it ends, whatever its deadline says.
        visited: Whether it was hit since eviction last looked at it; of a reservation, whether
            the place of its key is taken.
        part: The partition cell it belongs to; the root cell of its function if it has none.
        fill: Whatever the caller stored beside the value: stamps, metadata.
        text: The canonical text of its key, if the caller gave one.
        tags: Names of the tags that drop it; None while they depend on the result.
        size: Bytes it counts for; 0 where bytes are not bounded.
    """

    __slots__ = ("deadline", "fill", "hard", "key", "part", "value", "visited")

    key: Hashable
    value: Any
    deadline: float
    hard: float
    visited: bool
    part: Partition
    fill: Any
    text: str | None = None
    tags: tuple[str, ...] | None = ()
    size: int = 0

    @property
    def reserved(self) -> bool:
        """Whether it waits for its value."""
        return self.hard == RESERVED

    @property
    def alive(self) -> bool:
        """Whether nothing that concerns it was dropped since its place was reserved."""
        return self.hard >= RESERVED and self.part.served

    def drop(self) -> Any:
        """Make it unservable, and return its value so that the caller frees it when apt."""
        self.deadline = NEVER
        value = getattr(self, "value", None)
        with suppress(AttributeError):
            del self.value
        return value


class DetailedEntry(Entry):
    """An entry that has a text, tags or a counted size."""

    __slots__ = ("size", "tags", "text")
