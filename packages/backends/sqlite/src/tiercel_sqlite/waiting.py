"""The push channel and the wakes: rows that other processes add, noticed within milliseconds.

SQLite cannot call back across processes. `PRAGMA data_version` costs a microsecond and changes
when another connection commits, so a wait looks at it every few milliseconds, and only while
somebody waits.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from tiercel.spi import Announcement, BackendUnavailable, Mailbox, Poll, Polled, Position
from tiercel_sqlite.connections import Connections, Identity
from tiercel_sqlite.failures import FAILURES, translated
from tiercel_sqlite.forks import GATE

CHANNEL = "changes"
"""Name of the only push channel."""

KEPT = 10_000
"""Changes and wakes that are kept; who is further behind starts afresh."""

TRIM_EVERY = 256
"""Additions between two trims."""

PAUSE = 0.005
"""Seconds between two looks, at most."""

Result = TypeVar("Result")


def announce(db: sqlite3.Connection, names: Sequence[str]) -> None:
    """Add a message to the chain, in the transaction that changes what it names."""
    last, nonce = _last(db), os.urandom(8).hex()
    # An empty table is a new channel, whose epoch tells it from the one before.
    epoch = last.epoch if last else int.from_bytes(os.urandom(5), "big")
    number = last.number + 1 if last else 1
    previous = last.nonce if last else ""
    db.execute(
        "INSERT INTO changes VALUES (?, ?, ?, ?, ?)",
        (number, epoch, nonce, previous, json.dumps(names)),
    )
    if number % TRIM_EVERY == 0:
        db.execute("DELETE FROM changes WHERE number <= ?", (number - KEPT,))


def wake(db: sqlite3.Connection, waiters: Sequence[str], text: str) -> None:
    """Leave a wake for each waiter, in the transaction that ends the lease."""
    for waiter in waiters:
        added = db.execute("INSERT INTO wakes (waiter, text) VALUES (?, ?)", (waiter, text))
        if (added.lastrowid or 0) % TRIM_EVERY == 0:
            db.execute("DELETE FROM wakes WHERE number <= ?", ((added.lastrowid or 0) - KEPT,))


def poll(db: sqlite3.Connection, command: Poll) -> dict[str, Polled]:
    """Return what came after the position; wait for it if there is nothing."""
    position = command.positions.get(CHANNEL)
    if position is None:
        return {CHANNEL: Polled((), _last(db))}
    polled = _watch(db, lambda: _news(db, position), command.block)
    return {CHANNEL: polled or Polled((), position)}


def _last(db: sqlite3.Connection) -> Position | None:
    row = db.execute(
        "SELECT epoch, number, nonce FROM changes ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return Position(*row) if row else None


def _news(db: sqlite3.Connection, position: Position) -> Polled | None:
    """Return None if the channel still ends at `position`."""
    last = _last(db)
    if last == position:
        return None
    rows = db.execute(
        "SELECT epoch, number, nonce, previous, names FROM changes "
        "WHERE epoch = ? AND number > ? ORDER BY number",
        (position.epoch, position.number),
    )
    messages = [
        Announcement(Position(epoch, number, nonce), previous, tuple(json.loads(names)))
        for epoch, number, nonce, previous, names in rows
    ]
    return Polled(messages, messages[-1].position if messages else last)


def _watch(
    db: sqlite3.Connection,
    look: Callable[[], Result | None],
    timeout: float,
    ended: Callable[[], bool] = lambda: False,
) -> Result | None:
    """Look until there is something, `timeout` seconds have passed or it has `ended`.

    A fork ends it early, as no connection may be open then; whoever waits asks again.
    """
    until, pause, seen = time.monotonic() + timeout, PAUSE / 8, -1
    while True:
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version != seen:
            seen = version
            if (found := look()) is not None:
                return found
        left = until - time.monotonic()
        if left <= 0 or ended() or GATE.closed:
            return None
        time.sleep(min(pause, left))
        pause = min(PAUSE, pause * 1.5)


class SQLiteMailbox(Mailbox):
    """Reads the wakes of one waiter that were added after it was opened."""

    def __init__(self, connections: Connections, waiter: str) -> None:
        self._connections = connections
        self._waiter = waiter
        self._closed = False
        with connections.hold() as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'wakes'").fetchone()
        self._seen: int = row[0] if row else 0
        self._file: Identity | None = connections.identity()

    def receive(self, timeout: float) -> Sequence[str]:
        """Wait for wakes, looking every few milliseconds."""
        try:
            if self._closed or self._connections.identity() != self._file:
                raise BackendUnavailable(f"the mailbox {self._waiter!r} is closed; open another")
            with self._connections.hold() as db:
                rows = _watch(db, lambda: self._new(db), timeout, lambda: self._closed)
        except FAILURES as failure:
            raise translated(failure, self._connections.settings) from failure
        if not rows:
            return ()
        self._seen = rows[-1][0]
        return list(dict.fromkeys(text for _, text in rows))

    def close(self) -> None:
        """Stop waiting at the next look."""
        self._closed = True

    def _new(self, db: sqlite3.Connection) -> list[tuple[int, str]] | None:
        rows = db.execute(
            "SELECT number, text FROM wakes WHERE number > ? AND waiter = ? ORDER BY number",
            (self._seen, self._waiter),
        ).fetchall()
        return rows or None
