"""How one call is served: from memory, from the shared tier, by joining, or by computing."""

from __future__ import annotations

from collections.abc import Sequence

from tiercel.contracts.backend import Begun, Granted, Read, ReadThenBegin
from tiercel.engine.build import build, builder, waits_for_worker
from tiercel.engine.compute import compute_alone
from tiercel.engine.effects import Detach, Gather, Steps
from tiercel.engine.examine import (
    MISSES_OFTEN,
    Seen,
    describe_glanced,
    examine,
    glance,
    look,
    look_briefly,
    promote,
    wants_refresh,
)
from tiercel.engine.fill import last_resort, lead
from tiercel.engine.flights import Flight
from tiercel.engine.isolation import is_isolated
from tiercel.engine.lease import join, request
from tiercel.engine.outright import lead_outright
from tiercel.engine.patience import await_flight, launch, stand_in
from tiercel.engine.peek import follow, peek_many, servable
from tiercel.engine.places import NOWHERE, Place, recall, reserve, why_missing
from tiercel.engine.refresh import refresh, revalidate
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.errors import AsyncValueFailedToBeBuiltException, BackendError
from tiercel.events import Cause, Status

_EXPIRED = Cause.EXPIRED


def fetch(subject: Subject, call: Call, *, described: bool = True) -> Steps[Outcome]:
    """Serve a call by the cheapest means that its policy allows.

    Args:
        subject: The function.
        call: The call.
        described: Whether the age and the remaining life of the value are wanted, too.
    """
    if subject.builds is not None:
        return _fetch_built(subject, call)
    if not subject.claim and is_isolated():
        return _fetch_isolated(subject, call)
    if subject.limited:
        return _fetch_in_time(subject, call)
    return _fetch_here(subject, call, described)


def _fetch_here(subject: Subject, call: Call, described: bool = True) -> Steps[Outcome]:
    """Serve a call; what is missing is computed by the caller, or awaited."""
    if subject.table is not None or subject.backend is None:
        return _fetch_remembered(subject, call)
    if subject.missing > MISSES_OFTEN:
        flight = Flight(_never)
        steps = _ask(subject, call, flight)
        detach = subject.asynchronous
        return _detached(subject, call, flight, NOWHERE, steps) if detach else steps
    if subject.watched:
        return _fetch_watched(subject, call, not (described or subject.ages))
    return _fetch_quickly(subject, call, not (described or subject.ages))


def _fetch_quickly(subject: Subject, call: Call, briefly: bool) -> Steps[Outcome]:
    """Serve a call of a function without memory that mostly hits, by what a hit needs at least."""
    pending, reversals = subject.engine.pending, subject.engine.pending.reversals
    if pending:
        return (yield from _travel(subject, call, Flight(_never), NOWHERE))
    try:
        reading = yield Read(call.key, (), not briefly)
        pending.check(reversals)
        glanced = None
        if reading.remaining > 0 and not subject.ages:
            glanced = glance(subject, call, reading)
        if glanced is not None:
            return glanced if briefly else describe_glanced(glanced, reading)
        seen = examine(subject, call, reading)
        if briefly and seen.grace:
            return (yield from fetch(subject, call))  # written when stale values were kept
        if seen.fresh and not subject.policy.refresh_ahead:
            subject.missing -= subject.missing / 16
            return promote(subject, None, seen)
    except BackendError as error:
        seen = _unavailable(subject, error)
    return (yield from _go_on(subject, call, Flight(_never), NOWHERE, seen))


def _fetch_watched(subject: Subject, call: Call, briefly: bool) -> Steps[Outcome]:
    """Do the same in sight of observers, who want to know all that a read shows."""
    try:
        seen = yield from (look_briefly if briefly else look)(subject, call)
        if isinstance(seen, Outcome):
            return seen
    except BackendError as error:
        seen = _unavailable(subject, error)
    if seen.fresh and not subject.policy.refresh_ahead:
        subject.missing -= subject.missing / 16
        return promote(subject, None, seen)
    return (yield from _go_on(subject, call, Flight(_never), NOWHERE, seen))


def _ask(subject: Subject, call: Call, flight: Flight) -> Steps[Outcome]:
    """Serve a call of a function without memory that mostly misses: ask for the lease at once.

    In sight of observers, or while drops are owed, there is more to a look than is done here.
    """
    engine, pending = subject.engine, subject.engine.pending
    reversals = pending.reversals
    if subject.watched or pending:
        return (yield from _look_and_go_on(subject, call, flight, NOWHERE, eager=True))
    lease = request(subject, call, wait=False)
    try:
        reading, begun = yield ReadThenBegin(lease)
        pending.check(reversals)
        seen = examine(subject, call, reading)
    except BaseException as error:
        engine.disown(lease, error)
        if not isinstance(error, BackendError):
            raise
        seen, begun = _unavailable(subject, error), None
    seen.begun = begun
    return (yield from _lead_or_go_on(subject, call, flight, NOWHERE, seen))


