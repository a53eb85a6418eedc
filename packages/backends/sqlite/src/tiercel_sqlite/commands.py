"""What each command of the protocol does in SQL; every function runs in one transaction.

Times are those of the wall clock, which all processes of one machine share. It may jump: an
entry or lease that seems to come from the future, by more than `SKEW`, counts as gone, so that
nothing outlives its life by more than that (protocol rule 18).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiercel.spi import (
    STAMP_BYTES,
    STAMPS_OFFSET,
    TOMBSTONE,
    TOMBSTONE_LIFE,
    BackendRefused,
    Begin,
    Begun,
    Clear,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    ListEntries,
    Listing,
    MintTags,
    Overwrite,
    Poll,
    Probe,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
)
from tiercel_sqlite import indexes, stamps
from tiercel_sqlite.bounds import keep_within, sweep
from tiercel_sqlite.location import Settings
from tiercel_sqlite.schema import NAMES, transaction
from tiercel_sqlite.waiting import announce, poll, wake

SKEW = 1.0
"""Seconds that the wall clock may go back unnoticed."""

ROW = 128
"""Bytes that an entry takes besides its key and payload, about."""

_ENTRY_OR_NULLS = "FROM (SELECT 1) LEFT JOIN entries ON text = ?"

SWEEP_EVERY = 64
"""Fills between two sweeps of what has expired."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A row of `leases` that is in force."""

    token: bytes
    generation: bytes
    remaining: float
    waiters: tuple[str, ...]


