"""Ending the fresh part of an entry's life: it may still be served stale, while it is refreshed.

The value is written again under a lease taken before it was read, so a drop in between wins: the
fill is refused then, or carries stamps that are no longer in force (protocol rules 5 and 6).
"""

from __future__ import annotations

from msgspec import structs

from tiercel.engine.drop import drop_key
from tiercel.engine.effects import Steps
from tiercel.engine.examine import Seen, look
from tiercel.engine.fill import fill
from tiercel.engine.lease import begin, surrender
from tiercel.engine.places import NEVER, NOWHERE, origin_of, reserve
from tiercel.engine.state import Call, Right, Subject
from tiercel.errors import BackendError
from tiercel.events import Status
from tiercel.stamps import join_stamps

ROUNDING = 0.002
"""Seconds by which headers, which count milliseconds, may be wrong."""


def retire(subject: Subject, call: Call) -> Steps[bool]:
    """Make an entry stale now, or drop it where the policy has no use for stale ones.

    Whoever computes it at this moment does not store what comes of it. What cannot be marked, for
    trouble with the shared tier, is dropped.

    Returns:
        Whether there was one, as far as is known.
    """
    if not subject.policy.grace:
        return (yield from drop_key(subject, call))
    if subject.backend is None:
        return _retire_in_memory(subject, call)
    try:
        return (yield from _retire_shared(subject, call))
    except BackendError as error:
        subject.report("an entry could not be marked as stale and is dropped", error)
        return (yield from drop_key(subject, call))
    finally:
        if subject.table is not None:
            subject.table.drop_key(call.memory_key)


def _retire_in_memory(subject: Subject, call: Call) -> bool:
    """Do it where there is no shared tier; nothing is yielded."""
    table, memory = subject.table, subject.engine.memory
    if table is None or memory is None:
        return False
    with memory.lock:
        now, entry = subject.engine.clock.monotonic(), table.find(call.memory_key)
        if entry is None or origin_of(subject, entry).soft_end <= now:
            table.drop_reservations_of(call.memory_key)
            return entry is not None
        value, hard = entry.value, min(entry.hard, now + subject.policy.grace)
        origin = structs.replace(origin_of(subject, entry), soft_end=now, ahead_at=NEVER)
        table.drop_key(call.memory_key)
        if not origin.error:
            reserve(subject, call).keep(value, origin, -NEVER, hard)
    return True


def _retire_shared(subject: Subject, call: Call) -> Steps[bool]:
    # Without atomic leases, to take the right is to give up the old value: read it before.
    early = None if subject.fenced else (yield from look(subject, call))
    granted = yield from begin(subject, call, force=True, wait=False)
    right = Right(NOWHERE, granted.token, join_stamps(granted.stamps) or b"", announce=True)
    try:
        seen = early or (yield from look(subject, call))
    except GeneratorExit:
        raise
    except BaseException as error:
        yield from surrender(subject, call, right, error)
        raise
    if not seen.found or seen.error:
        yield from surrender(subject, call, right)
        return (yield from drop_key(subject, call)) if seen.found else False
    if not (yield from _write(subject, call, right, seen)) and not right.refused:
        yield from drop_key(subject, call)
    return True


def _write(subject: Subject, call: Call, right: Right, seen: Seen) -> Steps[bool]:
    """Store what was seen such that it is stale from now on; no longer than it would have lived."""
    right.written = seen.written
    lives = -min(ROUNDING, seen.age), min(subject.policy.grace, seen.left)
    outcome = seen.outcome(Status.STALE)
    return (yield from fill(subject, call, right, outcome, lives, seen.took, seen.age))
