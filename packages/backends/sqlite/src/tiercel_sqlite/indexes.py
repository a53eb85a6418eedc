"""Indexes: entries carry their notes themselves, and each function has a row that vouches for it.

So no note is ever lost but with its entry. What may be missing is what was filled before its
function had an index.
"""

from __future__ import annotations

import sqlite3

from tiercel.spi import STAMP_BYTES, Index, ListEntries, Listing
from tiercel_sqlite import stamps


def prepare(db: sqlite3.Connection, index: Index, now: float) -> None:
    """See to an index before its function's stamp is minted: nothing can be missing then."""
    if stamps.known(db, (index.name,), now) == (None,):
        begin_anew(db, index, now)


def begin_anew(db: sqlite3.Connection, index: Index, now: float) -> None:
    """Vouch for an index, as nothing older than it can be read."""
    db.execute(
        "INSERT OR REPLACE INTO indexes VALUES (?, ?, ?)", (index.name, 0.0, now + 2 * index.life)
    )


def extend(db: sqlite3.Connection, index: Index, now: float) -> None:
    """Keep an index that there is; of one that there is not, nobody knows what came before it."""
    db.execute(
        "INSERT INTO indexes VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET deadline = excluded.deadline",
        (index.name, now + index.longest, now + 2 * index.life),
    )


def admits(db: sqlite3.Connection, index: Index, generation: bytes, now: float) -> bool:
    """Tell whether a lease stands for the fence in force."""
    (fence,) = stamps.known(db, (index.fence,), now)
    return fence is not None and generation.endswith(fence[:STAMP_BYTES])


def page(db: sqlite3.Connection, command: ListEntries, now: float) -> Listing:
    """Return the next part of a listing; in the order of keys, which a refill does not change."""
    entries = db.execute(
        "SELECT text, note FROM entries WHERE function = ? AND text > ? AND deadline > ? "
        "ORDER BY text LIMIT ?",
        (command.name, command.cursor, now, command.count),
    ).fetchall()
    cursor = entries[-1][0] if len(entries) == command.count else ""
    return Listing(entries, cursor, _is_complete(db, command.name, now))


def _is_complete(db: sqlite3.Connection, name: str, now: float) -> bool:
    if stamps.known(db, (name,), now) == (None,):
        return True
    row = db.execute("SELECT lost_until, deadline FROM indexes WHERE name = ?", (name,)).fetchone()
    return row is not None and row[0] <= now < row[1]