class Transaction:
    """One connection at one instant.

    Args:
        db: A connection, in a transaction if the command writes.
        settings: The bounds.
        now: The wall clock, in seconds.
    """

    __slots__ = ("_db", "_now", "_settings")

    def __init__(self, db: sqlite3.Connection, settings: Settings, now: float) -> None:
        self._db = db
        self._settings = settings
        self._now = now

    # Reading

    def read(self, command: Read) -> Reading:
        """Read an entry and its stamps."""
        return self._reading(command.key, command.tags)

    def read_many(self, command: ReadMany) -> list[Reading]:
        """Read several entries, all at one instant."""
        with transaction(self._db, "DEFERRED"):
            return [self._reading(key) for key in command.keys]

    def read_then_begin(self, command: ReadThenBegin) -> tuple[Reading, Begun]:
        """Read an entry, then ask for its lease."""
        return self._reading(command.begin.key), self.begin(command.begin)

    def list_entries(self, command: ListEntries) -> Listing:
        """List entries that were filled with a note."""
        return indexes.page(self._db, command, self._now)

    def probe(self, command: Probe) -> list[bool]:
        """Tell which entries could be served, all at one instant."""
        with transaction(self._db, "DEFERRED"):
            return [self._is_live(key) for key in command.keys]

    def _is_live(self, key: Key) -> bool:
        known = stamps.known(self._db, key.scopes, self._now)
        end = STAMPS_OFFSET + STAMP_BYTES * len(known)
        row = self._db.execute(
            f"SELECT substr(payload, 1, {end}), written, deadline FROM entries WHERE text = ?",
            (key.text,),
        ).fetchone()
        if row is None or None in known or self._remaining(row[1], row[2]) <= 0:
            return False
        return stamps.carries(row[0], [stamp or b"" for stamp in known])

    def poll(self, command: Poll) -> dict[str, Any]:
        """Read the push channel."""
        return poll(self._db, command)

    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        names = (*key.scopes, *tags)
        query = stamps.selecting("payload, written, deadline", len(names), _ENTRY_OR_NULLS)
        payload, written, deadline, *known = self._db.execute(
            query, (*stamps.parameters(names, self._now), key.text)
        ).fetchone()
        remaining = 0.0 if payload is None else self._remaining(written, deadline)
        own = len(key.scopes)
        return Reading(
            payload if remaining > 0 else None, max(remaining, 0.0), known[:own], known[own:]
        )

    def _entry(self, key: Key) -> tuple[bytes | None, float]:
        row = self._db.execute(
            "SELECT payload, written, deadline FROM entries WHERE text = ?", (key.text,)
        ).fetchone()
        remaining = self._remaining(row[1], row[2]) if row else 0.0
        return (row[0], remaining) if remaining > 0 else (None, 0.0)

    def _remaining(self, written: float, deadline: float) -> float:
        if self._now < written - SKEW:
            return 0.0
        return min(deadline - self._now, deadline - written)

    # Leases

    def begin(self, command: Begin) -> Begun:
        """Find the entry, its holder, or grant the lease."""
        key, fence = command.key, b""
        if command.index is not None:
            indexes.prepare(self._db, command.index, self._now)
            (fence,) = self._mint((command.index.fence,), command.index.life)
        current = self._mint(key.scopes, command.stamp_life)
        if not command.force and self._is_current(key, current, command.floor):
            return Found()
        generation, lease = stamps.generation_of((*current, fence)), self._lease(key)
        if lease and lease.generation == generation and not command.force:
            if command.waiter is not None and command.waiter not in lease.waiters:
                self._set_waiters(key, (*lease.waiters, command.waiter))
            return Held(lease.token, current, lease.remaining)
        token = os.urandom(STAMP_BYTES)
        self._db.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)",
            (
                key.text,
                token,
                generation,
                self._now,
                self._now + command.lease,
                json.dumps(lease.waiters if lease else ()),
            ),
        )
        return Granted(token, current)

    def fill(self, command: Fill) -> bool:
        """Store an entry under a live lease."""
        key = command.key
        lease = self._lease(key)
        if lease is None or lease.token != command.token:
            return False
        index, note = command.index, None
        if index is not None:
            if not indexes.admits(self._db, index, lease.generation, self._now):
                self._end_lease(key, lease)
                return False
            indexes.extend(self._db, index, self._now)
            note = command.note
        self._store(
            *(key, command.payload, command.life),
            lease=lease,
            tags=command.tags,
            announced=command.announce,
            noted=(index.name if index is not None else None, note),
        )
        return True

    def overwrite(self, command: Overwrite) -> bool:
        """Store an entry whatever lease there is, if its stamps are in force."""
        key, payload = command.key, command.payload
        known = stamps.known(self._db, key.scopes, self._now)
        if None in known or not stamps.carries(payload, [stamp or b"" for stamp in known]):
            return False
        self._store(key, payload, command.life, lease=self._lease(key), announced=True)
        return True

    def _store(
        self,
        key: Key,
        payload: bytes,
        life: float,
        *,
        lease: Lease | None,
        announced: bool,
        tags: Sequence[str] = (),
        noted: tuple[str | None, bytes | None] = (None, None),
    ) -> None:
        """Put an entry in the place of an earlier one; others go if that is too much."""
        size, settings = len(payload) + len(key.text) + len(noted[1] or b"") + ROW, self._settings
        if size > settings.max_bytes:
            raise BackendRefused(
                f"an entry of {len(payload)} bytes exceeds max_bytes={settings.max_bytes}; raise it"
                " in the URL"
            )
        self._db.execute("DELETE FROM entries WHERE text = ?", (key.text,))
        added = self._db.execute(
            "INSERT INTO entries (text, payload, size, written, deadline, function, note) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key.text, payload, size, self._now, self._now + life, *noted),
        )
        stamps.prolong(self._db, (*key.scopes, *tags), life, self._now)
        self._end_lease(key, lease)
        if announced:
            announce(self._db, (key.text,))
        if (added.lastrowid or 0) % SWEEP_EVERY == 0:
            sweep(self._db, self._now)
        keep_within(self._db, settings, self._now)

    def renew(self, command: Renew) -> bool:
        """Prolong a lease."""
        lease = self._lease(command.key)
        if lease is None or lease.token != command.token:
            return False
        self._db.execute(
            "UPDATE leases SET written = ?, deadline = ? WHERE text = ?",
            (self._now, self._now + command.lease, command.key.text),
        )
        return True

    def release(self, command: Release) -> None:
        """Give a lease back."""
        lease = self._lease(command.key)
        if lease and lease.token == command.token:
            self._end_lease(command.key, lease)

    def _is_current(self, key: Key, current: Sequence[bytes], floor: float) -> bool:
        payload, remaining = self._entry(key)
        return payload is not None and remaining > floor and stamps.carries(payload, current)

    def _lease(self, key: Key) -> Lease | None:
        row = self._db.execute(
            "SELECT token, generation, written, deadline, waiters FROM leases WHERE text = ?",
            (key.text,),
        ).fetchone()
        remaining = self._remaining(row[2], row[3]) if row else 0.0
        if remaining <= 0:
            return None
        return Lease(row[0], row[1], remaining, tuple(json.loads(row[4])))

    def _set_waiters(self, key: Key, waiters: Sequence[str]) -> None:
        self._db.execute(
            "UPDATE leases SET waiters = ? WHERE text = ?", (json.dumps(waiters), key.text)
        )

    def _end_lease(self, key: Key, lease: Lease | None) -> None:
        self._db.execute("DELETE FROM leases WHERE text = ?", (key.text,))
        if lease:
            wake(self._db, lease.waiters, key.text)

    # Drops

    def drop_key(self, command: DropKey) -> bool:
        """Remove an entry and its lease."""
        payload = self._entry(command.key)[0]
        existed = payload is not None and not payload.startswith(TOMBSTONE)
        if payload is None or existed:
            self._db.execute("DELETE FROM entries WHERE text = ?", (command.key.text,))
        if existed and command.tombstone:
            self._bury(command)
        self._end_lease(command.key, self._lease(command.key))
        announce(self._db, (command.key.text,))
        return existed

    def _bury(self, command: DropKey) -> None:
        """Put what says who dropped an entry in its place."""
        text, said, now = command.key.text, command.tombstone, self._now
        self._db.execute(
            "INSERT INTO entries (text, payload, size, written, deadline) VALUES (?, ?, ?, ?, ?)",
            (text, said, len(said), now, now + TOMBSTONE_LIFE),
        )

    def drop_scopes(self, command: DropScopes) -> None:
        """Give scopes new stamps."""
        for scope in command.scopes:
            stamps.renew(self._db, scope.name, command.provenance, self._now + command.life)
        for index in command.indexes:
            indexes.begin_anew(self._db, index, self._now)
        announce(self._db, [scope.name for scope in command.scopes])
        keep_within(self._db, self._settings, self._now)

    def mint_tags(self, command: MintTags) -> list[bytes]:
        """Read the stamps of tags, minting the missing ones."""
        return self._mint(command.tags, command.stamp_life)

    def _mint(self, names: Sequence[str], life: float) -> list[bytes]:
        before = self._db.total_changes
        minted = stamps.mint(self._db, names, life, self._now)
        if self._db.total_changes != before:
            keep_within(self._db, self._settings, self._now)
        return minted

    def clear(self, command: Clear) -> None:
        """Forget what is below a prefix; a broken chain tells all memory tiers."""
        for table, column in NAMES.items():
            self._db.execute(
                f"DELETE FROM {table} WHERE substr({column}, 1, ?) = ?",
                (len(command.prefix), command.prefix),
            )
        self._db.execute("DELETE FROM changes")


READS: Mapping[type[Command[Any]], Callable[[Transaction, Any], Any]] = {
    Read: Transaction.read,
    ReadMany: Transaction.read_many,
    ListEntries: Transaction.list_entries,
    Probe: Transaction.probe,
    Poll: Transaction.poll,
}
"""Commands that never write."""

WRITES: Mapping[type[Command[Any]], Callable[[Transaction, Any], Any]] = {
    Begin: Transaction.begin,
    ReadThenBegin: Transaction.read_then_begin,
    Fill: Transaction.fill,
    Overwrite: Transaction.overwrite,
    Renew: Transaction.renew,
    Release: Transaction.release,
    DropKey: Transaction.drop_key,
    DropScopes: Transaction.drop_scopes,
    MintTags: Transaction.mint_tags,
    Clear: Transaction.clear,
}
"""Commands that need the write lock."""
