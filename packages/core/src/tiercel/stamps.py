"""Stamps: opaque random tokens; changing one drops everything that was stored under the old one.

A stamp is never a counter and never zero, so a lost one costs a miss and can never make an old
value readable again. Rules: protocol rule 1; Facebook's memcache leases (NSDI 2013) and Symfony's
random tag versions are the ancestors.

Behind its random bytes, which alone are ever compared, a stamp may say who made it: see
`pack_provenance`. Whoever dropped a single entry says so in its place: see `pack_tombstone`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from struct import Struct as Layout
from typing import Final

from tiercel.contracts.sizes import PROVENANCE_BYTES, STAMP_BYTES, STAMPS_OFFSET, TOMBSTONE
from tiercel.events import Provenance

_PROVENANCE: Final = Layout(">B16s8sQ")
_VERSION: Final = 1
_LONGEST_NAME: Final = (PROVENANCE_BYTES - _PROVENANCE.size - 1) // 2


def new_stamp() -> bytes:
    """Return a fresh stamp of `STAMP_BYTES` random bytes."""
    return os.urandom(STAMP_BYTES)


def join_stamps(stamps: Sequence[bytes | None]) -> bytes | None:
    """Return the stamps as they stand in a header, or None if one is missing."""
    try:
        joined = b"".join(stamps)  # type: ignore[arg-type]
    except TypeError:
        return None
    if len(joined) == STAMP_BYTES * len(stamps):
        return joined
    return b"".join(stamp[:STAMP_BYTES] for stamp in stamps if stamp is not None)


def carries(payload: bytes, stamps: Sequence[bytes | None]) -> bool:
    """Tell whether stored bytes were computed under exactly these stamps."""
    joined = join_stamps(stamps)
    return joined is not None and payload.startswith(joined, STAMPS_OFFSET)


def pack_provenance(who: Provenance) -> bytes:
    """Return who made a stamp, for behind it: at most `PROVENANCE_BYTES`.

    One byte of version, trace id, span id, microseconds since the Unix epoch; then rule and source
    in UTF-8, with a zero byte between them. A name that is too long loses its beginning: its end
    tells it from others.
    """
    head = _PROVENANCE.pack(_VERSION, who.trace_id, who.span_id, max(int(who.time * 1e6), 0))
    return b"".join((head, _name(who.rule), b"\0", _name(who.source)))


def provenance_of(stamp: bytes | None) -> Provenance | None:
    """Return who made a stamp, as far as it says; None if it does not, or not as this version."""
    return None if stamp is None else _unpacked(stamp[STAMP_BYTES:])


def pack_tombstone(who: Provenance) -> bytes:
    """Return what takes the place of an entry that was dropped: no entry, but who did it."""
    return TOMBSTONE + pack_provenance(who)


def who_dropped(payload: bytes, stamps: Sequence[bytes | None]) -> Provenance | None:
    """Return who dropped an entry that is not valid any more, if that is known.

    Args:
        payload: What is stored in its place.
        stamps: The stamps now in force; of those that differ the latest counts.
    """
    if payload.startswith(TOMBSTONE):
        return _unpacked(payload[len(TOMBSTONE) :])
    known = [
        who
        for number, stamp in enumerate(stamps)
        if not payload.startswith(_random(stamp), STAMPS_OFFSET + STAMP_BYTES * number)
        and (who := provenance_of(stamp)) is not None
    ]
    return max(known, key=lambda who: who.time, default=None)


def is_tombstone(payload: bytes) -> bool:
    """Tell whether stored bytes only say who dropped the entry that was there."""
    return payload.startswith(TOMBSTONE)


def _name(name: str) -> bytes:
    return name.encode()[-_LONGEST_NAME:]


def _random(stamp: bytes | None) -> bytes:
    return b"" if stamp is None else stamp[:STAMP_BYTES]


def _unpacked(said: bytes) -> Provenance | None:
    if len(said) < _PROVENANCE.size or said[0] != _VERSION:
        return None
    _, trace_id, span_id, micros = _PROVENANCE.unpack_from(said)
    rule, _, source = said[_PROVENANCE.size :].decode(errors="ignore").partition("\0")
    traced = (trace_id, span_id) if any(trace_id) and any(span_id) else (b"", b"")
    return Provenance(rule, source, micros / 1e6, *traced)
