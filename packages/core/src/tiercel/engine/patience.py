"""How long callers wait for a computation: what the soft and the hard timeout do.

The computation goes on by itself and is stored when it ends; only who waits for it goes on before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from tiercel.engine.compute import compute_alone
from tiercel.engine.effects import Await, Launch, Steps
from tiercel.engine.fill import last_resort
from tiercel.engine.flights import Flight, waiting
from tiercel.engine.lease import coalesced
from tiercel.engine.once import check_unstored
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.entry import FOREVER
from tiercel.errors import ComputationTimeout
from tiercel.events import Cause, OperationKind


def launch(
    subject: Subject,
    call: Call,
    flight: Flight,
    steps: Steps[Outcome],
    land: Callable[[], None],
) -> Steps[Outcome]:
    """Have a flight led in the background, and wait for it as long as the policy lets.

    Args:
        subject: The function.
        call: The call.
        flight: What others join meanwhile.
        steps: Lead it.
        land: Ends it; harmless if it has landed.

    Raises:
        ComputationTimeout: The hard timeout has passed.
        Exception: What the computation raised.
    """
    yield Launch(_in_background(subject, call, flight, steps, land), land)
    return (yield from await_flight(subject, call, flight, joined=False))


def _in_background(
    subject: Subject,
    call: Call,
    flight: Flight,
    steps: Steps[Outcome],
    land: Callable[[], None],
) -> Steps[None]:
    try:
        flight.outcome = yield from steps
    except Exception as error:
        flight.error = error
        if subject.overtaken.get(call.memory_key) is flight:
            subject.report("a computation failed that its callers no longer wait for", error)
    finally:
        if subject.overtaken.get(call.memory_key) is flight:
            subject.overtaken.pop(call.memory_key, None)
        land()


def await_flight(subject: Subject, call: Call, flight: Flight, *, joined: bool) -> Steps[Outcome]:
    """Wait for a flight; an old entry may stand in for it, at the latest when time is up.

    Raises:
        ComputationTimeout: The hard timeout has passed.
        Exception: What the computation raised.
    """
    told = subject.telling(OperationKind.WAIT, call) if joined else nullcontext()
    with told:
        old = yield from _wait(subject, call, flight, subject.policy.wait if joined else FOREVER)
    if old is not None:
        return old
    if flight.error is not None:
        raise flight.error
    if flight.outcome is None:
        check_unstored(subject, call)
        return (yield from compute_alone(subject, call, Cause.ABSENT))
    return coalesced(subject, flight.outcome) if joined else flight.outcome


def _wait(subject: Subject, call: Call, flight: Flight, limit: float) -> Steps[Outcome | None]:
    """Wait until a flight has landed, or `limit`; return what stands in for it, or None."""
    soft, hard = subject.policy.soft_timeout, subject.policy.hard_timeout
    with waiting(flight) as possible:
        if not possible:
            return None
        if soft is not None and not (yield Await(flight, soft)):
            old = yield from stand_in(subject, call, flight)
            if old is not None:
                return old
        left = limit if hard is None else hard - (soft or 0.0)
        if (yield Await(flight, left)) or hard is None:
            return None
    old = yield from stand_in(subject, call, flight)
    if old is None:
        raise timed_out(subject, call)
    return old


def stand_in(subject: Subject, call: Call, flight: Flight) -> Steps[Outcome | None]:
    """Return an old entry that may be served while a flight takes long; later callers get it, too.

    It is read and checked again first, since it may have been dropped meanwhile.
    """
    grace = subject.policy.stale_on_error
    old = (yield from last_resort(subject, call, grace)) if grace else None
    if old is not None:
        subject.stats.stale += 1
        if not flight.is_set:
            subject.overtaken[call.memory_key] = flight
    return old


def timed_out(subject: Subject, call: Call) -> ComputationTimeout:
    """Return the error for a caller whose time is up."""
    return ComputationTimeout(
        f"{subject.name}: {call.key.text} was not computed within hard_timeout="
        f"{subject.policy.hard_timeout:g} s; what comes of it later will be stored"
    )
