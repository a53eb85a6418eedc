"""What callers get of an outcome: the value, its metadata, the sentinel for "not cached"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, TypedDict

from tiercel.clock import Clock
from tiercel.engine.state import Outcome
from tiercel.engine.stopped import throwable
from tiercel.events import Cause, Status, Tier


class CacheMissing(Enum):
    """The type of `CACHE_MISSING`; an enum, so that it survives pickling and copying."""

    CACHE_MISSING = "CACHE_MISSING"

    def __repr__(self) -> str:
        return "CACHE_MISSING"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return False


CACHE_MISSING: Final = CacheMissing.CACHE_MISSING
"""What `get_cache_only` returns where nothing is cached; unlike None, it is no value."""


class Metadata(TypedDict):
    """How a call was served, or how an entry was written.

    Attributes:
        cache_status: HIT, MISS, STALE, REFRESH or BYPASS.
        cached_at: When the entry was filled, ISO 8601 in UTC; None if nothing was stored.
        cache_reset_at: When its ttl ends; None without expiry or if nothing was stored.
        tier: memory, shared or function.
        age: Seconds since the entry was filled.
        key: The text of the key.
        cause: Why the value had to be computed; None for a hit.
    """

    cache_status: Status
    cached_at: str | None
    cache_reset_at: str | None
    tier: Tier
    age: float
    key: str
    cause: Cause | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the calls of one function were served in this process.

    Attributes:
        memory_hits: Served from memory.
        shared_hits: Served from the shared tier.
        stale: Served after their ttl, from either.
        coalesced: Got the result of a computation that another caller had begun.
        computations: How often the function ran.
        errors: How often it raised.
        refused: Results that were not stored, since something was dropped meanwhile.
        entries: Entries in memory now.
        seconds: Time spent in computations that returned.
    """

    memory_hits: int = 0
    shared_hits: int = 0
    stale: int = 0
    coalesced: int = 0
    computations: int = 0
    errors: int = 0
    refused: int = 0
    entries: int = 0
    seconds: float = 0.0

    @property
    def ratio(self) -> float:
        """Share of the calls that were served without running the function; 0 without calls."""
        served = self.memory_hits + self.shared_hits + self.stale + self.coalesced
        return served / (served + self.computations) if served else 0.0


def result_of(outcome: Outcome) -> Any:
    """Return the value of an outcome to whoever called the function.

    Raises:
        Exception: The outcome is a cached exception.
    """
    if outcome.error:
        error: Exception = outcome.value
        raise error.with_traceback(None)
    return outcome.value


def value_of(outcome: Outcome) -> Any:
    """Do the same within steps of the engine."""
    try:
        return result_of(outcome)
    except StopIteration as error:
        raise throwable(error) from None


def describe(
    outcome: Outcome, key: str, clock: Clock, status: Status, grace: float = 0.0
) -> Metadata:
    """Return the metadata of an outcome.

    Args:
        outcome: What was served.
        key: The text of its key.
        clock: Tells the time of day.
        status: How this call was served, or how the entry was written.
        grace: Seconds that the entry is kept after its ttl.
    """
    now = datetime.fromtimestamp(clock.time(), UTC)
    stored = outcome.stored or outcome.tier is not Tier.FUNCTION
    ends = stored and math.isfinite(outcome.left)
    fresh = outcome.left - grace
    return {
        "cache_status": status,
        "cached_at": (now - timedelta(seconds=outcome.age)).isoformat() if stored else None,
        "cache_reset_at": (now + timedelta(seconds=fresh)).isoformat() if ends else None,
        "tier": outcome.tier,
        "age": outcome.age,
        "key": key,
        "cause": outcome.cause,
    }
