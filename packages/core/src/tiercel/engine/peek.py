"""What is cached, without computing anything: for one call, or for many with one read."""

from __future__ import annotations

from collections.abc import Sequence

from tiercel.contracts.backend import Reading, ReadMany
from tiercel.engine.effects import Listen, Steps
from tiercel.engine.examine import Seen, examine, look, promote
from tiercel.engine.places import recall, reserve
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.errors import BackendError
from tiercel.events import OperationKind, Status


def peek(subject: Subject, call: Call) -> Steps[Outcome | None]:
    """Return what is cached for a call and may be served, without computing anything."""
    recalled = recall(subject, call)
    if recalled is not None:
        return recalled.outcome
    if subject.backend is None:
        return None
    place = reserve(subject, call)
    try:
        yield from follow(subject)
        seen = yield from look(subject, call)
        if seen.fresh:
            return promote(subject, place, seen)
        return seen.outcome(Status.STALE) if servable(subject, seen) else None
    except BackendError as error:
        subject.report("the shared tier failed; nothing is known to be cached", error)
        return None
    finally:
        place.leave()


def peek_many(
    subject: Subject, calls: Sequence[Call], *, stale: bool = False
) -> Steps[list[Outcome | None]]:
    """Return what is cached for many calls, with one read of the shared tier.

    Args:
        subject: The function.
        calls: The calls.
        stale: Whether that may be stale; if not, nothing stands for what is to be refreshed.
    """
    recalled = [recall(subject, call) for call in calls]
    outcomes = [each.outcome if each and (stale or not each.refresh) else None for each in recalled]
    asked = [number for number, outcome in enumerate(outcomes) if outcome is None]
    pending, reversals = subject.engine.pending, subject.engine.pending.reversals
    if not asked or subject.backend is None or pending:
        return outcomes
    places = [reserve(subject, calls[number]) for number in asked]
    try:
        readings = yield from _read_many(subject, [calls[number] for number in asked], reversals)
        for number, place, reading in zip(asked, places, readings, strict=False):
            seen = examine(subject, calls[number], reading)
            if seen.fresh:
                outcomes[number] = promote(subject, place, seen)
            elif stale and servable(subject, seen):
                outcomes[number] = seen.outcome(Status.STALE)
    finally:
        for place in places:
            place.leave()
    return outcomes


def _read_many(subject: Subject, calls: Sequence[Call], reversals: int) -> Steps[Sequence[Reading]]:
    try:
        yield from follow(subject)
        with subject.telling(OperationKind.READ, calls=len(calls)):
            readings: list[Reading] = yield ReadMany([call.key for call in calls])
        subject.engine.pending.check(reversals)
    except BackendError as error:
        subject.report("the shared tier failed; computing without it", error)
        return []
    return readings


def follow(subject: Subject) -> Steps[None]:
    """See to it that memory hears of what others drop, from the first read on."""
    follower = subject.engine.follower
    if follower is not None and not follower.running and subject.table is not None:
        yield Listen(follower.start)


def servable(subject: Subject, seen: Seen) -> bool:
    """Tell whether what was seen may be served, fresh or stale."""
    return seen.cause is None or (seen.found and -seen.soft_left < subject.policy.stale)
