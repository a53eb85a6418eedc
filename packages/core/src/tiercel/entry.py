"""The bytes of an entry in a shared tier: a fixed header, its stamps, its payload.

    0   version of this format        1   flags
    2   number of stamps              3   reserved
    4   measured computation, microseconds (uint32)
    8   hard life, milliseconds (uint64)      16  soft life, milliseconds (uint64)
    24  checksum of the key (CRC-32)          28  reserved, 20 bytes
    48  stamps, 16 bytes each; then the payload

Lives are durations, not instants: the age of an entry is its hard life less what the server says
remains, so no wall clock takes part (protocol rule 2). The checksum is there to notice another
key's reply; against forgery there are codecs that sign.
"""

from __future__ import annotations

from binascii import crc32
from struct import Struct as Layout
from struct import error as LayoutError

from tiercel.contracts.backend import STAMP_BYTES, STAMPS_OFFSET
from tiercel.errors import Undecodable

FORMAT_VERSION = 1
FOREVER = 315_360_000.0
"""Seconds (ten years) that stand for "no expiry" in a tier where every entry has an end."""

_FIXED = Layout("<BBBxIQQI20x")
_BRIEF = Layout("<BBBx4x8s8sI20x")
_HARD = Layout("<8xQ")
_FLAGS_AND_HARD = Layout("<xB6xQ")
_LONGEST = 0xFFFFFFFF / 1e6
assert _FIXED.size == STAMPS_OFFSET


class Flag:
    """What a header says in one bit."""

    REFRESHED = 1
    EXCEPTION = 2


def pack_header(
    text: str,
    stamps: bytes,
    hard: float,
    soft: float,
    computation: float = 0.0,
    flags: int = 0,
) -> bytes:
    """Return the header of a new entry; `stamps` as `join_stamps` gives them, times in seconds."""
    fixed = _FIXED.pack(
        FORMAT_VERSION,
        flags,
        len(stamps) // STAMP_BYTES,
        int(computation * 1e6) if computation < _LONGEST else 0xFFFFFFFF,
        int(hard * 1e3),
        int(soft * 1e3),
        crc32(text.encode()),
    )
    return fixed + stamps


def end_of_plain_header(text: str, stored: bytes, stamps: bytes) -> int:
    """Return the length of a header that says nothing but that the entry is what it seems.

    That is: a value under just these stamps, with the same soft and hard life, so that it is fresh
    as long as it is there. Returns 0 for any other.
    """
    try:
        version, flags, count, hard, soft, checksum = _BRIEF.unpack_from(stored)
    except LayoutError:
        return 0
    end: int = STAMPS_OFFSET + STAMP_BYTES * count
    if version != FORMAT_VERSION or flags & Flag.EXCEPTION or hard != soft:
        return 0
    if stored[STAMPS_OFFSET:end] != stamps or checksum != crc32(text.encode()):
        return 0
    return end


def parse_header(text: str, stored: bytes) -> tuple[int, float, float, float, int]:
    """Read the header of stored bytes.

    Returns:
        The flags; the seconds that the computation took; the hard and the soft life in seconds;
        the length of the header, behind which the payload stands.

    Raises:
        Undecodable: Another format version, another key's entry, or damaged.
    """
    try:
        version, flags, count, micros, hard, soft, checksum = _FIXED.unpack_from(stored)
    except LayoutError as damage:
        raise Undecodable("damaged entry header") from damage
    if version != FORMAT_VERSION or checksum != crc32(text.encode()):
        raise Undecodable("entry of another format version or of another key")
    return flags, micros / 1e6, hard / 1e3, soft / 1e3, STAMPS_OFFSET + STAMP_BYTES * count


def flags_and_life(stored: bytes) -> tuple[int, float]:
    """Return flags and hard life in seconds of an entry whose header is known to be sound."""
    flags, hard = _FLAGS_AND_HARD.unpack_from(stored)
    return flags, hard / 1e3


def age_of(stored: bytes, remaining: float) -> float:
    """Return the age in seconds of an entry whose header is known to be sound.

    Args:
        stored: Its bytes.
        remaining: Seconds until it expires.
    """
    hard: float = _HARD.unpack_from(stored)[0] / 1e3
    return hard - remaining if hard > remaining else 0.0
