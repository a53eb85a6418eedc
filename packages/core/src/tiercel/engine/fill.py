"""Who computes, and what is stored of it (protocol rules 5 and 6)."""

from __future__ import annotations

import math
from typing import Any

from tiercel.contracts.backend import Begun, DropKey, Fill, Granted
from tiercel.contracts.overwrite import Overwrite
from tiercel.engine.compute import USUAL, check_storable, compute, compute_alone, verdict
from tiercel.engine.effects import Steps
from tiercel.engine.examine import look
from tiercel.engine.exceptions import exception_parts
from tiercel.engine.flights import Flight
from tiercel.engine.isolation import is_isolated
from tiercel.engine.lease import acquire, claim, surrender
from tiercel.engine.once import check_alone, check_unstored, settle_failed, settled
from tiercel.engine.places import Place, leftover, remember
from tiercel.engine.state import Call, Outcome, Right, Subject
from tiercel.engine.stopped import original
from tiercel.entry import Flag, pack_header
from tiercel.errors import BackendError, ComputationTimeout
from tiercel.events import Cause, EventKind, OperationKind, Status, Tier

_FUNCTION, _REFRESH = Tier.FUNCTION, Status.REFRESH  # each look-up in an Enum takes a tenth of a us


def lead(
    subject: Subject,
    call: Call,
    flight: Flight,
    place: Place,
    cause: Cause,
    begun: Begun | None = None,
) -> Steps[Outcome]:
    """Get a value for everybody who joins `flight`: compute it, or wait for who does."""
    right: Right | Flight | Outcome | None = None
    try:
        if type(begun) is Granted:
            right = claim(subject, call, flight, place, begun)
        elif subject.backend is None or cause is Cause.UNAVAILABLE:
            check_alone(subject)
            right = Right(place)
        if type(right) is not Right:
            floor = math.inf if cause is Cause.UNDECODABLE else 0.0
            right = yield from _acquire(subject, call, flight, place, begun, floor)
        if type(right) is Right:
            outcome = yield from complete(subject, call, flight, right, cause)
        elif isinstance(right, Outcome):
            outcome = right
        else:
            check_unstored(subject, call)
            if subject.policy.hard_timeout is not None:
                raise ComputationTimeout(f"{subject.name}: another still computes {call.key.text}")
            outcome = yield from compute_alone(subject, call, cause)
        flight.outcome = outcome
        return outcome
    except Exception as error:
        flight.error = error
        raise
    finally:
        place.leave()
        subject.flights.land(call.memory_key, flight)


def _acquire(
    subject: Subject,
    call: Call,
    flight: Flight,
    place: Place,
    begun: Begun | None,
    floor: float,
) -> Steps[Right | Outcome | None]:
    try:
        return (yield from acquire(subject, call, flight, place, begun, floor))
    except BackendError as error:
        if subject.claim:
            raise
        subject.report("the shared tier failed; computing without it", error)
        return Right(place)


def complete(
    subject: Subject, call: Call, flight: Flight, right: Right, cause: Cause
) -> Steps[Outcome]:
    """Compute under a right, which is kept alive meanwhile, and store what the policy lets in."""
    keeper, policy, token, keep = subject.engine.keeper, subject.policy, right.token, True
    try:
        if keeper is not None and token is not None:
            keeper.keep(token, call.key, policy.lease, subject.claim, right.until)
        try:
            value, took = yield from compute(subject, call, flight, cause)
            if type(value) not in USUAL:
                check_storable(subject, value)
            ttl: Any = policy.ttl_of(value)
            if subject.keep is not None or callable(ttl):
                ttl, keep = yield from verdict(subject, call, value, ttl)
        finally:
            if keeper is not None and token is not None:
                keeper.release(token)
    except BaseException as error:
        outcome = yield from fail(subject, call, right, cause, error)
        if outcome is None:
            raise
        return outcome
    written = right.written
    outcome = Outcome(value, written, _FUNCTION, cause, 0.0, 0.0, written)
    if keep and (subject.claim or not is_isolated()):
        return (yield from store(subject, call, right, outcome, ttl, took))
    yield from surrender(subject, call, right)
    return outcome


def fail(
    subject: Subject, call: Call, right: Right, cause: Cause, error: BaseException
) -> Steps[Outcome | None]:
    """Store an exception or serve something in its place; None if it has to be raised."""
    if isinstance(error, GeneratorExit):
        return None
    error = original(error)
    if isinstance(error, subject.policy.cache_exceptions):
        written = right.written
        outcome = Outcome(error, written, Tier.FUNCTION, cause, written=written, error=True)
        ttl = subject.policy.exception_ttl()
        return (yield from store(subject, call, right, outcome, ttl, 0.0))
    if subject.claim:
        yield from settle_failed(subject, call, right, error)
    yield from surrender(subject, call, right, error)
    return (yield from _rescue(subject, call, error))


