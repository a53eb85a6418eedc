"""A thread that talks to a broker, so that those who wait for it can stop waiting."""

from __future__ import annotations

import contextvars
import os
import queue
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

TIMEOUT = 1.0
"""Seconds that a caller waits for the broker at most."""


class BrokerStuck(ConnectionError):
    """The broker did not take a message in time; perhaps it will still get it."""


class _Job:
    """Something to do in the thread, and how that ended."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._action = action
        self._context = contextvars.copy_context()
        self._ended = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._context.run(self._action)
        except Exception as error:
            self._error = error
        finally:
            self._ended.set()

    def wait(self) -> bool:
        return self._ended.wait(TIMEOUT)

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class Sender:
    """Does what is asked for in one thread of its own, one thing after the other.

    Dramatiq opens a connection for each thread, and no time limit covers all the waiting for
    RabbitMQ. Here is one connection for the process, and an end to waiting: while the thread is
    stuck, callers are told so at once.
    """

    def __init__(self) -> None:
        self.start_anew()
        _senders.add(self)

    def start_anew(self) -> None:
        """Forget the thread, which a forked process does not have."""
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stuck: _Job | None = None

    def do(self, action: Callable[[], Any]) -> None:
        """Run `action` in the thread and wait for it.

        Raises:
            BrokerStuck: It takes too long, or one before it does.
            Exception: What it raised.
        """
        stuck = self._stuck
        if stuck is not None and stuck.running:
            raise BrokerStuck("the broker has not answered for more than a second")
        job = _Job(action)
        self._ensure_thread()
        self._jobs.put(job)
        if not job.wait():
            self._stuck = job
            raise BrokerStuck(f"the broker has not answered within {TIMEOUT:g} s")
        job.raise_error()

    def stop(self, timeout: float) -> None:
        """Let the thread finish what was asked for, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join(timeout)

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_work, args=[self._jobs], name="tiercel-dramatiq", daemon=True
                )
                self._thread.start()


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while job := jobs.get():
        job.run()


_senders: WeakSet[Sender] = WeakSet()


def _after_fork() -> None:
    for sender in list(_senders):
        sender.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
