"""Filling again what is already there: on request, when stale, and ahead of its end (rule 6)."""

from __future__ import annotations

from tiercel.contracts.backend import Granted, Held, Renew
from tiercel.contracts.dispatcher import Dispatcher
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

QUEUED_LEASE = 60.0
"""Seconds for which a task that waits for a worker in another process has the right to fill, unless
the policy grants a longer lease or the stale entry ends before."""


def refresh(subject: Subject, call: Call) -> Steps[Outcome]:
    """Compute now and overwrite the entry, whoever else is filling it.

    A result that the predicates reject, or that cannot be stored, drops the entry: what it held
    is known to be outdated.
    """
    attempts, cause = ATTEMPTS, Cause.REQUESTED
    while True:
        attempts -= 1
        right = yield from _seize(subject, call)
        outcome = yield from complete(subject, call, _alone(), right, cause)
        if not right.refused or not attempts:
            break
        cause = Cause.REFUSED
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


def revalidate(subject: Subject, call: Call, floor: float, left: float) -> Steps[None]:
    """Have an entry refreshed in the background, once, however many callers ask for it.

    The right to fill is taken here, so that only one process enqueues a task.

    Args:
        subject: The function.
        call: The call.
        floor: Seconds of life from which the stored entry counts as refreshed by another.
        left: Seconds until the entry ends: from then on callers compute by themselves, and must
            not wait for a task that nobody may have begun.
    """
    if call.memory_key in subject.refreshing:
        return
    right = Right(reserve(subject, call), written=Status.REFRESH, floor=floor)
    subject.refreshing[call.memory_key] = right
    at_home = False
    try:
        dispatcher = subject.dispatcher()
        lease = _lease(subject, dispatcher, left)
        if (yield from _claim(subject, call, right, lease)):
            yield Enqueue(dispatcher, subject.refresh_task(subject, call, right))
            at_home = not dispatcher.crosses_processes
    except Exception as error:
        subject.report("a stale entry could not be refreshed", error)
        yield from surrender(subject, call, right, error)
    finally:
        if not at_home:
            right.place.leave()
            subject.refreshing.pop(call.memory_key, None)


def _lease(subject: Subject, dispatcher: Dispatcher, left: float) -> float:
    """Return how long a refresh may take to begin."""
    lease = subject.policy.lease
    return min(max(lease, QUEUED_LEASE), max(left, 1.0)) if dispatcher.crosses_processes else lease


def _claim(subject: Subject, call: Call, right: Right, lease: float) -> Steps[bool]:
    """Take the right to fill if nobody has it and nobody was faster; tell whether it is taken."""
    if subject.backend is None:
        return True
    begun = yield from begin(subject, call, floor=right.floor, wait=False, lease=lease)
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


def take_over(subject: Subject, call: Call, token: bytes, floor: float) -> Steps[Outcome | None]:
    """Do what `revalidate` enqueued in another process; None if there is nothing left to do.

    Args:
        subject: The function.
        call: The call.
        token: The lease that was taken there.
        floor: Seconds of life from which the stored entry counts as refreshed by another.
    """
    right = Right(reserve(subject, call), written=Status.REFRESH, floor=floor)
    try:
        if not (yield from resume(subject, call, right, token)):
            return None
        return (yield from complete(subject, call, _alone(), right, Cause.EXPIRED))
    finally:
        right.place.leave()


def resume(subject: Subject, call: Call, right: Right, token: bytes) -> Steps[bool]:
    """Go on under a lease of another process, or under a new one if that has ended.

    A lease that is held still stands for the stamps that are in force, so what is computed from
    now on may be stored under them. If something was dropped meanwhile, there is no such lease.
    """
    if subject.backend is None:
        return True
    begun = yield from begin(subject, call, floor=right.floor, wait=False)
    if type(begun) is Held:
        if begun.token != token or not (yield Renew(call.key, token, subject.policy.lease)):
            return False
    elif type(begun) is not Granted:
        return False
    right.token, right.stamps = begun.token, join_stamps(begun.stamps) or b""
    return True


def _alone() -> Flight:
    """Return a flight that nobody joins."""
    return Flight(lambda: False)
