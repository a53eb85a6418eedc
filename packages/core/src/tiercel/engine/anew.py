"""Serving a call whose stored entry is too old for its caller, although it may be served."""

from __future__ import annotations

from tiercel.contracts.backend import Begun
from tiercel.engine.effects import Detach, Steps
from tiercel.engine.fill import lead
from tiercel.engine.flights import Flight
from tiercel.engine.lease import begin, join
from tiercel.engine.places import Place, reserve
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.errors import BackendError
from tiercel.events import Cause


def fetch_anew(subject: Subject, call: Call) -> Steps[Outcome]:
    """Compute a stale entry now, once for all who ask at the same time."""
    joined = yield from _joined(subject, subject.flights.joinable(call.memory_key))
    if joined is not None:
        return joined
    place = reserve(subject, call)
    flight = Flight(lambda: place.alive and subject.engine.trusts_memory())
    found = subject.flights.open(call.memory_key, flight)
    if found is not flight:
        place.leave()
        joined = yield from _joined(subject, found)
        if joined is not None:
            return joined
        place = reserve(subject, call)
    steps = _lead(subject, call, flight, place)
    if not subject.asynchronous:
        return (yield from steps)
    outcome: Outcome = yield Detach(steps, lambda: _land(subject, call, flight, place))
    return outcome


def _joined(subject: Subject, flight: Flight | None) -> Steps[Outcome | None]:
    return None if flight is None else (yield from join(subject, flight, subject.policy.wait))


def _lead(subject: Subject, call: Call, flight: Flight, place: Place) -> Steps[Outcome]:
    """Take the lease, unless somebody has just been faster, and compute."""
    begun: Begun | None = None
    cause = Cause.EXPIRED
    try:
        if subject.backend is not None:
            begun = yield from begin(subject, call, floor=subject.policy.grace, wait=False)
    except BackendError as error:
        subject.report("the shared tier failed; computing without it", error)
        cause = Cause.UNAVAILABLE
    except BaseException:
        _land(subject, call, flight, place)
        raise
    return (yield from lead(subject, call, flight, place, cause, begun))


def _land(subject: Subject, call: Call, flight: Flight, place: Place) -> None:
    place.leave()
    subject.flights.land(call.memory_key, flight)
