"""Which of several tasks that do the same work are sent, and when."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from weakref import WeakSet

from msgspec import Struct

CLOCK_SKEW = 0.1
"""Seconds by which the clocks of hosts may differ: brokers hold messages back by wall clock, and a
worker whose clock is ahead would start one early."""


class _Sent(Struct):
    """What was sent of one kind of work.

    Attributes:
        until: Monotonic time at which the window ends that the first message opened.
        held_until: Monotonic time before which the second one cannot start; 0: there is none.
    """

    until: float
    held_until: float = 0.0


class CollapseWindow:
    """Sends the first of some tasks at once, one more at the end of the window, others never.

    Only a message that the broker has taken lets another one be left out.

    Args:
        length: Seconds.
        now: Tells the monotonic time.
    """

    def __init__(self, length: float, now: Callable[[], float] = time.monotonic) -> None:
        self._length = length
        self._now = now
        self._sent: OrderedDict[Hashable, _Sent] = OrderedDict()
        self.renew_lock()
        _windows.add(self)

    def __len__(self) -> int:
        return len(self._sent)

    def pass_on(self, work: Hashable, send: Callable[[float], None]) -> None:
        """Send a task with the delay that it needs, or leave it out.

        Args:
            work: Equal for tasks that do the same work.
            send: Called with the seconds that the message is to be held back.

        Raises:
            Exception: What `send` raised; it is then as if the task had never come.
        """
        now = self._now()
        with self._lock:
            self._forget_ended(now)
            sent = self._sent.get(work)
            if sent is not None and now < sent.held_until:
                return
        if sent is None or sent.until <= now:
            send(0.0)
            with self._lock:
                self._sent[work] = _Sent(now + self._length)
                self._sent.move_to_end(work)
            return
        delay = sent.until - now
        send(delay)
        sent.held_until = now + delay - CLOCK_SKEW

    def renew_lock(self) -> None:
        """Replace the lock, which another thread of a parent process may have held."""
        self._lock = threading.Lock()

    def _forget_ended(self, now: float) -> None:
        while self._sent:
            work, sent = next(iter(self._sent.items()))
            if now < sent.until:
                break
            del self._sent[work]


_windows: WeakSet[CollapseWindow] = WeakSet()


def _renew_locks() -> None:
    for window in list(_windows):
        window.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
