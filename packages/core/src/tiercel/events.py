"""What a cache tells its observers: events, and operations that have a duration."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


class Status(StrEnum):
    """How one call was served."""

    HIT = "HIT"
    MISS = "MISS"
    STALE = "STALE"
    REFRESH = "REFRESH"
    BYPASS = "BYPASS"


class Tier(StrEnum):
    """Where a value came from."""

    MEMORY = "memory"
    SHARED = "shared"
    FUNCTION = "function"


class Cause(StrEnum):
    """Why a value had to be computed."""

    ABSENT = "absent"
    EXPIRED = "expired"
    DROPPED = "dropped"
    UNDECODABLE = "undecodable"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    REQUESTED = "requested"


class OperationKind(StrEnum):
    """What takes time."""

    READ = "read"
    WAIT = "wait"
    COMPUTE = "compute"
    FILL = "fill"
    DROP = "drop"
    DISPATCH = "dispatch"
    TASK = "task"


class Operation(Struct):
    """Something that takes time: observers see its start and its end.

    Attributes:
        kind: What it is.
        cache: Name of the cache.
        function: Qualified name of the function; empty for manual use of a cache.
        key: Text of the key; observers must not export it unless asked to.
        status: How the call was served; known at the end.
        tier: Where the value came from; known at the end.
        cause: Why there was no valid entry; known at the end of a read.
        size: Bytes of the stored value, where known.
        age: Seconds since the entry was filled, where known.
        stamps: Stamps with their provenance as they were read, where known.
        error: What the operation ended with, or None.
        attributes: More, by name.
    """

    kind: OperationKind
    cache: str
    function: str = ""
    key: str = ""
    status: Status | None = None
    tier: Tier | None = None
    cause: Cause | None = None
    size: int | None = None
    age: float | None = None
    stamps: tuple[bytes | None, ...] = ()
    error: BaseException | None = None
    attributes: dict[str, Any] | None = None


class EventKind(StrEnum):
    """What happens in an instant."""

    EVICTION = "eviction"
    FILL_REFUSED = "fill_refused"
    COALESCED = "coalesced"
    BREAKER_OPENED = "breaker_opened"
    BREAKER_CLOSED = "breaker_closed"
    CHANNEL_LOST = "channel_lost"
    CHANNEL_TRUSTED = "channel_trusted"
    SWALLOWED_ERROR = "swallowed_error"


class Event(Struct, frozen=True):
    """Something without a duration."""

    kind: EventKind
    cache: str
    function: str = ""
    key: str = ""
    error: BaseException | None = None
    count: int = 1


class MemoryHit(Struct, frozen=True, gc=False):
    """A value was served from memory."""

    cache: str
    function: str
