"""How one call is served: from memory, from the shared tier, by joining, or by computing."""

from __future__ import annotations

from collections.abc import Sequence

from tiercel.contracts.backend import Begun, Read, Reading, ReadMany
from tiercel.engine.effects import Detach, Gather, Listen, Steps
from tiercel.engine.examine import MISSES_OFTEN, Seen, examine, glance, look, promote, wants_refresh
from tiercel.engine.fill import lead
from tiercel.engine.flights import Flight
from tiercel.engine.lease import disowned_unless_answered, join, request
from tiercel.engine.places import Place, recall, reserve
from tiercel.engine.refresh import revalidate
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.errors import BackendError
from tiercel.events import Cause, Status


def fetch(subject: Subject, call: Call, *, described: bool = True) -> Steps[Outcome]:
    """Serve a call by the cheapest means that its policy allows.

    Args:
        subject: The function.
        call: The call.
        described: Whether the age and the remaining life of the value are wanted, too.
    """
    if subject.table is not None or subject.backend is None:
        return (yield from _fetch_remembered(subject, call))
    if subject.watched or subject.engine.pending or subject.missing > MISSES_OFTEN:
        alone = Flight(lambda: False)
        return (yield from _travel(subject, call, alone, reserve(subject, call)))
    briefly = not (described or subject.ages)
    try:
        reading = yield Read(call.key, (), not briefly)
        glanced = glance(subject, call, reading) if briefly else None
        if glanced is not None:
            return glanced
        seen = examine(subject, call, reading)
        if briefly and seen.grace:
            return (yield from fetch(subject, call))  # written when stale values were kept
        if seen.fresh and not subject.policy.refresh_ahead:
            subject.missing -= subject.missing / 16
            return promote(subject, None, seen)
    except BackendError as error:
        seen = _unavailable(subject, error)
    return (yield from _go_on(subject, call, Flight(lambda: False), reserve(subject, call), seen))


def _fetch_remembered(subject: Subject, call: Call) -> Steps[Outcome]:
    """Serve a call of a function that has a memory tier."""
    recalled = recall(subject, call)
    if recalled is not None:
        if recalled.refresh:
            yield from revalidate(subject, call, floor=recalled.outcome.left)
        return recalled.outcome
    flight = subject.flights.joinable(call.memory_key)
    if flight is not None:
        joined = yield from join(subject, flight, subject.policy.wait)
        if joined is not None:
            return joined
    return (yield from _take_off(subject, call))


def _take_off(subject: Subject, call: Call) -> Steps[Outcome]:
    """Open a flight that others may join as long as nothing is dropped, and bring it home."""
    place = reserve(subject, call)
    flight = Flight(lambda: place.alive and subject.engine.trusts_memory())
    found = subject.flights.open(call.memory_key, flight)
    if found is not flight:
        place.leave()
        joined = yield from join(subject, found, subject.policy.wait)
        if joined is not None:
            return joined
        place = reserve(subject, call)
    if subject.backend is None:
        return (yield from _lead(subject, call, flight, place, Cause.ABSENT, None))
    return (yield from _travel(subject, call, flight, place))


def _travel(subject: Subject, call: Call, flight: Flight, place: Place) -> Steps[Outcome]:
    """Look at the shared tier and go on from there.

    A lease that is asked for along with the value would be lost with a caller that is cancelled
    before the answer has come, and everybody would wait for it.
    """
    eager = subject.missing > MISSES_OFTEN
    steps = _look_and_go_on(subject, call, flight, place, eager)
    if eager:
        return (yield from _detached(subject, call, flight, place, steps))
    return (yield from steps)


def _look_and_go_on(
    subject: Subject, call: Call, flight: Flight, place: Place, eager: bool
) -> Steps[Outcome]:
    try:
        seen = yield from _ask(subject, call, eager)
    except BaseException:
        _land(subject, call, flight, place)
        raise
    return (yield from _go_on(subject, call, flight, place, seen))