def _never() -> bool:
    return False


def _fetch_remembered(subject: Subject, call: Call) -> Steps[Outcome]:
    """Serve a call of a function that has a memory tier."""
    recalled = yield from _recalled(subject, call)
    if recalled is not None:
        return recalled
    flight = subject.flights.joinable(call.memory_key)
    if flight is not None:
        joined = yield from join(subject, flight, subject.policy.wait)
        if joined is not None:
            return joined
    return (yield from _take_off(subject, call))


def _recalled(subject: Subject, call: Call) -> Steps[Outcome | None]:
    """Return what memory may serve, and see to its refresh."""
    recalled = recall(subject, call)
    if recalled is None:
        return None
    if recalled.refresh:
        left = recalled.outcome.left
        yield from revalidate(subject, call, floor=left, left=left)
    return recalled.outcome


def _at_hand(subject: Subject, call: Call) -> Steps[Outcome | Seen]:
    """Return what can be served without computing; else what the shared tier showed."""
    recalled = yield from _recalled(subject, call)
    if recalled is not None:
        return recalled
    place, seen = reserve(subject, call), Seen(Cause.ABSENT)
    try:
        if subject.backend is not None:
            seen = yield from _look(subject, call)
            if servable(subject, seen):
                return (yield from _serve(subject, call, place, seen))
    finally:
        place.leave()
    return seen


def _fetch_built(subject: Subject, call: Call) -> Steps[Outcome]:
    """Serve a call of a function whose values are built in the background."""
    found = yield from _at_hand(subject, call)
    if type(found) is Outcome:
        return found
    if found.cause is not Cause.UNAVAILABLE:
        built = yield from _built(subject, call, found.cause or Cause.EXPIRED)
        if built is not None:
            return built
    return (yield from _fetch_here(subject, call))


def _fetch_isolated(subject: Subject, call: Call) -> Steps[Outcome]:
    """Serve a call of code that sees what others do not: nobody joins, and nothing is stored."""
    found = yield from _at_hand(subject, call)
    if type(found) is Outcome:
        return found
    return (yield from compute_alone(subject, call, found.cause or Cause.EXPIRED))


def _fetch_in_time(subject: Subject, call: Call) -> Steps[Outcome]:
    """Serve a call of a function whose callers wait for a limited time."""
    found = yield from _at_hand(subject, call)
    if type(found) is Outcome:
        return found
    overtaken = subject.overtaken.get(call.memory_key)
    if overtaken is not None:
        old = yield from stand_in(subject, call, overtaken)
        if old is not None:
            return old
    place = reserve(subject, call)
    flight = _new_flight(subject, place)
    flying = flight if subject.table is None else subject.flights.open(call.memory_key, flight)
    if flying is not flight:
        place.leave()
        return (yield from await_flight(subject, call, flying, joined=True))
    steps = _fly(subject, call, flight, place)
    return (
        yield from launch(subject, call, flight, steps, lambda: _land(subject, call, flight, place))
    )


def _look(subject: Subject, call: Call) -> Steps[Seen]:
    """Look at the shared tier; one that fails has nothing."""
    try:
        yield from follow(subject)
        return (yield from look(subject, call))
    except BackendError as error:
        return _unavailable(subject, error)


def _built(subject: Subject, call: Call, cause: Cause) -> Steps[Outcome | None]:
    """Have a value built; what is left of an old one may stand in for one that failed."""
    dispatcher = builder(subject)
    if dispatcher is None:
        queued = subject.backend is not None and (yield from waits_for_worker(subject, call))
        return (yield from refresh(subject, call)) if queued else None
    try:
        return (yield from build(subject, call, dispatcher, cause))
    except AsyncValueFailedToBeBuiltException:
        grace = subject.policy.stale_on_error
        rescued = (yield from last_resort(subject, call, grace)) if grace else None
        if rescued is None:
            raise
        return rescued


def _take_off(subject: Subject, call: Call) -> Steps[Outcome]:
    """Open a flight that others may join as long as nothing is dropped, and bring it home."""
    place = reserve(subject, call)
    flight = _new_flight(subject, place)
    found = subject.flights.open(call.memory_key, flight)
    if found is not flight:
        place.leave()
        joined = yield from join(subject, found, subject.policy.wait)
        if joined is not None:
            return joined
        place = reserve(subject, call)
    return (yield from _fly(subject, call, flight, place))


def _new_flight(subject: Subject, place: Place) -> Flight:
    """Return a flight that others may join as long as nothing is dropped."""
    return Flight(lambda: place.alive and subject.engine.trusts_memory())


