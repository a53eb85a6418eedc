"""Whether what the shared tier holds may be served (protocol rules 2 and 3)."""

from __future__ import annotations

import math
import random
from typing import Any

from msgspec import Struct

from tiercel.contracts.backend import (
    STAMP_BYTES,
    STAMPS_OFFSET,
    Begin,
    Begun,
    Read,
    Reading,
    ReadThenBegin,
)
from tiercel.engine.effects import Steps
from tiercel.engine.exceptions import made_again
from tiercel.engine.places import Place, remember
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.entry import (
    FOREVER,
    Flag,
    age_of,
    end_of_plain_header,
    flags_and_life,
    parse_header,
)
from tiercel.errors import Undecodable
from tiercel.events import Cause, Operation, OperationKind, Status, Tier
from tiercel.stamps import carries, join_stamps, who_dropped

MISSES_OFTEN = 0.5
"""Share of misses from which a read asks for the lease in the same round trip."""

SMALL = 4096
"""Bytes up to which copying a payload is cheaper than a view of it."""

_HIT, _SHARED, _READ = Status.HIT, Tier.SHARED, OperationKind.READ
_ABSENT = Cause.ABSENT


class Seen(Struct, gc=False):
    """What a look at the shared tier has shown.

    Attributes:
        cause: Why it is a miss; None for a fresh entry.
        found: Whether there is an entry that may be served, fresh or stale.
        value: Its value.
        age: Seconds since it was filled.
        left: Seconds until it ends; infinite without expiry.
        soft_left: Seconds until it becomes stale; negative since when it is.
        grace: Seconds that it is kept after it has become stale.
        took: Seconds that its computation took.
        written: How it was written.
        error: Whether the value is an exception to raise.
        begun: The answer to the request for a lease that was sent along, or None.
    """

    cause: Cause | None = None
    found: bool = False
    value: Any = None
    age: float = 0.0
    left: float = 0.0
    soft_left: float = 0.0
    grace: float = 0.0
    took: float = 0.0
    written: Status = Status.MISS
    error: bool = False
    begun: Begun | None = None

    @property
    def fresh(self) -> bool:
        """Whether it is a hit."""
        return self.cause is None

    def outcome(self, status: Status) -> Outcome:
        """Return the entry as it is served."""
        return Outcome(
            self.value, status, Tier.SHARED, None, self.age, self.left, self.written, self.error
        )


def look(subject: Subject, call: Call, lease: Begin | None = None) -> Steps[Seen]:
    """Read a call's entry from the shared tier and examine it.

    Args:
        subject: The function.
        call: The call.
        lease: The request for a lease to send along, or None.

    Raises:
        BackendError: The shared tier cannot be asked, or this process still owes it a drop.
    """
    engine = subject.engine
    reversals = engine.pending.reversals
    if engine.pending:
        yield from engine.pending.settle()
        engine.pending.bar(call.key)
    watched = subject.start(OperationKind.READ, call) if subject.watched else None
    begun: Begun | None = None
    try:
        if lease is None:
            reading = yield Read(call.key)
        else:
            reading, begun = yield ReadThenBegin(lease)
        engine.pending.check(reversals)
        seen = examine(subject, call, reading)
    except BaseException as error:
        subject.end(watched, error)
        if lease is not None:
            engine.disown(lease, error)
        raise
    seen.begun = begun
    if watched is not None:
        _describe(watched.operation, call, seen, reading)
        subject.end(watched)
    return seen


def look_briefly(subject: Subject, call: Call) -> Steps[Outcome | Seen]:
    """Serve a call's entry in sight of observers; if that takes a second look, do as `look` does.

    They want to know the age of a hit; that and no more is done for them besides.

    Raises:
        BackendError: The shared tier cannot be asked, or this process still owes it a drop.
    """
    engine, key = subject.engine, call.key
    pending, observers = engine.pending, engine.observers
    reversals = pending.reversals
    if pending:
        return (yield from look(subject, call))
    operation = Operation(_READ, engine.name, subject.name, key.text, subject.template)
    started = observers.start(operation)
    seen: Outcome | Seen | None
    try:
        reading = yield Read(key)
        pending.check(reversals)
        seen = glance(subject, call, reading) if reading.remaining > 0 else None
        if seen is None:
            seen = examine(subject, call, reading)
    except BaseException as error:
        operation.error = error
        observers.end(operation, started)
        raise
    if type(seen) is Seen:
        _describe(operation, call, seen, reading)
    else:
        operation.status, operation.tier = _HIT, _SHARED
        operation.size, operation.stamps = len(reading.payload), reading.stamps
        operation.age = age_of(reading.payload, reading.remaining)
    observers.end(operation, started)
    return seen


