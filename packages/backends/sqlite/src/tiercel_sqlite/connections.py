"""Connections to one file: each is held by one thread at a time, and none is open in a fork."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from weakref import WeakSet

from tiercel_sqlite.forks import GATE
from tiercel_sqlite.location import Settings
from tiercel_sqlite.schema import check_owner, prepare, tune

_OPENED: WeakSet[Connections] = WeakSet()

OPENING_TIME = 2.0
"""Seconds that the first connection may wait at least: other processes may be making the file."""

PAUSE = 0.0005
"""Seconds between two attempts to get a lock, on average."""

Result = TypeVar("Result")

Identity = tuple[int, int, int]
"""Process, device and inode: while these are the same, a connection is good."""


def patiently(attempt: Callable[[], Result], timeout: float) -> Result:
    """Repeat an attempt while another process holds the lock, for `timeout` seconds at most.

    SQLite's own waiting backs off to a tenth of a second, so that under load the same few
    connections are served again and again; short random pauses give each its turn.
    """
    until = 0.0
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as failure:
            if failure.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            until = until or time.monotonic() + timeout
            if time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.0, 2 * PAUSE))


class Connections:
    """A free list of connections.

    Attributes:
        settings: Where the file is.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._free: list[sqlite3.Connection] = []
        self._identity: Identity | None = None
        self._opening = threading.Lock()
        self._patience = max(OPENING_TIME, settings.timeout)
        _OPENED.add(self)

    @contextmanager
    def hold(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for one command or one wait; it is closed if that fails.

        Raises:
            sqlite3.Error: The file cannot be opened.
            ConfigurationError: The file is another program's.
        """
        with GATE:
            identity = self._identify()
            try:
                db = self._free.pop()
            except IndexError:
                db = self._open()
                identity = self._identify()
            try:
                yield db
            except BaseException:
                db.close()
                raise
            if identity == self._identity:
                self._free.append(db)
            else:
                db.close()

    def identity(self) -> Identity | None:
        """Tell which file the connections belong to; let go of them if it was replaced."""
        with GATE:
            return self._identify()

    def close(self) -> None:
        """Close the connections that nobody holds; the others close when they are given back."""
        with GATE:
            self._let_go()

    def _identify(self) -> Identity | None:
        try:
            status = os.stat(self.settings.path)  # noqa: PTH116 - half the time of Path.stat
        except FileNotFoundError:
            present = None
        else:
            present = (os.getpid(), status.st_dev, status.st_ino)
        if present != self._identity:
            with self._opening:
                self._let_go()
                self._identity = present
        return present

    def _let_go(self) -> None:
        self._identity = None
        self.close_free()

    def _open(self) -> sqlite3.Connection:
        check_owner(self.settings.path)
        db = sqlite3.connect(
            self.settings.path,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            patiently(lambda: self._prepare(db), self._patience)
            tune(db)
        except BaseException:
            db.close()
            raise
        self._patience = self.settings.timeout
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        # Locked for one attempt only, so that no thread waits for as long as those before it do.
        with self._opening:
            prepare(db, self.settings.path)

    def close_free(self) -> None:
        """Close the connections that nobody holds, where nobody can take one meanwhile."""
        while self._free:
            self._free.pop().close()

    def forget(self) -> None:
        """Start afresh in a child process."""
        self._identity = None
        self._opening = threading.Lock()


def _before_fork() -> None:
    GATE.close()
    for connections in list(_OPENED):
        connections.close_free()


def _after_in_child() -> None:
    GATE.renew()
    for connections in list(_OPENED):
        connections.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=GATE.open, after_in_child=_after_in_child
    )
