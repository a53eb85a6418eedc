"""The memory tier as the engine uses it: places held before a read, entries kept and recalled."""

from __future__ import annotations

import math
import random
from collections.abc import Hashable
from copy import deepcopy
from typing import Any

from msgspec import Struct, structs

from tiercel.engine.state import RECHECK, Call, NotedOrigin, Origin, Outcome, Subject
from tiercel.entry import FOREVER
from tiercel.events import Cause, Status, Tier
from tiercel.memory import Entry, FunctionTable
from tiercel.memory.entry import RESERVED

NEVER = math.inf


class Place:
    """Room for one entry in memory, held from before the shared tier is read (rule 11).

    Attributes:
        trusted: Whether memory was known to be current when the place was taken.
        sent: Monotonic time when it was taken: lives count from here.
        call: The call that the entry is for, if memory is to remember that; else None.
    """

    __slots__ = ("_reservation", "_table", "sent", "trusted")

    call: Call | None = None

    def __init__(
        self,
        table: FunctionTable | None,
        reservation: Entry | None,
        sent: float,
        trusted: bool,
    ) -> None:
        self._table = table
        self._reservation = reservation
        self.sent = sent
        self.trusted = trusted

    @property
    def alive(self) -> bool:
        """Whether nothing that it depends on was dropped since it was taken."""
        return self._reservation is not None and self._reservation.alive

    def keep(self, value: Any, origin: Origin | None, deadline: float, hard: float) -> bool:
        """Put a value here, unless something was dropped meanwhile; tell whether it is here."""
        table, reservation = self._table, self._reservation
        if table is None or reservation is None:
            return False
        self._reservation = None
        return table.commit(reservation, value, deadline, hard, fill=origin) is not None

    def displace(self, key: Hashable) -> None:
        """Have all other places of its key be given up."""
        if self._table is not None:
            self._table.drop_reservations_of(key, besides=self._reservation)

    def leave(self) -> None:
        """Give the place up; harmless if it was used."""
        if self._table is not None and self._reservation is not None:
            self._table.abandon(self._reservation)
            self._reservation = None


NOWHERE = Place(None, None, 0.0, trusted=False)
"""Where a function without memory keeps its values."""


class NotedPlace(Place):
    """A place that knows for which call it is."""

    __slots__ = ("call",)

    call: Call | None


class Recalled(Struct, gc=False):
    """What memory knows of a call.

    Attributes:
        outcome: What may be served.
        refresh: Whether the entry should be refreshed in the background.
    """

    outcome: Outcome
    refresh: bool


def reserve(subject: Subject, call: Call) -> Place:
    """Take a place in memory; one without memory where the function has none."""
    table = subject.table
    if table is None:
        return NOWHERE
    now = subject.engine.clock.monotonic()
    text = None if subject.backend is None else call.key.text
    scopes = call.key.scopes[: table.partitions + 1]
    reservation = table.reserve(call.memory_key, text, scopes, call.tags)
    trusted = subject.engine.trusts_memory()
    if not subject.recounts:
        return Place(table, reservation, now, trusted)
    place = NotedPlace(table, reservation, now, trusted)
    place.call = call
    return place


def recall(subject: Subject, call: Call) -> Recalled | None:
    """Return what memory may serve for a call without asking the shared tier, or None."""
    entry = subject.table.find(call.memory_key) if subject.table is not None else None
    if entry is None:
        return None
    try:
        return _served(subject, entry)
    except AttributeError:
        return None  # dropped between the look-up and now: its value is gone


def why_missing(subject: Subject, call: Call) -> Cause:
    """Return why memory, where it is the only tier, has nothing to serve; ABSENT if nobody asks.

    A drop of a function leaves no trace of single entries: a key counts as dropped if it could
    have been there. Of evicted entries those are known that left without a second hit.
    """
    table, dropped = subject.table, subject.engine.dropped
    if table is None or not subject.watched:
        return Cause.ABSENT
    entry = table.entries.get(call.memory_key)
    if entry is not None and entry.hard > RESERVED:
        if entry.part.served:
            return Cause.EXPIRED
    elif table.was_evicted(call.memory_key):
        return Cause.EVICTED
    life = math.inf if callable(subject.policy.ttl) else subject.policy.lives(subject.policy.ttl)[1]
    names = (call.key.text, *call.key.scopes)
    call.dropped_by = dropped.of(names, subject.engine.clock.time() - life)
    dropped.forget(call.key.text)
    return Cause.ABSENT if call.dropped_by is None else Cause.DROPPED


