"""Watching all processes while somebody looks at the console, and no longer."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from tiercel.bulletins import Bulletin, Happening
from tiercel.configuration import get_cache
from tiercel.console.history import OWN, History, Sample
from tiercel.errors import TiercelError
from tiercel.inspection import Cluster, FunctionCounts, events_in
from tiercel.oversight import cache_names

log = logging.getLogger("tiercel.console")

ATTENTION: Final = 60.0
"""Seconds after the last page for which processes are watched."""

PAUSE: Final = 0.5
"""Seconds between two looks."""

MOST_DROPS: Final = 50
"""Drops that are remembered."""


class Watcher:
    """What is known of all processes; a thread keeps it current while somebody looks.

    Without a tier to ask other processes through there is no thread: each page looks for itself.
    """

    _thread: threading.Thread | None
    _cluster: Cluster | None
    _history: History | None

    def __init__(self, caches: Sequence[str], wait: float) -> None:
        """Prepare; nothing runs yet.

        Args:
            caches: The names of the caches; none: all that are configured.
            wait: Seconds that the first look waits for what other processes tell.
        """
        self._names = tuple(caches)
        self._wait = wait
        self._lock = threading.Lock()
        self._forget()

    def attend(self) -> None:
        """Note that somebody looks; the first time, wait until others had time to answer."""
        with self._lock:
            if self._process != os.getpid():
                self._forget()
            self._until = time.monotonic() + ATTENTION
            if self._thread is None:
                self._look()  # here, where the caches of the running application are known
            if self._thread is None and self.watched:
                self._first, self._closed = threading.Event(), threading.Event()
                self._thread = threading.Thread(
                    target=self._watch,
                    args=(self._first, self._closed),
                    name="tiercel-console",
                    daemon=True,
                )
                self._thread.start()
        if self.watched:
            self._first.wait(self._wait + PAUSE)

    def close(self) -> None:
        """Watch no more, until somebody looks again."""
        self._until = 0.0
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join(2 * PAUSE)

    @property
    def error(self) -> str:
        """Why the last look failed; empty if it did not."""
        return self._error

    def counts(self) -> list[FunctionCounts]:
        """Return how calls were served, by all processes together."""
        counts = self._cluster.counts() if self._cluster is not None else []
        return [each for each in counts if each.function != OWN]

    def drops(self) -> list[tuple[str, Happening]]:
        """Return the last drops with the processes that they are from, newest first."""
        return list(reversed(self._drops))

    def samples(self) -> list[tuple[int, Sample]]:
        """Return how it went on in the last minutes."""
        try:
            return self._history.read() if self._history is not None else []
        except TiercelError as error:
            log.debug("no history: %s", error)
            return []

    @property
    def watched(self) -> Sequence[str]:
        """The names of the caches whose other processes are known."""
        return self._cluster.watched if self._cluster is not None else ()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._until = 0.0
        self._thread = None
        self._first = threading.Event()
        self._closed = threading.Event()
        self._cluster = None
        self._history = None
        self._drops: deque[tuple[str, Happening]] = deque(maxlen=MOST_DROPS)
        self._error = ""

    def _watch(self, first: threading.Event, closed: threading.Event) -> None:
        started = time.monotonic()
        try:
            while time.monotonic() < self._until:
                if time.monotonic() - started >= self._wait:
                    first.set()
                closed.wait(PAUSE)
                self._look()
        finally:
            first.set()
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _look(self) -> None:
        try:
            if self._cluster is None:
                self._cluster = Cluster(self._names, own_events=True)
                names = self.watched or self._names or cache_names()
                self._history = History(get_cache(names[0]))
            self._note(self._cluster.look())
            if self._history is not None:
                self._history.note(self._cluster.counts)
            self._error = ""
        except TiercelError as error:
            self._error = str(error)
        except Exception as error:
            log.exception("the caches could not be watched")
            self._error = f"{type(error).__name__}: {error}"

    def _note(self, bulletins: Sequence[Bulletin]) -> None:
        self._drops.extend(
            each for each in events_in(bulletins) if each[1].kind == "drop" and each[1].key
        )
