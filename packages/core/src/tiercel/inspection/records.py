"""What the answers of an inspection are. All times are seconds, all sizes bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct


class EntryState(StrEnum):
    """What can be said of an entry in one tier."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"
    DROPPED = "dropped"
    UNDECODABLE = "undecodable"
    ABSENT = "absent"
    UNAVAILABLE = "unavailable"
    NO_TIER = "no tier"


class FunctionRecord(Struct, frozen=True):
    """How a function is cached.

    Attributes:
        name: Its name across processes.
        cache: The name of its cache.
        tiers: `both`, `memory` or `shared`.
        asynchronous: Whether it is a coroutine function.
        key: The template of its keys.
        partition: The key fields by which entries are dropped together.
        ttl: Seconds that a result is fresh; None without expiry; `callable` if it is computed.
        stale: Seconds after its ttl during which an entry may be served while it is refreshed.
        rules: How many rules it has.
        indexed: Whether its entries can be listed.
        error: Why it cannot be bound to its cache; empty if it can.
    """

    name: str
    cache: str
    tiers: str
    asynchronous: bool
    key: str
    partition: Sequence[str]
    ttl: float | str | None
    stale: float
    rules: int
    indexed: bool
    error: str = ""


class RuleRecord(Struct, frozen=True):
    """One rule of one function.

    Attributes:
        function: The name of the function.
        rule: The name of the rule, or `#` and its position.
        model: The label of what it listens to.
        drops: `function`, `partition`, `entry`; or the name of its invalidator.
        mapping: For arguments of the function the path of their value on the row.
        watches: The fields whose change it waits for; empty: any.
        when: The values that the row must have, by path; as text.
        rewarms: Whether what was live is computed again.
        dispatcher: Who carries its work; None: the default one.
    """

    function: str
    rule: str
    model: str
    drops: str
    mapping: Mapping[str, str]
    watches: Sequence[str]
    when: Mapping[str, str]
    rewarms: bool
    dispatcher: str | None


class FieldRecord(Struct, frozen=True):
    """What one key field puts into a key.

    Attributes:
        name: Its name in the key constructor.
        text: What it puts into the key.
        partition: Whether entries are dropped together by it.
        arguments: The arguments that it depends on.
    """

    name: str
    text: str
    partition: bool
    arguments: Sequence[str]


class DropRecord(Struct, frozen=True):
    """Who dropped something, and when.

    Attributes:
        scope: What was dropped, by name.
        covers: `function`, `partition`, `tag` or `entry`.
        rule: The name of the rule; empty if it was dropped by hand.
        source: What the rule listens to; empty likewise.
        at: When, ISO 8601 in UTC; None if that is not known.
        age: Seconds since then.
        trace_id: The trace in which it was dropped, 32 hexadecimal digits, or None.
        span_id: The span, 16 hexadecimal digits, or None.
    """

    scope: str
    covers: str
    rule: str = ""
    source: str = ""
    at: str | None = None
    age: float | None = None
    trace_id: str | None = None
    span_id: str | None = None


class StampRecord(Struct, frozen=True):
    """One of the stamps that an entry depends on.

    Attributes:
        scope: Its name.
        covers: `function`, `partition` or `tag`.
        stamp: The stamp that is in force, in hexadecimal digits; None if there is none.
        carried: Whether the stored entry carries it; None without an entry.
        dropped: Who has changed it last, as far as it says.
    """

    scope: str
    covers: str
    stamp: str | None
    carried: bool | None
    dropped: DropRecord | None


class TierRecord(Struct, frozen=True):
    """An entry in one tier.

    Attributes:
        state: What becomes of a call that finds it.
        detail: What is wrong, in words; empty if nothing is.
        age: Seconds since it was filled.
        fresh_for: Seconds until it is stale; negative since when it is; None without end.
        remaining: Seconds until it is gone; None without end.
        size: Bytes that are stored, header included; None in memory.
        took: Seconds that its computation took; None where that is not kept.
        written: MISS or REFRESH.
        is_error: Whether it is an exception that is raised again.
    """

    state: EntryState
    detail: str = ""
    age: float | None = None
    fresh_for: float | None = None
    remaining: float | None = None
    size: int | None = None
    took: float | None = None
    written: str | None = None
    is_error: bool = False


class ReachRecord(Struct, frozen=True):
    """A rule that would drop an entry.

    Attributes:
        rule: Its name.
        model: What it listens to.
        drops: How much it would drop: `function`, `partition` or `entry`; or its invalidator.
        row: The values, as text and by path, that a changed row must have; empty: any.
        certain: Whether it surely would; False for an invalidator, which decides by itself.
    """

    rule: str
    model: str
    drops: str
    row: Mapping[str, str]
    certain: bool


class RoundTrips(Struct, frozen=True):
    """How often a call asks the shared tier."""

    memory_hit: int
    shared_hit: int
    miss: int


class Explanation(Struct, frozen=True):
    """Everything that is known of one call.

    Attributes:
        function: The name of the function.
        cache: The name of its cache.
        call: The call, as text.
        key: The text of its key.
        template: The shape of the keys.
        guarantee: The guarantee of the cache.
        fields: What each field puts into the key.
        served: From which tier a call would be served here and now, or `function`.
        memory: The entry in the memory of this process.
        shared: The entry in the shared tier.
        stamps: The stamps it depends on.
        round_trips: What calls cost.
        calls: How calls of the function were served in this process, by kind.
        hit_ratio: Share of them that were served without running the function; None without any.
        last_drop: Who dropped it last, as far as is known.
        rules: The rules that would drop it.
    """

    function: str
    cache: str
    call: str
    key: str
    template: str
    guarantee: str
    fields: Sequence[FieldRecord]
    served: str
    memory: TierRecord
    shared: TierRecord
    stamps: Sequence[StampRecord]
    round_trips: RoundTrips
    calls: Mapping[str, int]
    hit_ratio: float | None
    last_drop: DropRecord | None
    rules: Sequence[ReachRecord]


class Reason(Struct, frozen=True):
    """Why a key is, or is not, served from the shared tier.

    Attributes:
        key: Its text.
        function: The function that it belongs to.
        cache: The name of its cache.
        entry: The entry.
        why: One sentence for people.
        stamps: The stamps it depends on, as far as the key tells them.
        last_drop: Who dropped it last, as far as is known.
        complete: Whether the key tells all of its stamps.
    """

    key: str
    function: str
    cache: str
    entry: TierRecord
    why: str
    stamps: Sequence[StampRecord]
    last_drop: DropRecord | None
    complete: bool


class Done(Struct, frozen=True):
    """One thing that was done.

    Attributes:
        what: What it was done to.
        done: What was done; empty if it failed.
        seconds: How long that took.
        error: Why it failed; empty if it did not.
    """

    what: str
    done: str
    seconds: float = 0.0
    error: str = ""


def as_builtins(record: Any) -> Any:
    """Return a record, or several, as JSON carries them."""
    return msgspec.to_builtins(record)


def finite(seconds: float) -> float | None:
    """Return seconds, or None for an infinite number of them."""
    return seconds if math.isfinite(seconds) else None