def _rescue(subject: Subject, call: Call, error: BaseException) -> Steps[Outcome | None]:
    """Serve what is left of an old entry instead of an error, where the policy allows.

    It is read and checked again first, since it may have been dropped meanwhile.
    """
    policy = subject.policy
    if not policy.stale_on_error or not isinstance(error, Exception):
        return None
    subject.report("a computation failed; an old entry is served if there is one", error)
    return (yield from last_resort(subject, call, policy.stale_on_error))


def last_resort(subject: Subject, call: Call, grace: float) -> Steps[Outcome | None]:
    """Return an old entry that ended at most `grace` seconds ago; None if there is none."""
    if subject.backend is None:
        return leftover(subject, call, grace)
    try:
        seen = yield from look(subject, call)
    except BackendError:
        return None
    if not seen.found or -seen.soft_left >= grace:
        return None
    outcome = seen.outcome(Status.STALE)
    outcome.cause = Cause.EXPIRED
    return outcome


def store(
    subject: Subject, call: Call, right: Right, outcome: Outcome, ttl: float | None, took: float
) -> Steps[Outcome]:
    """Store a result in every tier that the right covers; the caller gets it in any case."""
    soft, hard = subject.policy.lives(ttl)
    if outcome.error:
        hard = soft
    since = 0.0 if subject.table is None else subject.engine.clock.monotonic()
    stored = kept = False
    if right.token is not None:
        stored = yield from fill(subject, call, right, outcome, (soft, hard), took)
        right.lost = not stored
        if right.refused or right.outdated:
            return outcome
    outcome.left = math.inf if ttl is None else hard
    if subject.table is not None:
        if right.announce:  # who has read what this replaces must not put it in its place
            right.place.displace(call.memory_key)
        kept = remember(
            subject, right.place, outcome, since=since, soft_left=soft, stored=stored, took=took
        )
        if right.announce and not kept:  # displaced by another: nobody knows which is newer
            subject.table.drop_key(call.memory_key)
    outcome.stored = stored or kept
    return outcome


def _noted(subject: Subject, call: Call, right: Right, payload: bytes, life: float) -> Fill:
    """Return the fill of an entry that an index lists."""
    assert right.token is not None and subject.notes is not None
    note, announce = subject.notes.note(call), right.announce
    return Fill(call.key, right.token, payload, life, (), announce, subject.index, note)


def fill(
    subject: Subject,
    call: Call,
    right: Right,
    outcome: Outcome,
    lives: tuple[float, float],
    took: float,
    age: float = 0.0,
) -> Steps[bool]:
    """Store an entry in the shared tier; False if it was refused, so enters no tier.

    Args:
        subject: The function.
        call: The call.
        right: The right to do so.
        outcome: What to store.
        lives: Seconds until it is stale, and until it ends.
        took: Seconds that its computation took.
        age: Seconds since it was computed.
    """
    soft, hard = lives
    assert right.token is not None
    watched = subject.start(OperationKind.FILL, call) if subject.watched else None
    flags = Flag.EXCEPTION if outcome.error else 0
    if right.written is _REFRESH:
        flags |= Flag.REFRESHED
    text, codec = call.key.text, subject.codec
    header = pack_header(text, right.stamps, hard + age, soft + age, took, flags)
    try:
        if subject.claim:
            yield settled(call, right, hard)
        value = outcome.value
        if outcome.error:
            value = exception_parts(subject.policy.cache_exceptions, value)
        bound_to = text.encode() + header if codec.binds else b""
        payload = header + codec.encode(value, bound_to)
        if right.announce:
            subject.engine.pending.note(DropKey(call.key))  # of what it replaces
        if subject.index is not None:
            filled = yield _noted(subject, call, right, payload, hard)
        elif right.token:
            filled = yield Fill(call.key, right.token, payload, hard, (), right.announce)
        else:
            filled = yield Overwrite(call.key, payload, hard)
            right.outdated = not filled
    except Exception as error:
        subject.report("a result could not be stored in the shared tier", error)
        subject.end(watched, error)
        yield from surrender(subject, call, right, error)
        return False
    if watched is not None:
        watched.operation.size = len(payload)
        subject.end(watched)
    if not (filled or right.outdated):
        right.place.leave()
        right.refused = True
        subject.stats.refused += 1
        subject.note_refusal(call)
        subject.engine.event(EventKind.FILL_REFUSED, function=subject.name, key=text)
    return bool(filled)