def _fly(subject: Subject, call: Call, flight: Flight, place: Place) -> Steps[Outcome]:
    """Bring a flight home."""
    if subject.backend is None:
        return _lead(subject, call, flight, place, why_missing(subject, call), None)
    return _travel(subject, call, flight, place)


def _travel(subject: Subject, call: Call, flight: Flight, place: Place) -> Steps[Outcome]:
    """Look at the shared tier and go on from there.

    A lease that is asked for along with the value would be lost with a caller that is cancelled
    before the answer has come, and everybody would wait for it.
    """
    eager = subject.missing > MISSES_OFTEN
    steps = _look_and_go_on(subject, call, flight, place, eager)
    detach = eager and subject.asynchronous
    return _detached(subject, call, flight, place, steps) if detach else steps


def _look_and_go_on(
    subject: Subject, call: Call, flight: Flight, place: Place, eager: bool
) -> Steps[Outcome]:
    """Look, and if eager ask for the lease with the same request; a tier that fails has nothing."""
    lease = request(subject, call, wait=False) if eager else None
    try:
        if subject.table is not None:
            yield from follow(subject)
        seen = yield from look(subject, call, lease)
    except BackendError as error:
        seen = _unavailable(subject, error)
    except BaseException:
        _land(subject, call, flight, place)
        raise
    return (yield from _lead_or_go_on(subject, call, flight, place, seen))


def _lead_or_go_on(
    subject: Subject, call: Call, flight: Flight, place: Place, seen: Seen
) -> Steps[Outcome]:
    """Compute under the lease that was granted along with the look, if it was."""
    if type(seen.begun) is not Granted:
        return _go_on(subject, call, flight, place, seen)
    subject.missing += (1.0 - subject.missing) / 16
    how = lead_outright if subject.usual else lead
    return how(subject, call, flight, place, seen.cause or _EXPIRED, seen.begun)


def _go_on(
    subject: Subject, call: Call, flight: Flight, place: Place, seen: Seen
) -> Steps[Outcome]:
    """Serve what the shared tier holds, fresh or stale, or get a value from elsewhere."""
    found = servable(subject, seen)
    subject.missing += ((0.0 if found else 1.0) - subject.missing) / 16
    if not found:
        cause = seen.cause or Cause.EXPIRED
        return (yield from _lead(subject, call, flight, place, cause, seen.begun))
    try:
        outcome = yield from _serve(subject, call, place, seen)
        flight.outcome = outcome
        return outcome
    finally:
        _land(subject, call, flight, place)


def _unavailable(subject: Subject, error: BackendError) -> Seen:
    what = "nothing may be computed" if subject.claim else "computing"
    subject.report(f"the shared tier failed; {what} without it", error)
    return Seen(Cause.UNAVAILABLE)


def _serve(subject: Subject, call: Call, place: Place, seen: Seen) -> Steps[Outcome]:
    """Serve an entry of the shared tier and see to its refresh."""
    if seen.fresh:
        if wants_refresh(subject, seen):
            yield from revalidate(subject, call, floor=seen.left, left=seen.left)
        return promote(subject, place, seen)
    subject.stats.stale += 1
    yield from revalidate(subject, call, floor=seen.grace, left=seen.left)
    return seen.outcome(Status.STALE)


def _lead(
    subject: Subject, call: Call, flight: Flight, place: Place, cause: Cause, begun: Begun | None
) -> Steps[Outcome]:
    """Compute or wait, such that a cancelled caller does not take those who join down with it."""
    steps = lead(subject, call, flight, place, cause, begun)
    # Who has asked for the lease already is detached already.
    detach = begun is None and subject.asynchronous
    return _detached(subject, call, flight, place, steps) if detach else steps


def _detached(
    subject: Subject, call: Call, flight: Flight, place: Place, steps: Steps[Outcome]
) -> Steps[Outcome]:
    """Have the same done by a task of its own."""
    outcome: Outcome = yield Detach(steps, lambda: _land(subject, call, flight, place))
    return outcome


def _land(subject: Subject, call: Call, flight: Flight, place: Place) -> None:
    place.leave()
    subject.flights.land(call.memory_key, flight)


def fetch_many(subject: Subject, calls: Sequence[Call]) -> Steps[list[Outcome]]:
    """Serve many calls, with one read of the shared tier for all that are not in memory."""
    outcomes = yield from peek_many(subject, calls)
    missing = [number for number, outcome in enumerate(outcomes) if outcome is None]
    fetched = yield Gather([fetch(subject, calls[number]) for number in missing])
    found = dict(zip(missing, fetched, strict=True))
    return [outcome or found[number] for number, outcome in enumerate(outcomes)]
