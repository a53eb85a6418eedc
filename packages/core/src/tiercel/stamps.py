"""Stamps: opaque random tokens; changing one drops everything that was stored under the old one.

A stamp is never a counter and never zero, so a lost one costs a miss and can never make an old
value readable again. Rules: protocol rule 1; Facebook's memcache leases (NSDI 2013) and Symfony's
random tag versions are the ancestors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tiercel.contracts.backend import STAMP_BYTES, STAMPS_OFFSET


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
