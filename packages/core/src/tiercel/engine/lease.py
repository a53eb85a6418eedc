"""How the right to fill a key is taken, and how the others wait (protocol rules 4, 12 and 13)."""

from __future__ import annotations

import math
import random
from typing import Any

from tiercel.contracts.backend import Begin, Begun, Found, Granted, Held, Release
from tiercel.contracts.claim import Spent
from tiercel.engine.effects import Await, Listen, Steps
from tiercel.engine.examine import Seen, look, promote
from tiercel.engine.flights import Flight, holds_any, waiting
from tiercel.engine.once import spent
from tiercel.engine.places import Place
from tiercel.engine.signal import Signal
from tiercel.engine.state import Call, Outcome, Right, Subject
from tiercel.errors import BackendError, BackendUnavailable
from tiercel.events import Cause, EventKind, OperationKind, Status, Tier
from tiercel.stamps import join_stamps

RECONSIDER = 1.0
"""Seconds after which a waiter asks again although nobody woke it."""

ELUSIVE = 3
"""How often a caller is told that there is an entry, and finds none, before it computes one."""


def request(
    subject: Subject,
    call: Call,
    *,
    floor: float = 0.0,
    force: bool = False,
    wait: bool = True,
    lease: float | None = None,
) -> Begin:
    """Return the command that asks for the lease of a call's key; for the policy's time if None."""
    wakes, keeper = subject.engine.wakes, subject.engine.keeper
    return Begin(
        call.key,
        subject.policy.lease if lease is None else lease,
        subject.stamp_life,
        floor,
        force,
        wakes.address if wait and wakes is not None else None,
        None if keeper is None else keeper.token(),
        subject.index,
        subject.claim,
    )


def begin(
    subject: Subject,
    call: Call,
    *,
    floor: float = 0.0,
    force: bool = False,
    wait: bool = True,
    lease: float | None = None,
    joins: bool = False,
) -> Steps[Any]:
    """Ask for the lease of a call's key; a forced one is granted, others are `Begun`.

    Raises:
        BackendError: The shared tier cannot be asked; or with `joins`, which says that the value
            of whoever holds the lease will do, this process still owes it a drop.
    """
    asked = request(subject, call, floor=floor, force=force, wait=wait, lease=lease)
    pending, reversals = subject.engine.pending, subject.engine.pending.reversals
    if joins and pending:
        pending.bar(call.key)
    try:
        begun = yield asked
    except BaseException as error:
        subject.engine.disown(asked, error)
        raise
    if type(begun) is not Held:
        return begun
    if joins:
        pending.check(reversals)  # or it could be a lease that has come back
    if not subject.claim and _is_disowned(subject, begun):
        return (yield from begin(subject, call, force=True, wait=wait, lease=lease))
    return begun


def acquire(
    subject: Subject, call: Call, flight: Flight, place: Place, begun: Begun | None, floor: float
) -> Steps[Right | Outcome | None]:
    """Take the right to fill, or the value that somebody else fills meanwhile.

    Args:
        subject: The function.
        call: The call.
        flight: What others in this process find while this goes on.
        place: The place in memory, taken before the read that missed.
        begun: The answer to a request that was sent along with that read, or None.
        floor: See `Begin.floor`.

    Returns:
        None if the caller has to compute without storing: it has waited for as long as it may, or
        waiting could never end.
    """
    if begun is None:
        begun = yield from begin(subject, call, floor=floor, wait=False, joins=True)
    if type(begun) is Granted:
        return (yield from _granted(subject, call, flight, place, begun, subject.policy.wait))
    return (yield from _acquire_in_turn(subject, call, flight, place, begun, floor))


def _acquire_in_turn(
    subject: Subject, call: Call, flight: Flight, place: Place, begun: Begun | None, floor: float
) -> Steps[Right | Outcome | None]:
    """Do the same where another was faster."""
    if type(begun) is not Held:
        return (yield from _take_turn(subject, call, flight, place, begun, floor))
    with subject.telling(OperationKind.WAIT, call) as told:
        done = yield from _take_turn(subject, call, flight, place, begun, floor)
        if told is not None and isinstance(done, Outcome):
            told.status, told.tier = done.status, done.tier
        return done


def _take_turn(
    subject: Subject, call: Call, flight: Flight, place: Place, begun: Begun | None, floor: float
) -> Steps[Right | Outcome | None]:
    """Wait for the holder of the lease, with an ear for its wake, or become it."""
    yield from listen(subject)
    now = subject.engine.clock.monotonic
    deadline = now() + subject.policy.wait
    wakes = subject.engine.wakes
    assert wakes is not None
    wake = wakes.expect(call.key.text)
    if type(begun) is Held:
        begun = None  # it does not know yet that somebody waits
    found = 0
    try:
        while True:
            if begun is None:
                begun = yield from begin(subject, call, floor=floor, joins=True)
            if type(begun) is Found:
                seen = yield from look(subject, call)
                if seen.fresh:
                    return promote(subject, place, seen)
                found += 1
                floor = _floor_beyond(seen, found, floor)
            elif type(begun) is Held:
                done = yield from _await_holder(subject, flight, begun, wake, deadline - now())
                if done is not _AGAIN:
                    return done
                wakes.forget(call.key.text, wake)
                wake = wakes.expect(call.key.text)
            elif type(begun) is Granted:
                return (yield from _granted(subject, call, flight, place, begun, deadline - now()))
            elif type(begun) is Spent:
                raise spent(subject, begun)
            begun = None
    finally:
        wakes.forget(call.key.text, wake)