def glance(subject: Subject, call: Call, reading: Reading) -> Outcome | None:
    """Serve an entry whose age does not matter; None if it takes a second look.

    What it leaves out of `examine` is what a hit can do without; it never decides otherwise.
    """
    payload, text, codec = reading.payload, call.key.text, subject.codec
    stamps = join_stamps(reading.stamps)
    if payload is None or stamps is None:
        return None
    end = end_of_plain_header(text, payload, stamps)
    if not end:
        return None
    bound_to = text.encode() + payload[:end] if codec.binds else b""
    body = payload[end:] if len(payload) < SMALL else memoryview(payload)[end:]
    try:
        value = codec.decode(body, bound_to)
    except Undecodable:
        return None
    subject.missing *= 0.9375
    subject.stats.shared_hits += 1
    return Outcome(value, _HIT, _SHARED)


def describe_glanced(outcome: Outcome, reading: Reading) -> Outcome:
    """Add how old a glanced entry is, how long it lives, and how it was written."""
    remaining = reading.remaining
    flags, hard = flags_and_life(reading.payload or b"")
    outcome.age = hard - remaining if hard > remaining else 0.0
    outcome.left = remaining if hard < FOREVER else math.inf
    if flags & Flag.REFRESHED:
        outcome.written = Status.REFRESH
    return outcome


def examine(subject: Subject, call: Call, reading: Reading) -> Seen:
    """Judge what was read: fresh, stale, or why it is a miss."""
    payload = reading.payload
    if payload is None:
        return Seen(subject.why_absent(call) if subject.refusals else _ABSENT)
    if not carries(payload, reading.stamps):
        call.dropped_by = who_dropped(payload, reading.stamps)
        return Seen(Cause.DROPPED)
    remaining = reading.remaining
    if remaining <= 0:
        return Seen(Cause.EXPIRED)
    text = call.key.text
    try:
        flags, took, hard, soft, end = parse_header(text, payload)
        if end != _end_of_stamps(reading):
            return Seen(Cause.VERSION)
        bound_to = text.encode() + payload[:end] if subject.codec.binds else b""
        body = payload[end:] if len(payload) < SMALL else memoryview(payload)[end:]
        value = subject.codec.decode(body, bound_to)
        if flags & Flag.EXCEPTION:
            value = made_again(subject.policy.cache_exceptions, value)
    except Undecodable as error:
        subject.report("a stored entry could not be decoded and counts as a miss", error)
        return Seen(Cause.UNDECODABLE)
    soft_left = soft - hard + remaining
    return Seen(
        None if soft_left > 0 else Cause.EXPIRED,
        True,
        value,
        hard - remaining if hard > remaining else 0.0,
        remaining if hard < FOREVER else math.inf,
        soft_left,
        hard - soft,
        took,
        Status.REFRESH if flags & Flag.REFRESHED else Status.MISS,
        bool(flags & Flag.EXCEPTION),
    )


def _end_of_stamps(reading: Reading) -> int:
    """Where the payload must begin if the entry depends on just these stamps."""
    return STAMPS_OFFSET + STAMP_BYTES * len(reading.stamps)


def promote(subject: Subject, place: Place | None, seen: Seen) -> Outcome:
    """Serve a fresh entry of the shared tier and keep it in memory."""
    subject.stats.shared_hits += 1
    outcome = seen.outcome(Status.HIT)
    if place is not None:
        remember(subject, place, outcome, soft_left=seen.soft_left, stored=True, took=seen.took)
    return outcome


def wants_refresh(subject: Subject, seen: Seen) -> bool:
    """Tell whether this reader should refresh a fresh entry ahead of its end.

    XFetch (Vattani et al., VLDB 2015): with the measured computation as delta.
    """
    beta = subject.policy.refresh_ahead
    if not beta:
        return False
    return seen.took * beta * -math.log(1.0 - random.random()) >= seen.soft_left


def _describe(operation: Operation, call: Call, seen: Seen, reading: Reading) -> None:
    operation.cause = seen.cause
    operation.status = Status.HIT if seen.fresh else Status.MISS
    operation.tier = Tier.SHARED
    operation.size = len(reading.payload or b"")
    operation.age = seen.age if seen.found else None
    operation.stamps = reading.stamps
    operation.dropped_by = call.dropped_by if seen.cause is Cause.DROPPED else None
