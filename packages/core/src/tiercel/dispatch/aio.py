"""The dispatcher that does the work as tasks of the running event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Hashable

from tiercel.contracts.dispatcher import Dispatcher, Task, TaskKind
from tiercel.dispatch.task import aperform, perform, running_loop, same_work

logger = logging.getLogger("tiercel.dispatch")


class AsyncioDispatcher(Dispatcher):
    """Performs tasks on the running event loop; blocking ones in a thread of it.

    Of tasks that do the same work and have not started, one is kept. Where no event loop runs,
    a task runs inline. If a loop ends first, its invalidations are done in a thread, and what
    else it had not finished is given up, with a warning in the log.
    """

    name = "asyncio"

    def __init__(self) -> None:
        self._scheduled: dict[asyncio.Task[None], Task] = {}
        self._waiting: dict[Hashable, asyncio.Task[None]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def dispatch(self, task: Task) -> None:
        """Schedule a task on the loop that this thread runs, or perform it inline.

        Raises:
            RuntimeError: The dispatcher is closed.
        """
        loop = running_loop()
        if loop:
            self._schedule(task, loop)
            return
        logger.debug("no event loop: %s of %s runs inline", task.kind, task.function)
        perform(task)

    async def adispatch(self, task: Task) -> None:
        """Schedule a task on the running loop; raises as `dispatch` does."""
        self._schedule(task, asyncio.get_running_loop())

    def close(self, timeout: float) -> None:
        """Accept no more, and wait for tasks of loops that run in other threads."""
        own = running_loop()
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._elsewhere(own), timeout)

    async def aclose(self, timeout: float) -> None:
        """Accept no more, and wait for the tasks of the running loop."""
        self._closed = True
        loop = asyncio.get_running_loop()
        mine = [each for each in list(self._scheduled) if each.get_loop() is loop]
        if mine:
            await asyncio.wait(mine, timeout=timeout)

    def _elsewhere(self, own: asyncio.AbstractEventLoop | None) -> bool:
        loops = {each.get_loop() for each in list(self._scheduled)}
        return any(loop is not own and loop.is_running() for loop in loops)

    def _schedule(self, task: Task, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            raise RuntimeError("the asyncio dispatcher is closed")
        key = same_work(task)
        waiting = self._waiting.get(key)
        if waiting is not None and waiting.get_loop() is loop and not waiting.done():
            return
        scheduled = loop.create_task(self._perform(task, key), name=f"tiercel-{task.kind}")
        # The loop itself keeps only weak references to its tasks.
        self._scheduled[scheduled] = task
        self._waiting[key] = scheduled
        scheduled.add_done_callback(self._finished)

    async def _perform(self, task: Task, key: Hashable) -> None:
        self._no_longer_waiting(key, asyncio.current_task())
        await aperform(task)

    def _no_longer_waiting(self, key: Hashable, scheduled: asyncio.Task[None] | None) -> None:
        if self._waiting.get(key) is scheduled:
            del self._waiting[key]

    def _finished(self, scheduled: asyncio.Task[None]) -> None:
        task = self._scheduled.pop(scheduled)
        self._no_longer_waiting(same_work(task), scheduled)
        with self._changed:
            self._changed.notify_all()
        if not scheduled.cancelled():
            return
        if task.kind is TaskKind.INVALIDATE:
            threading.Thread(target=perform, args=(task,), name="tiercel-drop").start()
        else:
            logger.warning("%s of %s was cancelled with its loop", task.kind, task.function)
