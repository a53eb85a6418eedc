"""What backends and the engine agree on about the bytes that are stored."""

from __future__ import annotations

from typing import Final

STAMP_BYTES: Final = 16
"""Bytes of a stamp that headers keep and compare; what follows them is provenance."""

STAMPS_OFFSET: Final = 48
"""Where the stamps of an entry stand in its stored bytes: one after the other, no separator."""

PROVENANCE_BYTES: Final = 128
"""Bytes that say who dropped something, at most."""

TOMBSTONE: Final = b"\0dropped"
"""What begins the bytes that stand in the place of an entry that was dropped, as no entry does."""

TOMBSTONE_LIFE: Final = 3600.0
"""Seconds for which it is known who dropped an entry, unless another takes its place before."""
