"""Nobody is inside SQLite while the process forks.

SQLite keeps in the process which locks and files it has. A child inherits that knowledge, but
neither the locks nor the threads that would release them: it could never write again if another
thread of its parent was just writing, would hang on a mutex of SQLite, and would go on with a
write-ahead log that its parent deletes when it ends. So all connections are closed before a fork.
"""

from __future__ import annotations

import threading
import time

PATIENCE = 5.0
"""Seconds that a fork waits for commands that have begun; they take a fraction of one."""

PAUSE = 0.0002
"""Seconds between two looks whether they have ended."""


class Gate:
    """Stands before every use of SQLite; a fork closes it, and waits until all are out.

    Locks are re-entrant, as the handler of a signal or a finalizer may use a cache at any point.

    Attributes:
        closed: Whether a fork is coming, so that those who only wait should come out.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start anew, as in a child: whoever was inside exists in its parent only."""
        self._door = threading.RLock()
        self._counting = threading.RLock()
        self._inside = 0
        self.closed = False

    def __enter__(self) -> None:
        with self._door, self._counting:
            self._inside += 1

    def __exit__(self, *raised: object) -> None:
        with self._counting:
            self._inside -= 1

    def close(self) -> None:
        """Let nobody in, and wait until nobody is inside, `PATIENCE` seconds at most."""
        self._door.acquire()
        self.closed = True
        until = time.monotonic() + PATIENCE
        while self._inside and time.monotonic() < until:
            time.sleep(PAUSE)

    def open(self) -> None:
        """Let everybody in again; to be called by the thread that has closed it."""
        self.closed = False
        self._door.release()


GATE = Gate()
"""The gate of this process: what SQLite knows is one for all files."""
