"""Who computes, and what is stored of it (protocol rules 5 and 6)."""

from __future__ import annotations

import math
from typing import Any

from tiercel.contracts.backend import Begun, Fill
from tiercel.engine.compute import compute, compute_alone, verdict
from tiercel.engine.effects import Steps
from tiercel.engine.examine import exception_parts, look
from tiercel.engine.flights import Flight
from tiercel.engine.lease import acquire, surrender
from tiercel.engine.places import Place, leftover, remember
from tiercel.engine.state import Call, Outcome, Right, Subject
from tiercel.entry import Flag, pack_header
from tiercel.errors import BackendError
from tiercel.events import Cause, EventKind, OperationKind, Status, Tier


def lead(
    subject: Subject,
    call: Call,
    flight: Flight,
    place: Place,
    cause: Cause,
    begun: Begun | None = None,
) -> Steps[Outcome]:
    """Get a value for everybody who joins `flight`: compute it, or wait for who does."""
    try:
        right: Right | Outcome | None = Right(place)
        if subject.backend is not None and cause is not Cause.UNAVAILABLE:
            floor = math.inf if cause is Cause.UNDECODABLE else 0.0
            right = yield from _acquire(subject, call, flight, place, begun, floor)
        if isinstance(right, Outcome):
            outcome = right
        elif right is None:
            outcome = yield from compute_alone(subject, call, cause)
        else:
            outcome = yield from complete(subject, call, flight, right, cause)
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
        subject.report("the shared tier failed; computing without it", error)
        return Right(place)


def complete(
    subject: Subject, call: Call, flight: Flight, right: Right, cause: Cause
) -> Steps[Outcome]:
    """Compute under a right and store what its policy lets in."""
    try:
        value, took, ttl, keep = yield from _compute_under(subject, call, flight, right)
    except GeneratorExit:
        raise
    except subject.policy.cache_exceptions as error:
        outcome = Outcome(
            error, right.written, Tier.FUNCTION, cause, written=right.written, error=True
        )
        ttl = subject.policy.exception_ttl()
        return (yield from store(subject, call, right, outcome, ttl, 0.0))
    except BaseException as error:
        yield from surrender(subject, call, right, error)
        rescued = yield from _rescue(subject, call, error)
        if rescued is None:
            raise
        return rescued
    outcome = Outcome(value, right.written, Tier.FUNCTION, cause, written=right.written)
    if keep:
        return (yield from store(subject, call, right, outcome, ttl, took))
    yield from surrender(subject, call, right)
    return outcome


def _compute_under(
    subject: Subject, call: Call, flight: Flight, right: Right
) -> Steps[tuple[Any, float, float | None, bool]]:
    """Compute and judge, under a lease that is kept alive for as long as that takes."""
    keeper, token = subject.engine.keeper, right.token
    if keeper is not None and token is not None:
        keeper.keep(token, call.key, subject.policy.lease)
    try:
        value, took = yield from compute(subject, call, flight)
        ttl, keep = yield from verdict(subject, call, value)
        return value, took, ttl, keep
    finally:
        if keeper is not None and token is not None:
            keeper.release(token)


def _rescue(subject: Subject, call: Call, error: BaseException) -> Steps[Outcome | None]:
    """Serve what is left of an old entry instead of an error, where the policy allows.

    It is read and checked again first, since it may have been dropped meanwhile.
    """
    policy = subject.policy
    if not policy.stale_on_error or not isinstance(error, Exception):
        return None
    subject.report("a computation failed; an old entry is served if there is one", error)
    return (yield from _last_resort(subject, call, policy.stale_on_error))


def _last_resort(subject: Subject, call: Call, grace: float) -> Steps[Outcome | None]:
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
    since = subject.engine.clock.monotonic()
    stored = False
    if right.token is not None:
        stored = yield from _fill(subject, call, right, outcome, (soft, hard), took)
        if right.refused:
            return outcome
    outcome.left = math.inf if ttl is None else hard
    remember(subject, right.place, outcome, since=since, soft_left=soft, stored=stored, took=took)
    return outcome


def _fill(
    subject: Subject,
    call: Call,
    right: Right,
    outcome: Outcome,
    lives: tuple[float, float],
    took: float,
) -> Steps[bool]:
    """Store an entry in the shared tier; False if it was refused, so enters no tier."""
    soft, hard = lives
    assert right.token is not None
    watched = subject.start(OperationKind.FILL, call)
    flags = Flag.EXCEPTION if outcome.error else 0
    flags |= Flag.REFRESHED if right.written is Status.REFRESH else 0
    header = pack_header(
        call.key.text, right.stamps, hard=hard, soft=soft, computation=took, flags=flags
    )
    try:
        value = exception_parts(outcome.value) if outcome.error else outcome.value
        payload = header + subject.codec.encode(value, call.key.text.encode() + header)
        filled = yield Fill(call.key, right.token, payload, hard, announce=right.announce)
    except Exception as error:
        subject.report("a result could not be stored in the shared tier", error)
        subject.end(watched, error)
        yield from surrender(subject, call, right, error)
        return False
    if watched is not None:
        watched.operation.size = len(payload)
        subject.end(watched)
    if not filled:
        right.place.leave()
        right.refused = True
        subject.stats.refused += 1
        subject.engine.event(EventKind.FILL_REFUSED, function=subject.name, key=call.key.text)
    return bool(filled)
