"""Filling again what is already there: on request, when stale, and ahead of its end (rule 6)."""

from __future__ import annotations

from tiercel.contracts.backend import Granted
from tiercel.engine.drop import drop_key
from tiercel.engine.effects import Enqueue, Steps
from tiercel.engine.fill import complete
from tiercel.engine.flights import Flight
from tiercel.engine.lease import request, surrender
from tiercel.engine.places import reserve
from tiercel.engine.state import Call, Outcome, Right, Subject
from tiercel.errors import BackendError
from tiercel.events import Cause, Status
from tiercel.stamps import join_stamps

ATTEMPTS = 3
"""How often an explicit refresh is computed if its fill is refused."""


def refresh(subject: Subject, call: Call) -> Steps[Outcome]:
    """Compute now and overwrite the entry, whoever else is filling it.

    A result that the predicates reject, or that cannot be stored, drops the entry: what it held
    is known to be outdated.
    """
    for _ in range(ATTEMPTS):
        right = yield from _seize(subject, call)
        outcome = yield from complete(subject, call, _alone(), right, Cause.REQUESTED)
        if not right.refused:
            break
    if not outcome.left or (subject.backend is not None and right.token is None):
        yield from drop_key(subject, call)
    outcome.status = Status.REFRESH
    return outcome


def _seize(subject: Subject, call: Call) -> Steps[Right]:
    """Take the right to fill from whoever has it."""
    right = Right(reserve(subject, call), written=Status.REFRESH, announce=True)
    if subject.backend is None:
        return right
    try:
        granted = yield request(subject, call, force=True)
        right.token, right.stamps = granted.token, join_stamps(granted.stamps) or b""
    except BackendError as error:
        subject.report("the shared tier failed; the old entry will be dropped", error)
    return right


def revalidate(subject: Subject, call: Call, floor: float) -> Steps[None]:
    """Have an entry refreshed in the background, once, however many callers ask for it.

    The right to fill is taken here, so that only one process enqueues a task.

    Args:
        subject: The function.
        call: The call.
        floor: Seconds of life from which the stored entry counts as refreshed by another.
    """
    if call.memory_key in subject.refreshing:
        return
    subject.refreshing.add(call.memory_key)
    right = None
    try:
        right = yield from _claim(subject, call, floor)
        if right is not None:
            yield Enqueue(subject.dispatcher(), subject.refresh_task(call, right))
    except Exception as error:
        subject.report("a stale entry could not be refreshed", error)
        if right is not None:
            yield from surrender(subject, call, right)
        right = None
    finally:
        if right is None:
            subject.refreshing.discard(call.memory_key)


def _claim(subject: Subject, call: Call, floor: float) -> Steps[Right | None]:
    """Take the right to fill if nobody has it and nobody was faster."""
    place = reserve(subject, call)
    right = Right(place, written=Status.REFRESH)
    if subject.backend is None:
        return right
    try:
        begun = yield request(subject, call, floor=floor, wait=False)
    except BackendError:
        place.leave()
        raise
    if type(begun) is not Granted:
        place.leave()
        return None
    right.token, right.stamps = begun.token, join_stamps(begun.stamps) or b""
    return right


def carry_out(subject: Subject, call: Call, right: Right) -> Steps[Outcome]:
    """Do what `revalidate` enqueued."""
    try:
        return (yield from complete(subject, call, _alone(), right, Cause.EXPIRED))
    finally:
        right.place.leave()
        subject.refreshing.discard(call.memory_key)


def _alone() -> Flight:
    """Return a flight that nobody joins."""
    return Flight(lambda: False)
