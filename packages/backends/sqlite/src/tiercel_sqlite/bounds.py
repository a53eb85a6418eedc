"""Keeps the file bounded: what has expired goes first, then what was filled longest ago.

Losing an entry, a stamp or a lease costs a miss and can never make an old value readable, so
eviction needs no care for what depends on what.
"""

from __future__ import annotations

import sqlite3

from tiercel_sqlite.location import Settings
from tiercel_sqlite.schema import NAMES

SWEEP = 256
"""Expired rows that one command removes at most."""

BATCH = 32
"""Rows that are evicted at a time; a little more room than needed, so that few commands evict."""


def sweep(db: sqlite3.Connection, now: float) -> None:
    """Remove some of what has expired."""
    for table, column in NAMES.items():
        db.execute(
            f"DELETE FROM {table} WHERE {column} IN "
            f"(SELECT {column} FROM {table} WHERE deadline <= ? LIMIT {SWEEP})",
            (now,),
        )


def keep_within(db: sqlite3.Connection, settings: Settings, now: float) -> None:
    """Evict until entries and stamps fit the settings."""
    entries, size, stamps = _totals(db)
    if max(entries, stamps) <= settings.max_entries and size <= settings.max_bytes:
        return
    sweep(db, now)
    _evict_entries(db, settings)
    if _totals(db)[2] > settings.max_entries:
        db.execute(
            "DELETE FROM stamps WHERE name IN (SELECT name FROM stamps ORDER BY deadline LIMIT ?)",
            (_totals(db)[2] - settings.max_entries + BATCH,),
        )


def _evict_entries(db: sqlite3.Connection, settings: Settings) -> None:
    while True:
        entries, size, _ = _totals(db)
        if entries <= settings.max_entries and size <= settings.max_bytes:
            return
        # The newest entry is the one just filled: it stays.
        db.execute(
            "DELETE FROM entries WHERE number IN "
            "(SELECT number FROM entries ORDER BY number LIMIT ?)",
            (max(1, min(BATCH, entries - 1)),),
        )


def _totals(db: sqlite3.Connection) -> tuple[int, int, int]:
    row: tuple[int, int, int] = db.execute("SELECT entries, bytes, stamps FROM totals").fetchone()
    return row
