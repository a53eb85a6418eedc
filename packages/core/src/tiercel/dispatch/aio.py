"""The dispatcher that does the work as tasks of an event loop that runs already."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Hashable

from tiercel.contracts.dispatcher import Dispatcher, Task, TaskKind
from tiercel.dispatch.task import aperform, perform, perform_aside, running_loop, same_work
from tiercel.plugins import default_registry

logger = logging.getLogger("tiercel.dispatch")

Loop = asyncio.AbstractEventLoop


class AsyncioDispatcher(Dispatcher):
    """Performs tasks on a running event loop; blocking ones in a thread of it.

    That is the loop that the caller's thread runs, or else the one that waits for this thread, as
    an integration knows it: Django calls signal handlers of `asave()` in such threads. Where there
    is neither, a task runs inline.

    Of tasks that do the same work and have not started, one is kept. If a loop ends first, its
    invalidations are done in a thread, and what else it had not finished is given up, with a
    warning in the log.
    """

    name = "asyncio"

    def __init__(self) -> None:
        self._scheduled: dict[asyncio.Task[None], Task] = {}
        self._waiting: dict[Hashable, asyncio.Task[None]] = {}
        self._crossing: dict[str, tuple[Task, Loop]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def dispatch(self, task: Task) -> None:
        """Schedule a task on an event loop, or perform it inline.

        Raises:
            RuntimeError: The dispatcher is closed.
        """
        self._refuse_if_closed()
        own = running_loop()
        if own is not None:
            self._schedule(task, own)
            return
        waiting = _waiting_loop()
        if waiting is None or not self._cross(task, waiting):
            logger.debug("no event loop: %s of %s runs inline", task.kind, task.function)
            perform(task)

    async def adispatch(self, task: Task) -> None:
        """Schedule a task on the running loop; raises as `dispatch` does."""
        self._refuse_if_closed()
        self._schedule(task, asyncio.get_running_loop())

    def close(self, timeout: float) -> None:
        """Accept no more, and wait for tasks of loops that run in other threads."""
        own = running_loop()
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._elsewhere(own), timeout)
        self._rescue()

    async def aclose(self, timeout: float) -> None:
        """Accept no more, and wait for the tasks of the running loop."""
        self._closed = True
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # what other threads have handed over arrives first
        mine = [each for each in list(self._scheduled) if each.get_loop() is loop]
        if mine:
            await asyncio.wait(mine, timeout=timeout)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the asyncio dispatcher is closed")

    def _elsewhere(self, own: Loop | None) -> bool:
        loops = {each.get_loop() for each in list(self._scheduled)}
        loops |= {loop for _, loop in list(self._crossing.values())}
        return any(loop is not own and loop.is_running() for loop in loops)

    def _cross(self, task: Task, loop: Loop) -> bool:
        """Hand a task to the loop of another thread; False if that has ended."""
        self._crossing[task.id] = task, loop
        try:
            loop.call_soon_threadsafe(self._arrive, task, loop, context=contextvars.copy_context())
        except RuntimeError:
            del self._crossing[task.id]
            return False
        return True

    def _arrive(self, task: Task, loop: Loop) -> None:
        if self._crossing.pop(task.id, None) is not None:
            self._schedule(task, loop)

    def _rescue(self) -> None:
        """Do the invalidations that were handed to loops which ended before they arrived."""
        for task, loop in list(self._crossing.values()):
            if not loop.is_running() and self._crossing.pop(task.id, None) is not None:
                _see_to(task)

    def _schedule(self, task: Task, loop: Loop) -> None:
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
        if scheduled.cancelled():
            _see_to(task)


def _see_to(task: Task) -> None:
    """Do what cannot be given up of a loop that has ended."""
    if task.kind is TaskKind.INVALIDATE:
        threading.Thread(target=perform_aside, args=(task,), name="tiercel-drop").start()
    else:
        logger.warning("%s of %s was cancelled with its loop", task.kind, task.function)


def _waiting_loop() -> Loop | None:
    """Return the event loop that waits for this thread, as far as an integration knows."""
    for integration in default_registry().integrations.values():
        loop = integration.running_loop()
        if loop is not None and loop.is_running():
            return loop
    return None