def _floor_beyond(seen: Seen, found: int, floor: float) -> float:
    """Return the floor for asking again after an entry was found, the `found`-th, that is no hit.

    One that was dropped in between may be there again by now, and is a hit then.
    """
    return floor if seen.cause in _GONE and found <= ELUSIVE else math.inf


_GONE = frozenset({Cause.ABSENT, Cause.DROPPED, Cause.REFUSED})
_AGAIN = Outcome(None, Status.MISS, Tier.FUNCTION)


def claim(
    subject: Subject, call: Call, flight: Flight, place: Place, granted: Granted
) -> Right | Flight:
    """Return the right that a lease brings, or the flight of this process that leads already.

    A backend that is not atomic may grant a lease to everybody. But there every drop changes a
    stamp, so to have seen the same stamps is as good as the same lease (protocol rule 12).
    """
    token, stamps = granted.token, join_stamps(granted.stamps) or b""
    if subject.fenced:
        subject.flights.follow(flight, token)
        return Right(place, token, stamps)
    leader = subject.flights.lead(flight, token, call.key.text.encode() + stamps)
    return Right(place, token, stamps) if leader is flight else leader


def _granted(
    subject: Subject, call: Call, flight: Flight, place: Place, granted: Granted, left: float
) -> Steps[Right | Outcome | None]:
    """Lead under a lease, or follow who leads already in this process."""
    while isinstance(claimed := claim(subject, call, flight, place, granted), Flight):
        done = yield from _follow(subject, claimed, left)
        if done is not _AGAIN:
            return done
    return claimed


def _follow(subject: Subject, leader: Flight, left: float) -> Steps[Outcome | None]:
    """Wait for a flight of this process: its value, `_AGAIN` or None as `_await_holder`."""
    joined = yield from _join(subject, leader, max(left, 0.0))
    return joined if joined is not None or not leader.is_set else _AGAIN


def _await_holder(
    subject: Subject, flight: Flight, held: Held, wake: Signal, left: float
) -> Steps[Outcome | None]:
    """Wait for the holder of a lease: its value, `_AGAIN` to ask again, None to go on alone.

    Within a process one caller waits for the holder, and the others for that caller: they have
    seen the same lease under the current stamps, so its value is theirs (protocol rule 12).
    """
    if left <= 0:
        return None
    found = subject.flights.follow(flight, held.token)
    if found is not flight:
        return (yield from _follow(subject, found, left))
    if holds_any():
        return None
    pause = min(max(held.remaining, 0.01), RECONSIDER) * random.uniform(1.0, 1.2)
    yield Await(wake, min(pause, left))
    return _AGAIN


def join(subject: Subject, flight: Flight, timeout: float) -> Steps[Outcome | None]:
    """Wait for another caller's computation in this process; None if it brings nothing here.

    Raises:
        Exception: What that computation raised.
    """
    with subject.telling(OperationKind.WAIT) as told:
        joined = yield from _join(subject, flight, timeout)
        if told is not None and joined is not None:
            told.status, told.tier = joined.status, joined.tier
        return joined


def _join(subject: Subject, flight: Flight, timeout: float) -> Steps[Outcome | None]:
    with waiting(flight) as possible:
        if not possible or not (yield Await(flight, timeout)):
            return None
    if flight.error is not None:
        raise flight.error
    if flight.outcome is None:
        return None
    return coalesced(subject, flight.outcome)


def coalesced(subject: Subject, led: Outcome) -> Outcome:
    """Return the outcome of a flight as it is for who joined it."""
    subject.stats.coalesced += 1
    subject.engine.event(EventKind.COALESCED, function=subject.name)
    tier = Tier.SHARED if subject.table is None else Tier.MEMORY
    return Outcome(led.value, Status.HIT, tier, None, led.age, led.left, led.written, led.error)


def _is_disowned(subject: Subject, held: Held) -> bool:
    """Tell whether a lease is of this process, and nobody in it knows of it."""
    keeper = subject.engine.keeper
    return keeper is not None and keeper.has_disowned(held.token)


def surrender(
    subject: Subject, call: Call, right: Right, error: BaseException | None = None
) -> Steps[None]:
    """Give a right back unused, so that nobody waits for it.

    In the background where `error` says that this caller has no time: the shared tier does not
    answer, or the caller is cancelled and its event loop may be about to end.
    """
    right.place.leave()
    if right.given_up is not None:
        yield from right.given_up(error)
    if not right.token:
        return
    keeper = subject.engine.keeper
    hurried = isinstance(error, BackendUnavailable) or not isinstance(error, Exception | None)
    if keeper is not None and hurried:
        keeper.give_back(right.token, call.key, subject.policy.lease)
        return
    try:
        yield Release(call.key, right.token)
    except BackendError as error:
        subject.report("a lease could not be given back and will expire", error)


def listen(subject: Subject) -> Steps[None]:
    """Make sure that wakes arrive before this process registers as a waiter.

    Not while the shared tier fails: waiters then use their timers, and callers lose no time.
    """
    wakes = subject.engine.wakes
    if wakes is not None and not wakes.settled and not subject.engine.breaker.failures:
        yield Listen(wakes.open)