def _go_on(
    subject: Subject, call: Call, flight: Flight, place: Place, seen: Seen
) -> Steps[Outcome]:
    """Serve what the shared tier holds, fresh or stale, or get a value from elsewhere."""
    servable = _servable(subject, seen)
    subject.missing += ((0.0 if servable else 1.0) - subject.missing) / 16
    if not servable:
        cause = seen.cause or Cause.EXPIRED
        return (yield from _lead(subject, call, flight, place, cause, seen.begun))
    try:
        outcome = yield from _serve(subject, call, place, seen)
        flight.outcome = outcome
        return outcome
    finally:
        _land(subject, call, flight, place)


def _ask(subject: Subject, call: Call, eager: bool) -> Steps[Seen]:
    """Look at the shared tier, and if eager ask for the lease; a tier that fails has nothing."""
    follower = subject.engine.follower
    try:
        if follower is not None and not follower.running:
            yield Listen(follower.start)
        if not eager:
            return (yield from look(subject, call))
        lease = request(subject, call, wait=False)
        with disowned_unless_answered(subject, lease):
            return (yield from look(subject, call, lease=lease))
    except BackendError as error:
        return _unavailable(subject, error)


def _unavailable(subject: Subject, error: BackendError) -> Seen:
    subject.report("the shared tier failed; computing without it", error)
    return Seen(Cause.UNAVAILABLE)


def _serve(subject: Subject, call: Call, place: Place, seen: Seen) -> Steps[Outcome]:
    """Serve an entry of the shared tier and see to its refresh."""
    if seen.fresh:
        if wants_refresh(subject, seen):
            yield from revalidate(subject, call, floor=seen.left)
        return promote(subject, place, seen)
    subject.stats.stale += 1
    yield from revalidate(subject, call, floor=seen.grace)
    return seen.outcome(Status.STALE)


def _servable(subject: Subject, seen: Seen) -> bool:
    return seen.fresh or (seen.found and -seen.soft_left < subject.policy.stale)


def _lead(
    subject: Subject, call: Call, flight: Flight, place: Place, cause: Cause, begun: Begun | None
) -> Steps[Outcome]:
    """Compute or wait, such that a cancelled caller does not take those who join down with it."""
    steps = lead(subject, call, flight, place, cause, begun)
    if begun is not None:
        return (yield from steps)  # detached already
    return (yield from _detached(subject, call, flight, place, steps))


def _detached(
    subject: Subject, call: Call, flight: Flight, place: Place, steps: Steps[Outcome]
) -> Steps[Outcome]:
    if not subject.asynchronous:
        return (yield from steps)
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


def peek_many(subject: Subject, calls: Sequence[Call]) -> Steps[list[Outcome | None]]:
    """Return what is cached and fresh for many calls, with one read of the shared tier."""
    recalled = [recall(subject, call) for call in calls]
    outcomes = [each.outcome if each and not each.refresh else None for each in recalled]
    asked = [number for number, outcome in enumerate(outcomes) if outcome is None]
    if not asked or subject.backend is None or subject.engine.pending:
        return outcomes
    places = [reserve(subject, calls[number]) for number in asked]
    try:
        readings = yield from _read_many(subject, [calls[number] for number in asked])
        for number, place, reading in zip(asked, places, readings, strict=False):
            seen = examine(subject, calls[number], reading)
            if seen.fresh:
                outcomes[number] = promote(subject, place, seen)
    finally:
        for place in places:
            place.leave()
    return outcomes


def _read_many(subject: Subject, calls: Sequence[Call]) -> Steps[Sequence[Reading]]:
    try:
        readings: list[Reading] = yield ReadMany([call.key for call in calls])
    except BackendError as error:
        subject.report("the shared tier failed; computing without it", error)
        return []
    return readings


def peek(subject: Subject, call: Call) -> Steps[Outcome | None]:
    """Return what is cached for a call and may be served, without computing anything."""
    recalled = recall(subject, call)
    if recalled is not None:
        return recalled.outcome
    if subject.backend is None:
        return None
    place = reserve(subject, call)
    try:
        seen = yield from look(subject, call)
        if seen.fresh:
            return promote(subject, place, seen)
        return seen.outcome(Status.STALE) if _servable(subject, seen) else None
    except BackendError as error:
        subject.report("the shared tier failed; nothing is known to be cached", error)
        return None
    finally:
        place.leave()
