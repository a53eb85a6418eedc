"""Who dropped something last: what stamps, and what lies in the place of an entry, say of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from tiercel.events import Provenance
from tiercel.inspection.functions import AnyFunction
from tiercel.inspection.records import DropRecord


def drop_of(
    who: Provenance | None, scope: str, covers: str, function: AnyFunction
) -> DropRecord | None:
    """Return who dropped something of a function; None if nobody says so.

    Args:
        who: What is said.
        scope: The name of what was dropped.
        covers: What that is, in a word.
        function: The function.
    """
    if who is None:
        return None
    now = function.subject.engine.clock.time()
    return DropRecord(
        scope=scope,
        covers=covers,
        rule=who.rule,
        source=who.source,
        at=datetime.fromtimestamp(who.time, UTC).isoformat(timespec="microseconds"),
        age=max(now - who.time, 0.0),
        trace_id=who.trace_id.hex() or None,
        span_id=who.span_id.hex() or None,
    )


def latest(drops: Iterable[DropRecord | None]) -> DropRecord | None:
    """Return the last of several drops."""
    known = [each for each in drops if each is not None]
    return max(known, key=lambda each: each.at or "", default=None)
