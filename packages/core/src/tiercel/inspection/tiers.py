"""What an entry looks like in memory and in the shared tier; looking changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tiercel.contracts.backend import STAMP_BYTES, STAMPS_OFFSET, Key, Read, Reading
from tiercel.engine import sync
from tiercel.engine.effects import Steps
from tiercel.engine.places import origin_of
from tiercel.engine.state import Call, Subject
from tiercel.entry import FOREVER, Flag, parse_header
from tiercel.errors import BackendError, Undecodable
from tiercel.events import Status
from tiercel.inspection.records import EntryState, TierRecord, finite
from tiercel.stamps import carries, is_tombstone

NOTHING = TierRecord(EntryState.ABSENT)
NO_TIER = TierRecord(EntryState.NO_TIER)


def in_memory(subject: Subject, call: Call) -> TierRecord:
    """Return what the memory of this process has of a call."""
    if subject.table is None:
        return NO_TIER
    entry = subject.table.find(call.memory_key)
    if entry is None or not hasattr(entry, "value"):
        return NOTHING
    now, origin = subject.engine.clock.monotonic(), origin_of(subject, entry)
    endless = origin.soft_end - origin.born > FOREVER - 1.0
    return TierRecord(
        EntryState.FRESH if now < origin.soft_end else EntryState.STALE,
        "" if _trusted(subject, call) else "the shared tier is asked before it is served",
        age=now - origin.born,
        fresh_for=None if endless else origin.soft_end - now,
        remaining=None if endless else finite(entry.hard - now),
        written=origin.written,
        is_error=origin.error,
    )


def serves_memory(subject: Subject, call: Call) -> bool:
    """Tell whether memory would serve a call without asking anybody."""
    memory = in_memory(subject, call)
    return memory.state is EntryState.FRESH and not memory.detail


def _trusted(subject: Subject, call: Call) -> bool:
    entry = subject.table.find(call.memory_key) if subject.table is not None else None
    if entry is None:
        return False
    origin = origin_of(subject, entry)
    followed = not origin.followed or subject.engine.trusts_memory()
    return followed and subject.engine.clock.monotonic() < origin.recheck_at


def read(subject: Subject, key: Key) -> Reading | BackendError | None:
    """Read an entry and its stamps; return None where nothing is shared, or why it failed."""
    if subject.backend is None:
        return None
    try:
        return sync.run(subject.engine, _reading(key))
    except BackendError as error:
        return error


def _reading(key: Key) -> Steps[Reading]:
    reading: Reading = yield Read(key)
    return reading


def in_shared(
    subject: Subject, key: Key, reading: Reading | BackendError | None, *, exact: bool = True
) -> TierRecord:
    """Return what the shared tier has under a key.

    Args:
        subject: The function.
        key: The key.
        reading: What `read` has returned.
        exact: Whether the key knows all scopes of the entry, its tags included.
    """
    if reading is None:
        return NO_TIER
    if isinstance(reading, BackendError):
        return TierRecord(EntryState.UNAVAILABLE, str(reading))
    payload, text = reading.payload, key.text
    if payload is None:
        return NOTHING
    if is_tombstone(payload):
        return TierRecord(EntryState.DROPPED, "its entry was dropped by its key")
    try:
        flags, took, hard, soft, end = parse_header(text, payload)
    except Undecodable as error:
        return TierRecord(EntryState.UNDECODABLE, str(error), size=len(payload))
    left, endless = reading.remaining, hard >= FOREVER
    state, detail = _judged(subject, key, reading, soft - hard + left, end, exact)
    return TierRecord(
        state,
        detail,
        age=max(hard - left, 0.0),
        fresh_for=None if endless else soft - hard + left,
        remaining=None if endless else left,
        size=len(payload),
        took=took,
        written=Status.REFRESH if flags & Flag.REFRESHED else Status.MISS,
        is_error=bool(flags & Flag.EXCEPTION),
    )


def _judged(
    subject: Subject, key: Key, reading: Reading, soft_left: float, end: int, exact: bool
) -> tuple[EntryState, str]:
    payload = reading.payload or b""
    if not carries(payload, reading.stamps):
        return EntryState.DROPPED, "it carries a stamp that is not in force any more"
    if exact and end != STAMPS_OFFSET + STAMP_BYTES * len(reading.stamps):
        return EntryState.DROPPED, "it was stored under other tags or partitions"
    if reading.remaining <= 0:
        return EntryState.EXPIRED, ""
    bound_to = key.text.encode() + payload[:end] if subject.codec.binds else b""
    try:
        subject.codec.decode(payload[end:], bound_to)
    except Undecodable as error:
        return EntryState.UNDECODABLE, str(error)
    return (EntryState.FRESH if soft_left > 0 else EntryState.STALE), ""


def carried(payload: bytes | None, position: int, stamp: bytes | None) -> bool | None:
    """Tell whether a stored entry carries the stamp that is in force; None without an entry."""
    if payload is None:
        return None
    start = STAMPS_OFFSET + position * STAMP_BYTES
    return stamp is not None and payload[start : start + STAMP_BYTES] == stamp[:STAMP_BYTES]


def entry_in(reading: Reading | BackendError | None) -> bytes | None:
    """Return the stored entry, valid or not; None without one."""
    payload = reading.payload if isinstance(reading, Reading) else None
    return None if payload is None or is_tombstone(payload) else payload


def stamps_of(reading: Reading | BackendError | None) -> Sequence[bytes | None]:
    """Return the stamps that were read; none where nothing was."""
    return reading.stamps if isinstance(reading, Reading) else ()
