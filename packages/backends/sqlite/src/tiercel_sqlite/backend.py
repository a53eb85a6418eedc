"""The backend: one transaction per command, errors in the words of Tiercel."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar, cast

from tiercel.spi import Backend, BackendLocation, Command
from tiercel_sqlite.commands import READS, WRITES, Transaction
from tiercel_sqlite.connections import Connections, patiently
from tiercel_sqlite.declared import CAPABILITIES
from tiercel_sqlite.failures import FAILURES, translated
from tiercel_sqlite.location import settings_of
from tiercel_sqlite.schema import check_owner
from tiercel_sqlite.waiting import SQLiteMailbox

Reply = TypeVar("Reply")


class SQLiteBackend(Backend):
    """A shared tier in one file, for the processes of one machine.

    Reads never wait for writers; a write waits for the one before it, `location.timeout` seconds
    at most. Every acknowledged drop outlives the death of any process. After the machine itself
    was restarted the file starts empty, since the latest writes may not have reached the disk.

    Args:
        location: A URL such as `sqlite:///cache.db`; options `max_bytes` and `max_entries`.
        now: The wall clock, in seconds; all processes must share it.

    Raises:
        ConfigurationError: The URL, an option, the directory or the file cannot work.
    """

    capabilities = CAPABILITIES

    def __init__(self, location: BackendLocation, now: Callable[[], float] = time.time) -> None:
        self.location = location
        self._settings = settings_of(location)
        self._now = now
        self._connections = Connections(self._settings)
        check_owner(self._settings.path)

    def execute(self, command: Command[Reply]) -> Reply:
        """Execute a command in one transaction."""
        try:
            with self._connections.hold() as db:
                run = self._read if type(command) in READS else self._write
                return run(db, command)
        except FAILURES as failure:
            raise translated(failure, self._settings) from failure

    def open_mailbox(self, waiter: str) -> SQLiteMailbox:
        """Open a mailbox; it notices wakes within about 5 ms, by looking."""
        try:
            return SQLiteMailbox(self._connections, waiter)
        except FAILURES as failure:
            raise translated(failure, self._settings) from failure

    def close(self) -> None:
        """Close the connections that no thread is using."""
        self._connections.close()

    def _read(self, db: sqlite3.Connection, command: Command[Reply]) -> Reply:
        perform = READS[type(command)]
        return patiently(
            lambda: cast("Reply", perform(self._transaction(db), command)), self._settings.timeout
        )

    def _write(self, db: sqlite3.Connection, command: Command[Reply]) -> Reply:
        patiently(lambda: db.execute("BEGIN IMMEDIATE"), self._settings.timeout)
        # No rollback here: a command that fails costs its connection, which takes all back.
        reply = WRITES[type(command)](self._transaction(db), command)
        db.execute("COMMIT")
        return cast("Reply", reply)

    def _transaction(self, db: sqlite3.Connection) -> Transaction:
        # The time is read under the lock, or a command that waited would use one long past.
        return Transaction(db, self._settings, self._now())
