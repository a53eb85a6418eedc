"""The index of a function as the reference backend keeps it: notes by key, in one value."""

from __future__ import annotations

import math
from itertools import islice

from msgspec import Struct

from tiercel.contracts.index import Listing


class Note(Struct, frozen=True):
    """What was noted at the last fill of a key, and when that entry ends."""

    text: str
    data: bytes
    deadline: float


class Notes(Struct, frozen=True):
    """Every note of an index.

    Attributes:
        kept: In the order of their texts.
        lost_until: Until then, on the monotonic clock, there may be entries without a note.
    """

    kept: tuple[Note, ...] = ()
    lost_until: float = -math.inf

    def added(self, note: Note, limit: int, now: float) -> Notes:
        """Return these and one more, within the limit."""
        alive = {each.text: each for each in self.kept if each.deadline > now} | {note.text: note}
        by_end = sorted(alive.values(), key=lambda each: each.deadline)
        excess = max(len(by_end) - limit, 0)
        lost_until = max([self.lost_until, *(each.deadline for each in by_end[:excess])])
        kept = sorted(by_end[excess:], key=lambda each: each.text)
        return Notes(tuple(kept), lost_until)

    def page(self, cursor: str, count: int, now: float) -> Listing:
        """Return the notes of keys that follow `cursor`."""
        found = list(islice((each for each in self.kept if each.text > cursor), count))
        more = bool(found) and found[-1].text != self.kept[-1].text
        listed = [(each.text, each.data) for each in found]
        return Listing(listed, found[-1].text if more else "", self.lost_until <= now)