def leftover(subject: Subject, call: Call, grace: float) -> Outcome | None:
    """Return an entry of a memory-only function that ended at most `grace` seconds ago."""
    entry = subject.table.find(call.memory_key) if subject.table is not None else None
    now = subject.engine.clock.monotonic()
    if entry is None:
        return None
    origin = origin_of(subject, entry)
    if now >= origin.soft_end + grace:
        return None
    age, left = now - origin.born, entry.hard - now
    return Outcome(entry.value, Status.STALE, Tier.MEMORY, Cause.EXPIRED, age, left)


def _served(subject: Subject, entry: Entry) -> Recalled | None:
    now = subject.engine.clock.monotonic()
    origin = origin_of(subject, entry)
    hard = entry.hard
    if now >= hard:
        return None
    if now >= origin.soft_end:
        servable = subject.backend is None and now < origin.soft_end + subject.policy.stale
        status = Status.STALE
    else:
        followed = not origin.followed or subject.engine.trusts_memory()
        servable = now < origin.recheck_at and followed
        status = Status.HIT
    if not servable:
        return None
    refresh = status is Status.STALE or now >= origin.ahead_at
    if now >= origin.ahead_at:
        origin.ahead_at = NEVER
    entry.deadline = _deadline(subject, origin)
    entry.visited = True
    endless = origin.soft_end - origin.born > FOREVER - 1.0
    left = math.inf if endless else hard - now
    value = deepcopy(entry.value) if subject.policy.copy else entry.value
    outcome = Outcome(
        value, status, Tier.MEMORY, None, now - origin.born, left, origin.written,
        origin.error,
    )  # fmt: skip
    if status is Status.STALE:
        subject.stats.stale += 1
    else:
        subject.stats.memory_hits += 1
        if subject.memory_hit is not None:
            subject.engine.observers.memory_hit(subject.memory_hit)
    return Recalled(outcome, refresh)


def remember(
    subject: Subject,
    place: Place,
    outcome: Outcome,
    *,
    soft_left: float,
    stored: bool,
    took: float,
    since: float | None = None,
) -> bool:
    """Keep a value in memory for what is left of its life; tell whether it is there.

    Its life counts from `since`, by default from when `place` was taken; trust from the latter.

    A value that the shared tier did not take (`stored` false) is kept for `max_lag` at most, after
    which a drop elsewhere must show.
    """
    if subject.table is None:
        return False
    start, value = place.sent if since is None else since, outcome.value
    if subject.policy.copy:
        try:
            value = deepcopy(value)
        except Exception as error:
            subject.report("a result cannot be copied, as copy=True asks; memory keeps none", error)
            return False
    soft_end, hard = start + soft_left, start + min(outcome.left, FOREVER)
    if hard == soft_end:
        hard = soft_end  # one object instead of two, for each entry
    if subject.plain and outcome.written is Status.MISS and not outcome.error:
        return place.keep(value, None, soft_end, hard)
    followed = subject.backend is not None and place.trusted and stored
    trusted_for = RECHECK if followed else subject.engine.max_lag
    recheck_at = NEVER if subject.backend is None else place.sent + trusted_for
    origin = Origin(
        start - outcome.age,
        soft_end,
        recheck_at,
        _ahead_at(subject, soft_end, took),
        followed,
        outcome.written,
        outcome.error,
    )
    if place.call is not None:
        origin = _noted(origin, place.call)
    return place.keep(value, origin, _deadline(subject, origin), hard)


def _noted(origin: Origin, call: Call) -> NotedOrigin:
    known = structs.asdict(origin)
    return NotedOrigin(**known, args=call.args, kwargs=call.kwargs, key=call.key)


def _ahead_at(subject: Subject, soft_end: float, took: float) -> float:
    """Return when to refresh ahead of the end: XFetch, drawn once for this process."""
    beta = subject.policy.refresh_ahead
    return soft_end + took * beta * math.log(1.0 - random.random()) if beta else NEVER


def origin_of(subject: Subject, entry: Entry) -> Origin:
    """Return where an entry came from; of a plain one its life tells that."""
    if entry.fill is not None:
        origin: Origin = entry.fill
        return origin
    ttl = subject.policy.ttl
    assert not callable(ttl), "a plain entry has a plain life"
    soft, hard = subject.policy.lives(ttl)
    born = entry.hard - hard
    return Origin(born, born + soft, NEVER, NEVER)


def _deadline(subject: Subject, origin: Origin) -> float:
    """Return until when a hit needs no second look."""
    if origin.error:
        return -NEVER
    deadline = min(origin.soft_end, origin.recheck_at, origin.ahead_at)
    channel = subject.engine.channel
    return min(deadline, channel.trusted_until) if origin.followed and channel else deadline
