"""What a cache tells its observers: events, and operations that have a duration."""

from __future__ import annotations

from collections.abc import Sequence
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
    EVICTED = "evicted"
    DROPPED = "dropped"
    VERSION = "version"
    UNDECODABLE = "undecodable"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    REQUESTED = "requested"


class Provenance(Struct, frozen=True, gc=False):
    """Who dropped something.

    Attributes:
        rule: Name of the rule that did; empty: it was asked for by hand.
        source: Label of what the rule listens to, such as a model.
        time: When, in seconds since the Unix epoch, by the clock of whoever did.
        trace_id: The trace that it was part of, 16 bytes; empty without one.
        span_id: The span of that trace, 8 bytes; empty without one.
    """

    rule: str = ""
    source: str = ""
    time: float = 0.0
    trace_id: bytes = b""
    span_id: bytes = b""


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
        template: The same with the names of its fields instead of their values; may be exported.
        status: How the call was served; known at the end.
        tier: Where the value came from; known at the end.
        cause: Why there was no valid entry; known at the end of a read, and when a computation
            begins.
        dropped_by: Who dropped the entry that was not valid any more, where known; like `cause`. Of
            a drop, who makes it.
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
    template: str = ""
    status: Status | None = None
    tier: Tier | None = None
    cause: Cause | None = None
    dropped_by: Provenance | None = None
    size: int | None = None
    age: float | None = None
    stamps: Sequence[bytes | None] = ()
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
