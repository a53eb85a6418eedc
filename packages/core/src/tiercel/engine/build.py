"""How a build in the background is started, once for all processes, and how it is carried out."""

from __future__ import annotations

import math

from msgspec import Struct

from tiercel.contracts.backend import Found, Granted, Held
from tiercel.contracts.dispatcher import Dispatcher
from tiercel.engine.builds import HEALS, Build, Builds, Note, failure_of, new_build, refusal
from tiercel.engine.dispatching import CURRENT_TASK
from tiercel.engine.effects import Enqueue, Steps
from tiercel.engine.examine import look, promote
from tiercel.engine.fill import complete
from tiercel.engine.flights import Flight
from tiercel.engine.lease import begin, surrender
from tiercel.engine.places import recall, reserve
from tiercel.engine.refresh import resume
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.events import Cause
from tiercel.stamps import join_stamps

LOOKS = 3
"""How often a start is tried while others store values that cannot be read."""


def builder(subject: Subject) -> Dispatcher | None:
    """Return what carries builds; None if this code has to compute by itself.

    It has to within tasks and workers, which have the time, and where a task would be over before
    the caller goes on.
    """
    if subject.builds is None or CURRENT_TASK.get() is not None:
        return None
    try:
        dispatcher = subject.dispatcher()
    except Exception as error:
        subject.report("nobody can build a value in the background; computing it here", error)
        return None
    return None if dispatcher.performs_at_once or dispatcher.in_worker() else dispatcher


class Told(Struct):
    """What a caller is told instead of a value.

    Attributes:
        note: What is known of the build; None if nothing is.
        cause: What it raised, if that was in this process.
    """

    note: Note | None
    cause: BaseException | None = None


def build(
    subject: Subject, call: Call, dispatcher: Dispatcher, cause: Cause
) -> Steps[Outcome | None]:
    """Have a missing value built in the background, unless it is being built already.

    Returns:
        The value, if it has come in the meantime; None if the caller has to compute it, because
        the shared tier or the dispatcher does not do its part.

    Raises:
        AsyncValueBeingBuiltException: It is being built, from now on or since before.
        AsyncValueFailedToBeBuiltException: It was, a moment ago, and that failed.
    """
    builds = subject.builds
    assert builds is not None
    mine = new_build(subject, reserve(subject, call), builds.timeout)
    # What ended is kept for its grace; what cannot be read is no value, however long it lives.
    mine.right.floor = math.inf if cause is Cause.UNDECODABLE else subject.policy.grace
    at_home = False
    try:
        answer = yield from _claim(subject, call, builds, mine)
        if answer is None:
            yield Enqueue(dispatcher, builds.task(subject, call, mine))
            at_home = not dispatcher.crosses_processes
            answer = yield from _sent(subject, call, mine)
    except GeneratorExit:
        raise
    except BaseException as error:
        yield from surrender(subject, call, mine.right, error)
        if not isinstance(error, Exception):
            raise
        subject.report("a value could not be built in the background; computing it here", error)
        return None
    finally:
        if not at_home:
            mine.right.place.leave()
            builds.leave(call.memory_key, mine)
    if isinstance(answer, Told):
        raise refusal(subject, answer.note, answer.cause)
    return answer


def _sent(subject: Subject, call: Call, mine: Build) -> Steps[Outcome | Told]:
    """Return what a caller gets whose build was handed over; it may be over already."""
    if mine.over and mine.failed is None:
        present = yield from _present(subject, call)
        if present is not None:
            return present
    return Told(mine.note, mine.error)


def _present(subject: Subject, call: Call) -> Steps[Outcome | None]:
    recalled = recall(subject, call)
    if recalled is not None or subject.backend is None:
        return None if recalled is None else recalled.outcome
    seen = yield from look(subject, call)
    return promote(subject, None, seen) if seen.fresh else None


def _claim(
    subject: Subject, call: Call, builds: Builds, mine: Build
) -> Steps[Outcome | Told | None]:
    """Take the right to build; else return the value, or what is known of another build.

    Raises:
        BackendError: The shared tier failed.
    """
    if subject.fenced:
        answer = yield from _claim_shared(subject, call, builds, mine)
        if answer is None:
            builds.put(call.memory_key, mine, subject.engine.clock.monotonic())
        return answer
    now, remembered = subject.engine.clock.monotonic(), subject.table is not None
    present = builds.enter(call.memory_key, mine, now, remembered)
    if present is not mine:
        return Told(present.note, present.error)
    recalled = recall(subject, call)  # a build may have ended since this caller looked
    if recalled is not None:
        return recalled.outcome
    if subject.backend is None:
        return None
    return (yield from _claim_shared(subject, call, builds, mine))


