"""Running the user's function, and judging what it returned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import CoroutineType
from typing import Any

from tiercel.engine.effects import Run, Steps
from tiercel.engine.flights import HELD, Flight
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.events import Cause, OperationKind, Status, Tier
from tiercel.policy import returned_life

_READ_ONCE = (Iterator, AsyncIterator, CoroutineType)
_USUAL = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict, set})


def compute_alone(subject: Subject, call: Call, cause: Cause) -> Steps[Outcome]:
    """Compute for this caller only and store nothing."""
    value, _ = yield from compute(subject, call, Flight(lambda: False))
    return Outcome(value, Status.MISS, Tier.FUNCTION, cause)


def compute(subject: Subject, call: Call, flight: Flight) -> Steps[tuple[Any, float]]:
    """Run the user's function; return its result and the seconds it took."""
    now = subject.engine.clock.monotonic
    watched = subject.start(OperationKind.COMPUTE, call)
    subject.stats.computations += 1
    began = now()
    try:
        reset = HELD.set((*HELD.get(), flight))
        try:
            value = yield Run(subject.target, call.args, call.kwargs, subject.asynchronous)
        finally:
            HELD.reset(reset)
    except BaseException as error:
        subject.stats.errors += 1
        subject.end(watched, error)
        raise
    subject.end(watched)
    return value, now() - began


def verdict(subject: Subject, call: Call, value: Any) -> Steps[tuple[float | None, bool]]:
    """Return the life of a result, and whether it may be stored at all.

    Raises:
        TypeError: Nothing like this can be cached, or `ttl` returned no duration.
    """
    policy = subject.policy
    if type(value) not in _USUAL and isinstance(value, _READ_ONCE):
        raise TypeError(
            f"{subject.name} returned a {type(value).__name__}, which can be read only once, so it "
            "cannot be cached: return a list, or the awaited value"
        )
    if subject.keep is not None:
        keep = yield Run(subject.keep, (value, *call.args), call.kwargs, subject.asynchronous)
        if not keep:
            return None, False
    ttl: Any = policy.ttl
    if value is None and policy.negative_ttl is not None:
        ttl = policy.negative_ttl
    elif subject.ttl is not None:
        ttl = yield Run(subject.ttl, (value, *call.args), call.kwargs, subject.asynchronous)
        ttl = returned_life(subject.name, ttl)
    return ttl, ttl is None or ttl > 0
