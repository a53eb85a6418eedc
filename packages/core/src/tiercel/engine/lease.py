"""How the right to fill a key is taken, and how the others wait (protocol rules 4, 12 and 13)."""

from __future__ import annotations

import math
import random

from tiercel.contracts.backend import Begin, Begun, Granted, Held, Release
from tiercel.engine.effects import Await, Listen, Steps
from tiercel.engine.examine import look, promote
from tiercel.engine.flights import Flight, holds_any, waiting
from tiercel.engine.places import Place
from tiercel.engine.signal import Signal
from tiercel.engine.state import Call, Outcome, Right, Subject
from tiercel.errors import BackendError
from tiercel.events import EventKind, Status, Tier
from tiercel.stamps import join_stamps

RECONSIDER = 1.0
"""Seconds after which a waiter asks again although nobody woke it."""


def request(
    subject: Subject, call: Call, *, floor: float = 0.0, force: bool = False, wait: bool = True
) -> Begin:
    """Return the command that asks for the lease of a call's key."""
    wakes = subject.engine.wakes
    waiter = wakes.address if wait and wakes is not None else None
    life = subject.stamp_life
    return Begin(call.key, subject.policy.lease, life, floor, force, waiter)


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
    now = subject.engine.clock.monotonic
    deadline = now() + subject.policy.wait
    wakes = subject.engine.wakes
    assert wakes is not None
    wake = wakes.expect(call.key.text)
    try:
        while True:
            if begun is None:
                begun = yield request(subject, call, floor=floor)
            if type(begun) is Granted:
                subject.flights.follow(flight, begun.token)
                return Right(place, begun.token, join_stamps(begun.stamps) or b"")
            if type(begun) is Held:
                done = yield from _await_holder(subject, flight, begun, wake, deadline - now())
                if done is not _AGAIN:
                    return done
                wakes.forget(call.key.text, wake)
                wake = wakes.expect(call.key.text)
            else:
                seen = yield from look(subject, call)
                if seen.fresh:
                    return promote(subject, place, seen)
                floor = math.inf
            begun = None
    finally:
        wakes.forget(call.key.text, wake)


_AGAIN = Outcome(None, Status.MISS, Tier.FUNCTION)


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
        joined = yield from join(subject, found, left)
        return joined if joined is not None or not found.signal.is_set else _AGAIN
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
    with waiting(flight) as possible:
        if not possible or not (yield Await(flight.signal, timeout)):
            return None
    if flight.error is not None:
        raise flight.error
    if flight.outcome is None:
        return None
    subject.stats.coalesced += 1
    subject.engine.event(EventKind.COALESCED, function=subject.name)
    led: Outcome = flight.outcome
    tier = Tier.SHARED if subject.table is None else Tier.MEMORY
    return Outcome(led.value, Status.HIT, tier, None, led.age, led.left, led.written, led.error)


def surrender(subject: Subject, call: Call, right: Right) -> Steps[None]:
    """Give a right back unused, so that nobody waits for it."""
    right.place.leave()
    if right.token is None:
        return
    try:
        yield Release(call.key, right.token)
    except BackendError as error:
        subject.report("a lease could not be given back and will expire", error)


def listen(subject: Subject) -> Steps[None]:
    """Make sure that wakes arrive before this process registers as a waiter."""
    wakes = subject.engine.wakes
    if wakes is not None and not wakes.settled:
        yield Listen(wakes.open)
