"""Everything there is to know of one call: its key, its entry, who dropped it and who would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

from tiercel.contracts.backend import Key, Reading
from tiercel.engine import sync
from tiercel.engine.examine import MISSES_OFTEN
from tiercel.engine.state import Call, Subject
from tiercel.errors import BackendError
from tiercel.events import Tier
from tiercel.inspection import tiers
from tiercel.inspection.arguments import written_call
from tiercel.inspection.functions import AnyFunction
from tiercel.inspection.keys import parse_key
from tiercel.inspection.provenance import drop_of, latest
from tiercel.inspection.reaches import rules_over
from tiercel.inspection.records import (
    DropRecord,
    EntryState,
    Explanation,
    FieldRecord,
    Reason,
    RoundTrips,
    StampRecord,
    TierRecord,
)
from tiercel.keys.plan import KeyPlan
from tiercel.stamps import is_tombstone, provenance_of, who_dropped


def explain(function: AnyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Explanation:
    """Return everything that is known of a call; computes nothing, and counts as no use.

    Raises:
        TypeError: The function does not take these arguments.
        UnkeyableValue: One of them cannot be part of a key.
    """
    subject, call = function.subject, function.call(args, kwargs)
    reading = tiers.read(subject, call.key)
    memory = tiers.in_memory(subject, call)
    shared = tiers.in_shared(subject, call.key, reading)
    stamps = _stamps(function, call.key, reading, len(call.tags))
    statistics = function.stats()
    counts = {name: getattr(statistics, name) for name in statistics.__slots__}
    return Explanation(
        function=function.name,
        cache=subject.engine.name,
        call=written_call(function.name, args, kwargs),
        key=call.key.text,
        template=function.plan.readable_template,
        guarantee=_guarantee(subject),
        fields=_fields(function.plan, args, kwargs),
        served=_served(subject, call, shared),
        memory=memory,
        shared=shared,
        stamps=stamps,
        round_trips=_round_trips(subject),
        calls=counts,
        hit_ratio=statistics.ratio if any(counts.values()) else None,
        last_drop=_last_drop(function, call.key, reading, stamps),
        rules=rules_over(function, call),
    )


def why(text: str) -> Reason:
    """Return why a key is, or is not, served from the shared tier.

    Raises:
        UnknownKey: No function of this process has such keys.
    """
    parsed = parse_key(text)
    function: AnyFunction = parsed.function
    key = parsed.key
    subject = function.subject
    exact = parsed.complete and function.settings.tags is None
    reading = tiers.read(subject, key)
    if isinstance(reading, Reading) and not exact:
        known = reading.stamps[: len(key.scopes)]
        reading = Reading(reading.payload, reading.remaining, known)
    entry = tiers.in_shared(subject, key, reading, exact=exact)
    stamps = _stamps(function, key, reading, 0)
    last = _last_drop(function, key, reading, stamps)
    return Reason(
        key=text,
        function=function.name,
        cache=subject.engine.name,
        entry=entry,
        why=_sentence(entry, stamps, last),
        stamps=stamps,
        last_drop=last,
        complete=exact,
    )


def peek_value(
    function: AnyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[bool, Any]:
    """Return whether there is a value that may be served, and the value; nothing is computed."""
    outcome = sync.run(function.subject.engine, function._peeked(args, kwargs))
    return (False, None) if outcome is None else (True, outcome.value)


def _fields(plan: KeyPlan, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[FieldRecord]:
    texts = plan.explain(*args, **kwargs)
    partition = {field.name for field in plan.partition}
    return [
        FieldRecord(field.name, texts[field.name], field.name in partition, field.arguments)
        for field in plan.fields
    ]


def _stamps(
    function: AnyFunction, key: Key, reading: Reading | BackendError | None, tags: int
) -> Sequence[StampRecord]:
    """Return the stamps of a key, the last `tags` of which are those of tags."""
    payload = tiers.entry_in(reading)
    found = []
    for position, (scope, stamp) in enumerate(
        zip(key.scopes, tiers.stamps_of(reading), strict=False)
    ):
        covers = _covers(key, position, tags)
        found.append(
            StampRecord(
                scope=scope,
                covers=covers,
                stamp=None if stamp is None else stamp[:16].hex(),
                carried=tiers.carried(payload, position, stamp),
                dropped=drop_of(provenance_of(stamp), scope, covers, function),
            )
        )
    return found


def _covers(key: Key, position: int, tags: int) -> str:
    """Say in a word what a scope of a key covers; past the scopes stands the key itself."""
    if position == len(key.scopes):
        return "entry"
    if position >= len(key.scopes) - tags:
        return "tag"
    return "partition" if position else "function"


def _last_drop(
    function: AnyFunction,
    key: Key,
    reading: Reading | BackendError | None,
    stamps: Sequence[StampRecord],
) -> DropRecord | None:
    """Return the last drop of the entry: of itself, or of anything around it."""
    own, subject = None, function.subject
    if subject.backend is None:
        names = [*key.scopes, key.text]
        noted = (subject.engine.dropped.of([name], 0.0) for name in names)
        words = (_covers(key, position, 0) for position in range(len(names)))
        return latest(map(drop_of, noted, names, words, repeat(function)))
    if isinstance(reading, Reading) and is_tombstone(reading.payload or b""):
        who = who_dropped(reading.payload or b"", ())
        own = drop_of(who, key.text, "entry", function)
    return latest([own, *(each.dropped for each in stamps)])


def _served(subject: Subject, call: Call, shared: TierRecord) -> str:
    if tiers.serves_memory(subject, call):
        return Tier.MEMORY
    if shared.state is EntryState.FRESH:
        return Tier.SHARED
    stale = shared.state is EntryState.STALE and (shared.fresh_for or 0) > -subject.policy.stale
    return Tier.SHARED if stale else Tier.FUNCTION


def _round_trips(subject: Subject) -> RoundTrips:
    if subject.backend is None:
        return RoundTrips(0, 0, 0)
    eager = subject.missing > MISSES_OFTEN
    return RoundTrips(memory_hit=0, shared_hit=1, miss=2 if eager else 3)


def _guarantee(subject: Subject) -> str:
    if subject.backend is None:
        return "memory only"
    if subject.engine.channel is not None:
        return "G3"
    return "G2" if subject.fenced else "G1"


def _sentence(entry: TierRecord, stamps: Sequence[StampRecord], last: DropRecord | None) -> str:
    """Say in one sentence what becomes of a call with this key."""
    if entry.state is EntryState.FRESH:
        return "it is fresh: a call is served from the shared tier"
    if entry.state is EntryState.DROPPED:
        gone = latest(each.dropped for each in stamps if each.carried is False)
        return f"it was dropped{_by(gone or last)}: {entry.detail}"
    if entry.state is EntryState.ABSENT:
        ever = "nothing is stored: never computed, expired, or dropped by its key"
        return f"{ever}; its stamps were last changed{_by(last)}" if last else ever
    sentences = {
        EntryState.STALE: "its ttl is over: it may be served while it is refreshed",
        EntryState.EXPIRED: "its ttl is over",
        EntryState.UNDECODABLE: f"it cannot be read, and counts as a miss: {entry.detail}",
        EntryState.UNAVAILABLE: f"the shared tier does not answer: {entry.detail}",
        EntryState.NO_TIER: "its cache has no shared tier: only the memory of each process knows",
    }
    return sentences[entry.state]


def _by(drop: DropRecord | None) -> str:
    if drop is None:
        return ""
    who = f" by rule {drop.rule!r}" if drop.rule else " by hand"
    source = f" on {drop.source}" if drop.source else ""
    when = f" {drop.age:.0f} s ago" if drop.age is not None else ""
    return f"{who}{source} ({drop.covers}){when}"
