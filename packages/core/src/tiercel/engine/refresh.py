"""Filling again what is already there: on request, when stale, and ahead of its end (rule 6)."""

from __future__ import annotations

from tiercel.contracts.backend import Granted
from tiercel.engine.drop import drop_key
from tiercel.engine.effects import Enqueue, Steps
from tiercel.engine.fill import complete
from tiercel.engine.flights import Flight
from tiercel.engine.lease import begin, surrender
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
    attempts = ATTEMPTS
    while True:
        attempts -= 1
        right = yield from _seize(subject, call)
        outcome = yield from complete(subject, call, _alone(), right, Cause.REQUESTED)
        if not right.refused or not attempts:
            break
    if right.refused or not outcome.left or (subject.backend is not None and right.token is None):
        yield from drop_key(subject, call)
    outcome.status = Status.REFRESH
    return outcome


def _seize(subject: Subject, call: Call) -> Steps[Right]:
    """Take the right to fill from whoever has it."""
    right = Right(reserve(subject, call), written=Status.REFRESH, announce=True)
    if subject.backend is None:
        return right
    try:
        granted = yield from begin(subject, call, force=True)
        right.token, right.stamps = granted.token, join_stamps(granted.stamps) or b""
    except BackendError as error:
        subject.report("the shared tier failed; the old entry will be dropped", error)
    except BaseException:
        right.place.leave()
        raise
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
    right = Right(reserve(subject, call), written=Status.REFRESH)
    subject.refreshing[call.memory_key] = right
    handed_over = False
    try:
        if (yield from _claim(subject, call, right, floor)):
            yield Enqueue(subject.dispatcher(), subject.refresh_task(call, right))
            handed_over = True
    except Exception as error:
        subject.report("a stale entry could not be refreshed", error)
        yield from surrender(subject, call, right, error)
    finally:
        if not handed_over:
            right.place.leave()
            subject.refreshing.pop(call.memory_key, None)


def _claim(subject: Subject, call: Call, right: Right, floor: float) -> Steps[bool]:
    """Take the right to fill if nobody has it and nobody was faster; tell whether it is taken."""
    if subject.backend is None:
        return True
    begun = yield from begin(subject, call, floor=floor, wait=False)
    if type(begun) is not Granted:
        return False
    right.token, right.stamps = begun.token, join_stamps(begun.stamps) or b""
    return True


def carry_out(subject: Subject, call: Call, right: Right) -> Steps[Outcome]:
    """Do what `revalidate` enqueued."""
    try:
        return (yield from complete(subject, call, _alone(), right, Cause.EXPIRED))
    finally:
        right.place.leave()
        subject.refreshing.pop(call.memory_key, None)


def _alone() -> Flight:
    """Return a flight that nobody joins."""
    return Flight(lambda: False)
