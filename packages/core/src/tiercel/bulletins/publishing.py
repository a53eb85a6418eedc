"""Publishing bulletins: at once, then each second while somebody watches, by a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from heapq import nlargest
from math import inf
from typing import Any, Final

from tiercel.bulletins.board import LIFE, NAME, board_of, call_to_watch, can_publish
from tiercel.bulletins.bulletin import MOST_FUNCTIONS, Bulletin, new_process_name, pack_bulletin
from tiercel.bulletins.collecting import Collector
from tiercel.cached import CachedFunction
from tiercel.engine import sync
from tiercel.engine.manual import add
from tiercel.errors import TiercelError
from tiercel.events import EventKind
from tiercel.function import living_functions
from tiercel.plugins.observing import Observers
from tiercel.settings import Home

log = logging.getLogger("tiercel.bulletins")

EVERY: Final = 1.0
"""Seconds between two bulletins of one process."""

HEARTBEAT: Final = 4.0
"""Seconds after which there is a bulletin even if nothing is new."""

ATTENTION: Final = 15.0
"""Seconds for which one call to watch is obeyed."""


class Publisher:
    """Tells those who watch a cache what this process does with it.

    Attributes:
        process: What this process is called in bulletins.
    """

    process: str
    _lock: threading.Lock
    _closed: threading.Event
    _thread: threading.Thread | None
    _until: float
    _number: int
    _last: tuple[float, Any]

    def __init__(self, home: Home, *, always: bool = False) -> None:
        """Prepare; nothing runs yet.

        Args:
            home: The cache.
            always: Whether to publish although nobody watches.
        """
        self._home = home
        self._always = always
        self._name = call_to_watch(home).name
        self._attending = False
        self._former: Observers | None = None
        self.forget()

    def attend(self) -> None:
        """Listen for those who want to watch, from now on."""
        if self._attending or not can_publish(self._home):
            return
        self._attending = True
        channel = self._home.engine.channel
        if channel is not None:
            channel.listeners = (*channel.listeners, self._hear)
        if self._always:
            self.publish_for(inf)

    def publish_for(self, seconds: float) -> None:
        """Publish bulletins for so long, or longer if more was wanted before."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)
            if self._thread is None and not self._closed.is_set():
                thread = threading.Thread(target=self._run, name="tiercel-bulletins", daemon=True)
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """Publish no more, until somebody watches again."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(EVERY)
        self._closed = threading.Event()
        self._until = -inf

    def forget(self) -> None:
        """Begin anew, as after a fork: the thread belongs to the parent."""
        self.process = new_process_name()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = None
        self._until = -inf
        self._number = 0
        self._last = (-inf, None)
        self._unobserve()
        if self._always and self._attending:
            self.publish_for(inf)

    def _hear(self, name: str) -> None:
        if name == self._name:
            self.publish_for(ATTENTION)

    def _run(self) -> None:
        closed, engine = self._closed, self._home.engine
        collector = Collector(engine.clock.time)
        self._former = engine.observers
        self._observe(self._former.with_observer("bulletins", collector))
        board = board_of(self._home)
        board.subject.watched = False  # what is told is not told of
        try:
            while time.monotonic() < self._until and not closed.is_set():
                self._publish(board, collector)
                closed.wait(EVERY)
        finally:
            self._unobserve()
            with self._lock:
                self._thread = None

    def _unobserve(self) -> None:
        former, self._former = self._former, None
        if former is not None:
            self._observe(former)

    def _observe(self, observers: Observers) -> None:
        engine = self._home.engine
        engine.observers = observers
        if engine.memory is not None and engine.memory.on_evict is None:
            engine.memory.on_evict = lambda count: engine.event(EventKind.EVICTION, count=count)
        for function in living_functions():
            subject = function.subject_on(engine)
            if subject is not None:
                subject.observe()

    def _publish(self, board: CachedFunction[Any, Any, bytes], collector: Collector) -> None:
        events, lost = collector.take()
        counts, now = self.counts(), time.monotonic()
        last, told = self._last
        if not events and counts == told and now - last < HEARTBEAT:
            return
        at = self._home.engine.clock.time()
        bulletin = Bulletin(self.process, self._number, at, counts, events, lost)
        call = board.call((self.process, self._number), {})
        self._number += 1
        self._last = now, counts
        try:
            sync.run(board.subject.engine, add(board.subject, call, pack_bulletin(bulletin), LIFE))
        except TiercelError as error:
            log.debug("a bulletin could not be published: %s", error)

    def counts(self) -> Mapping[str, Mapping[str, int | float]]:
        """Return how the calls of this cache's functions were served in this process."""
        counts = {}
        for function in living_functions():
            subject = function.subject_on(self._home.engine)
            known = subject is not None and function.name != NAME
            if known and isinstance(function, CachedFunction):
                statistics = function.stats()
                counts[function.name] = {
                    name: getattr(statistics, name) for name in statistics.__slots__
                }
        if len(counts) <= MOST_FUNCTIONS:
            return counts
        busiest = nlargest(MOST_FUNCTIONS, counts, key=lambda name: sum(counts[name].values()))
        return {name: counts[name] for name in busiest}
