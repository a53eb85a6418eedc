"""The tables of the file, and how a file is recognised as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tiercel.spi import ConfigurationError

APPLICATION_ID = 0x54524353
"""Marks a SQLite file as a shared tier of Tiercel; at offset 68 of its header."""

VERSION = 2
"""Version of the tables, kept in `PRAGMA user_version`."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE entries (
    number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, payload BLOB NOT NULL,
    size INTEGER NOT NULL, written REAL NOT NULL, deadline REAL NOT NULL,
    function TEXT, note BLOB
);
CREATE INDEX entries_by_deadline ON entries (deadline);
CREATE INDEX entries_by_function ON entries (function, text) WHERE function IS NOT NULL;

CREATE TABLE indexes (
    name TEXT PRIMARY KEY, lost_until REAL NOT NULL, deadline REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE stamps (
    name TEXT PRIMARY KEY, stamp BLOB NOT NULL, deadline REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX stamps_by_deadline ON stamps (deadline);

CREATE TABLE leases (
    text TEXT PRIMARY KEY, token BLOB NOT NULL, generation BLOB NOT NULL,
    written REAL NOT NULL, deadline REAL NOT NULL, waiters TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE changes (
    number INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, nonce TEXT NOT NULL,
    previous TEXT NOT NULL, names TEXT NOT NULL
);

CREATE TABLE wakes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, waiter TEXT NOT NULL, text TEXT NOT NULL
);

CREATE TABLE totals (entries INTEGER NOT NULL, bytes INTEGER NOT NULL, stamps INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0);
CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN
    UPDATE totals SET entries = entries + 1, bytes = bytes + new.size; END;
CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
    UPDATE totals SET entries = entries - 1, bytes = bytes - old.size; END;
CREATE TRIGGER stamp_added AFTER INSERT ON stamps BEGIN
    UPDATE totals SET stamps = stamps + 1; END;
CREATE TRIGGER stamp_removed AFTER DELETE ON stamps BEGIN
    UPDATE totals SET stamps = stamps - 1; END;
"""

NAMES = {"entries": "text", "stamps": "name", "leases": "text", "indexes": "name"}
"""The tables whose rows belong to keys, scopes and functions, and the columns that name these."""

CONTENTS = (*NAMES, "changes", "wakes")
"""The tables that hold what was cached."""


def check_owner(path: Path) -> None:
    """Refuse a file that another program made, and leave it as it is.

    It is read by SQLite all the same: whoever opens a file beside it and closes that again loses
    all locks of this process on it (SQLite, "How To Corrupt An SQLite Database File", 2.2).

    Raises:
        ConfigurationError: The file is not empty and not a shared tier of Tiercel.
    """
    try:
        if not path.stat().st_size:
            return
        owner = _owner(path)
    except FileNotFoundError:
        return
    except (OSError, sqlite3.OperationalError) as failure:
        raise ConfigurationError(f"{path} cannot be read: {failure}") from failure
    except sqlite3.DatabaseError as failure:
        if failure.sqlite_errorcode & 0xFF != sqlite3.SQLITE_NOTADB:
            return  # damaged, as whoever uses it is told
        owner = None
    if owner != APPLICATION_ID:
        raise ConfigurationError(
            f"{path} belongs to another program; name a file that does not exist yet"
        )


def _owner(path: Path) -> int:
    """Return who made a file by what stands in the file itself, with no lock nor log."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        return _pragma(db, "application_id")


def boot_identity() -> str | None:
    """Return what changes when the machine starts again; None where it cannot be told."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or empty them where their contents cannot be trusted.

    A file of another version is made anew. A file that was written before the machine last
    started is emptied: WAL without a sync per commit may have lost the latest drops.

    Raises:
        ConfigurationError: The file cannot work in WAL mode or was made by another program.
        sqlite3.Error: The file is locked or damaged.
    """
    if _pragma(db, "application_id") != APPLICATION_ID or _pragma(db, "user_version") != VERSION:
        _create(db, path)
    # Only after the tables: the mark of ownership must stand in the file itself, not in its WAL.
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise ConfigurationError(f"{path}: no write-ahead log here; put it on a local disk")
    boot = boot_identity()
    if boot and boot != _meta(db, "boot"):
        _empty(db, boot)


def tune(db: sqlite3.Connection) -> None:
    """Set what each connection must set for itself."""
    level = "NORMAL" if boot_identity() else "FULL"
    db.execute(f"PRAGMA synchronous = {level}")
    db.execute("PRAGMA wal_autocheckpoint = 2000")
    db.execute("PRAGMA journal_size_limit = 16777216")


@contextmanager
def transaction(db: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Commit what is done inside, or roll it back if that fails."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _create(db: sqlite3.Connection, path: Path) -> None:
    with transaction(db, "EXCLUSIVE"):
        # Looked at again under the lock: another process may have made the tables meanwhile.
        owner, version = _pragma(db, "application_id"), _pragma(db, "user_version")
        tables = _tables(db)
        if tables and owner != APPLICATION_ID:
            raise ConfigurationError(
                f"{path} belongs to another program; name a file that does not exist yet"
            )
        if version != VERSION or owner != APPLICATION_ID:
            for name in tables:
                db.execute(f'DROP TABLE "{name}"')
            for statement in _statements(_TABLES):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")


def _empty(db: sqlite3.Connection, boot: str) -> None:
    with transaction(db, "IMMEDIATE"):
        if boot != _meta(db, "boot"):
            for table in CONTENTS:
                db.execute(f"DELETE FROM {table}")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (boot,))


def _tables(db: sqlite3.Connection) -> list[str]:
    rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [name for (name,) in rows if not name.startswith("sqlite_")]


def _statements(script: str) -> list[str]:
    """Split a script; `executescript` would commit the transaction that it runs in."""
    statements, rest = [], ""
    for line in script.splitlines():
        rest += line + "\n"
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return statements


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _meta(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])