def _claim_shared(
    subject: Subject, call: Call, builds: Builds, mine: Build
) -> Steps[Outcome | Told | None]:
    note = yield from _read_note(subject, call)
    if note is not None and "kind" in note:
        return _told(call, builds, note)
    right, lease = mine.right, builds.timeout
    for _ in range(LOOKS):
        begun = yield from begin(subject, call, floor=right.floor, wait=False, lease=lease)
        if type(begun) is Granted:
            right.token, right.stamps = begun.token, join_stamps(begun.stamps) or b""
            return (yield from _claimed(subject, call, builds, mine, note))
        if type(begun) is Found:
            seen = yield from look(subject, call)
            if seen.fresh:
                return promote(subject, right.place, seen)
            right.floor = math.inf
        elif type(begun) is Held:
            break
    return Told(note or (yield from _read_note(subject, call)))


def _claimed(
    subject: Subject, call: Call, builds: Builds, mine: Build, note: Note | None
) -> Steps[Told | None]:
    """Say that a build begins, unless the last one has failed since `note` was read."""
    if note is not None:
        note = yield from _read_note(subject, call)
    if note is not None and "kind" in note:
        yield from surrender(subject, call, mine.right)
        return _told(call, builds, note)
    yield from _write_note(subject, call, mine, 2 * builds.timeout)
    return None


def _told(call: Call, builds: Builds, note: Note) -> Told:
    known = builds.find(call.memory_key)
    return Told(note, known.error if known is not None and known.id == note["id"] else None)


def waits_for_worker(subject: Subject, call: Call) -> Steps[bool]:
    """Tell whether a build waits for a worker, which may be the one that this code runs in."""
    note = yield from _read_note(subject, call)
    return note is not None and not note["started"] and "kind" not in note


def carry_out_build(
    subject: Subject, call: Call, token: bytes, build_id: str, since: float, floor: float
) -> Steps[Outcome | None]:
    """Do what `build` has enqueued, here or in another process; None if nothing is left to do.

    Args:
        subject: The function.
        call: The call.
        token: The lease that was taken for it; empty if none was.
        build_id: The id of its task.
        since: When it was asked for.
        floor: Seconds of life from which the stored entry counts as built by another.
    """
    builds = subject.builds
    assert builds is not None
    mine = builds.find(call.memory_key)
    if mine is None or mine.id != build_id:
        mine = new_build(subject, reserve(subject, call), builds.timeout)
        mine.id, mine.since, mine.right.floor = build_id, since, floor
    right, place = mine.right, mine.right.place
    flight = Flight(lambda: place.alive and subject.engine.trusts_memory())
    try:
        if not (yield from _begin_work(subject, call, builds, mine, token)):
            return None
        subject.flights.open(call.memory_key, flight)
        outcome = yield from complete(subject, call, flight, right, Cause.ABSENT)
        flight.outcome = outcome
        if mine.failed is None and builds.ledger is not None:
            yield from builds.ledger.delete(call.key.text)
        return outcome
    except Exception as error:
        flight.error = error
        raise
    finally:
        mine.over = True
        place.leave()
        subject.flights.land(call.memory_key, flight)
        if mine.failed is None:
            builds.leave(call.memory_key, mine)


def _begin_work(
    subject: Subject, call: Call, builds: Builds, mine: Build, token: bytes
) -> Steps[bool]:
    """Make sure that this build is still wanted, and give it its time."""
    mine.started, right = True, mine.right
    mine.ends = right.until = subject.engine.clock.monotonic() + builds.timeout
    right.given_up = lambda error: _fail(subject, call, mine, error)
    if subject.backend is None:
        return right.place.alive and recall(subject, call) is None
    if not (yield from resume(subject, call, right, token)):
        return False
    yield from _write_note(subject, call, mine, 2 * builds.timeout)
    return True


def _fail(subject: Subject, call: Call, mine: Build, error: BaseException | None) -> Steps[None]:
    """Tell callers for a moment that a build has failed; a cancelled one has not."""
    if error is not None and not isinstance(error, Exception):
        return
    mine.failed, mine.error = failure_of(error), error
    mine.ends = subject.engine.clock.monotonic() + HEALS
    yield from _write_note(subject, call, mine, HEALS)


def _read_note(subject: Subject, call: Call) -> Steps[Note | None]:
    builds = subject.builds
    if builds is None or builds.ledger is None:
        return None
    note: Note | None = yield from builds.ledger.get(call.key.text, None)
    return note


def _write_note(subject: Subject, call: Call, mine: Build, ttl: float) -> Steps[None]:
    builds = subject.builds
    if builds is not None and builds.ledger is not None:
        yield from builds.ledger.set(call.key.text, mine.note, ttl)
