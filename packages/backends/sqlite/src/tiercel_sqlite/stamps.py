"""Stamps in the file: minted at random, prolonged, never rewritten but by a drop."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache

from tiercel.spi import STAMP_BYTES, STAMPS_OFFSET

_STAMP = "(SELECT stamp FROM stamps WHERE name = ? AND deadline > ?)"


@lru_cache(maxsize=256)
def selecting(columns: str, count: int, source: str = "") -> str:
    """Return a query of `columns` and then `count` stamps; one query is one instant.

    Parameters: for each stamp its name and the time, then those of `source`.
    """
    return f"SELECT {', '.join([*filter(None, [columns]), *[_STAMP] * count])} {source}"


def parameters(names: Iterable[str], now: float) -> list[str | float]:
    """Return the parameters that `selecting` wants for stamps."""
    return [value for name in names for value in (name, now)]


def known(db: sqlite3.Connection, names: Sequence[str], now: float) -> Sequence[bytes | None]:
    """Return the stamps of `names`; None where one is missing."""
    found: Sequence[bytes | None] = db.execute(
        selecting("", len(names)), parameters(names, now)
    ).fetchone()
    return found


def mint(db: sqlite3.Connection, names: Sequence[str], life: float, now: float) -> list[bytes]:
    """Return the stamps of `names`, the missing ones new, all alive for at least `life`."""
    if not names:
        return []
    stamps = {
        name: stamp or renew(db, name, b"", now + life)
        for name, stamp in dict(zip(names, known(db, names, now), strict=True)).items()
    }
    prolong(db, names, life, now)
    return [stamps[name] for name in names]


def renew(db: sqlite3.Connection, name: str, provenance: bytes, deadline: float) -> bytes:
    """Give a scope a new stamp, whatever it had."""
    stamp = os.urandom(STAMP_BYTES) + provenance
    db.execute("DELETE FROM stamps WHERE name = ?", (name,))
    db.execute("INSERT INTO stamps VALUES (?, ?, ?)", (name, stamp, deadline))
    return stamp


def prolong(db: sqlite3.Connection, names: Iterable[str], life: float, now: float) -> None:
    """Let the stamps that still exist live for at least `life` seconds from now."""
    for name in names:
        # A tenth more than asked for, so that the next fills need not write it again.
        db.execute(
            "UPDATE stamps SET deadline = ? WHERE name = ? AND deadline < ? AND deadline > ?",
            (now + 1.1 * life, name, now + life, now),
        )


def generation_of(stamps: Iterable[bytes]) -> bytes:
    """Return the part of stamps that is compared, as it stands in an entry."""
    return b"".join(stamp[:STAMP_BYTES] for stamp in stamps)


def carries(payload: bytes, stamps: Iterable[bytes]) -> bool:
    """Tell whether an entry was computed under these stamps."""
    return payload.startswith(generation_of(stamps), STAMPS_OFFSET)
