"""Running the user's function, and judging what it returned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import _AsyncGeneratorContextManager, _GeneratorContextManager
from types import CoroutineType
from typing import Any

from tiercel.engine.effects import Run, Steps
from tiercel.engine.flights import HELD, Flight
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.events import Cause, OperationKind, Status, Tier
from tiercel.policy import returned_life

_READ_ONCE = (
    Iterator,
    AsyncIterator,
    CoroutineType,
    _GeneratorContextManager,
    _AsyncGeneratorContextManager,
)

USUAL = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict, set})
"""Types of most results, of which nothing need be checked."""


def compute_alone(subject: Subject, call: Call, cause: Cause) -> Steps[Outcome]:
    """Compute for this caller only and store nothing."""
    value, _ = yield from compute(subject, call, Flight(lambda: False), cause)
    return Outcome(value, Status.MISS, Tier.FUNCTION, cause)


def compute(subject: Subject, call: Call, flight: Flight, cause: Cause) -> Steps[tuple[Any, float]]:
    """Run the user's function; return its result and the seconds it took."""
    now = subject.engine.clock.monotonic
    watched = subject.start(OperationKind.COMPUTE, call, cause=cause) if subject.watched else None
    subject.stats.computations += 1
    began = now()
    try:
        held = HELD.set((*HELD.get(), flight))
        try:
            value = yield Run(subject.target, call.args, call.kwargs, subject.asynchronous)
        finally:
            HELD.reset(held)
    except BaseException as error:
        subject.stats.errors += 1
        subject.end(watched, error)
        raise
    if watched is not None:
        subject.end(watched)
    took = now() - began
    subject.stats.seconds += took
    return value, took


def check_storable(subject: Subject, value: Any) -> None:
    """See to it that a result can be served more than once.

    Raises:
        TypeError: Nothing like this can be cached.
    """
    if isinstance(value, _READ_ONCE):
        raise TypeError(
            f"{subject.name} returned a {type(value).__name__}, which can be read only once, so it "
            "cannot be cached: return a list, or the awaited value"
        )


def verdict(subject: Subject, call: Call, value: Any, ttl: Any) -> Steps[tuple[float | None, bool]]:
    """Return the life of a result, and whether it may be stored at all, where callables decide.

    Args:
        subject: The function.
        call: The call.
        value: The result.
        ttl: What the policy says of its life; a callable is asked.

    Raises:
        TypeError: `ttl` returned no duration.
    """
    if subject.keep is not None:
        keep = yield Run(subject.keep, (value, *call.args), call.kwargs, subject.asynchronous)
        if not keep:
            return None, False
    if subject.ttl is not None and callable(ttl):
        ttl = yield Run(subject.ttl, (value, *call.args), call.kwargs, subject.asynchronous)
        ttl = returned_life(subject.name, ttl)
    return ttl, ttl is None or ttl > 0
