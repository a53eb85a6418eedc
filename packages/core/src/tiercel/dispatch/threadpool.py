"""The dispatcher that does the work in a few threads of this process.

`concurrent.futures` is no base for it: its threads keep a process from exiting until the last
task is done, however long that takes, and a forked child waits for threads it does not have.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from enum import StrEnum
from typing import NamedTuple

from tiercel.contracts.dispatcher import Dispatcher, Task, TaskKind
from tiercel.dispatch.options import check_number
from tiercel.dispatch.task import (
    aperform,
    failures_logged,
    perform,
    refuse_on_event_loop,
    same_work,
)
from tiercel.engine.dispatching import around_tasks
from tiercel.errors import ConfigurationError

logger = logging.getLogger("tiercel.dispatch")


class WhenFull(StrEnum):
    """What happens to a task when the queue is full."""

    DROP_OLDEST = "drop_oldest"
    RUN_INLINE = "run_inline"
    REJECT = "reject"


class QueueFull(RuntimeError):
    """The queue of a thread pool is full, and it was told to reject tasks then."""


class _Queued(NamedTuple):
    task: Task
    context: contextvars.Context


class ThreadPoolDispatcher(Dispatcher):
    """Performs tasks in daemon threads, started when needed, behind a bounded queue.

    Of tasks that do the same work and have not started, one is kept. A task sees the context
    variables of whoever dispatched it. After a fork the child starts with an empty queue and
    threads of its own; what was queued is the parent's. At exit the pool finishes what it can
    within `shutdown_timeout` and logs what it could not.
    """

    name = "threadpool"

    def __init__(
        self,
        max_workers: int = 4,
        max_queue: int = 1000,
        when_full: str = WhenFull.DROP_OLDEST,
        shutdown_timeout: float = 5.0,
    ) -> None:
        """Check the options; no thread is started yet.

        Args:
            max_workers: Threads at most.
            max_queue: Tasks that wait at most, besides those being performed.
            when_full: `drop_oldest` gives up the task that waited longest, and says so in the
                log; never an invalidation: where nothing else waits, the newest runs inline.
                `run_inline` performs the task in the calling thread. `reject` raises.
            shutdown_timeout: Seconds that the pool may take to finish when the process exits.

        Raises:
            ConfigurationError: A value that cannot work.
        """
        check_number("max_workers", max_workers, 1)
        check_number("max_queue", max_queue, 1)
        check_number("shutdown_timeout", shutdown_timeout, 0.0)
        if when_full not in tuple(WhenFull):
            choices = ", ".join(WhenFull)
            raise ConfigurationError(f"when_full must be one of {choices}, not {when_full!r}")
        self.max_workers = max_workers
        self.max_queue = max_queue
        self.when_full = WhenFull(when_full)
        self.shutdown_timeout = shutdown_timeout
        self._start_empty()
        _pools.add(self)

    def _start_empty(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Hashable, _Queued] = OrderedDict()
        self._threads = 0
        self._busy = 0
        self._closed = False

    def dispatch(self, task: Task) -> None:
        """Queue a task; it runs inline where the rule for a full queue says so.

        Raises:
            QueueFull: The queue is full, and `when_full` is `reject`.
            RuntimeError: The pool is closed, no thread can be started, or the task would run
                inline, is asynchronous, and this thread runs an event loop.
        """
        if not self._queue(task):
            refuse_on_event_loop(task)
            perform(task)

    async def adispatch(self, task: Task) -> None:
        """Queue a task without blocking the event loop; raises as `dispatch` does."""
        if not self._queue(task):
            await aperform(task)

    def close(self, timeout: float) -> None:
        """Accept no more, finish what was accepted, and give up after `timeout` seconds.

        Invalidations come first.
        """
        with self._changed:
            self._closed = True
            self._invalidations_first()
            self._changed.notify_all()
            self._changed.wait_for(self._finished, timeout)
            abandoned = [task for task, _ in self._waiting.values()]
            self._waiting.clear()
            busy = self._busy
        for task in abandoned:
            _log_given_up(task, f"not started {timeout:.3g} s after closing")
        if busy:
            logger.warning("%d tasks are still running %.3g s after closing", busy, timeout)

    def _invalidations_first(self) -> None:
        for key, (task, _) in reversed(list(self._waiting.items())):
            if task.kind is TaskKind.INVALIDATE:
                self._waiting.move_to_end(key, last=False)

    def _finished(self) -> bool:
        return not self._waiting and not self._threads

    def _queue(self, task: Task) -> bool:
        """Queue a task, or return False if it must run inline."""
        key = same_work(task)
        with self._changed:
            if self._closed:
                raise RuntimeError("the thread pool is closed")
            if key in self._waiting:
                return True
            self._waiting[key] = _Queued(task, contextvars.copy_context())
            if len(self._waiting) > self.max_queue and not self._make_room(key):
                return False
            self._ensure_worker(key)
            self._changed.notify()
        return True

    def _make_room(self, newest: Hashable) -> bool:
        """Give up one waiting task, or take the newest back and return False."""
        if self.when_full is WhenFull.DROP_OLDEST:
            for key, (task, _) in self._waiting.items():
                if task.kind is not TaskKind.INVALIDATE:
                    del self._waiting[key]
                    _log_given_up(task, f"{self.max_queue} tasks are waiting")
                    return True
        del self._waiting[newest]
        if self.when_full is WhenFull.REJECT:
            raise QueueFull(f"{self.max_queue} tasks are waiting in the thread pool")
        return False

    def _ensure_worker(self, newest: Hashable) -> None:
        idle = self._threads - self._busy
        if idle >= len(self._waiting) or self._threads >= self.max_workers:
            return
        name = f"tiercel-threadpool-{self._threads}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:
            # The interpreter is shutting down, or the system is out of threads.
            if not self._threads:
                del self._waiting[newest]
                raise
        else:
            self._threads += 1

    def _work(self) -> None:
        # One loop per thread, so that connections bound to it serve the next task too.
        runner = asyncio.Runner()
        while self._perform_next(runner):
            pass
        runner.close()
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    def _perform_next(self, runner: asyncio.Runner) -> bool:
        """Wait for a task and perform it; return False if there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return False
            _, (task, context) = self._waiting.popitem(last=False)
            self._busy += 1
            # What an event loop does in threads fails while the interpreter shuts down.
            asynchronous = task.asynchronous and not self._closed
        with failures_logged(task, BaseException), around_tasks():
            if asynchronous:
                runner.run(task.aperform(), context=context)
            else:
                context.run(task.perform)
        with self._changed:
            self._busy -= 1
        return True


def _log_given_up(task: Task, why: str) -> None:
    logger.warning("%s of %s was given up: %s", task.kind, task.function, why)


_pools: weakref.WeakSet[ThreadPoolDispatcher] = weakref.WeakSet()


def _drain() -> None:
    deadline = time.monotonic() + max((pool.shutdown_timeout for pool in _pools), default=0.0)
    for pool in list(_pools):
        left = max(deadline - time.monotonic(), 0.0)
        pool.close(min(pool.shutdown_timeout, left))


def _forget_parent() -> None:
    for pool in list(_pools):
        pool._start_empty()


atexit.register(_drain)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
