"""Tasks that stay in this process, and how dispatchers perform them."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Generator, Hashable
from contextlib import contextmanager
from dataclasses import dataclass, field

from tiercel.contracts.dispatcher import Task, TaskKind
from tiercel.errors import ConfigurationError

logger = logging.getLogger("tiercel.dispatch")


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTask:
    """A task that calls a function of this process.

    Attributes:
        kind: What the task does.
        function: Qualified name of the cached function it concerns.
        run: Does the work in the calling thread.
        arun: Does the same work on the running event loop.
        asynchronous: Whether `arun` is the native way.
        dedup: Equal for tasks that do the same work; empty: never the same as another.
        id: Unique to the task.
        created: When it was made, in seconds since the Unix epoch.
    """

    kind: TaskKind
    function: str
    run: Callable[[], object]
    arun: Callable[[], Awaitable[object]]
    asynchronous: bool = False
    dedup: str = ""
    id: str = field(default_factory=_new_id)
    created: float = field(default_factory=time.time)

    def perform(self) -> None:
        """Do the work in this thread."""
        self.run()

    async def aperform(self) -> None:
        """Do the work on the running event loop."""
        await self.arun()


def same_work(task: Task) -> Hashable:
    """Return what tasks that do the same work share; unique to a task without `dedup`."""
    return (task.kind, task.function, task.dedup) if task.dedup else task.id


def perform(task: Task) -> None:
    """Do a task's work in this thread, on an event loop of its own if it is asynchronous.

    A failure is logged, not raised: a dispatcher does not give back what it has accepted.
    """
    with failures_logged(task):
        if task.asynchronous:
            asyncio.run(task.aperform())
        else:
            task.perform()


async def aperform(task: Task) -> None:
    """Do a task's work without blocking the running event loop; a failure is logged."""
    with failures_logged(task):
        if task.asynchronous:
            await task.aperform()
        else:
            await asyncio.to_thread(task.perform)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that this thread runs, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def refuse_on_event_loop(task: Task) -> None:
    """Refuse a task that could only be done here by a second event loop in this thread.

    Raises:
        RuntimeError: The task is asynchronous, and this thread runs an event loop.
    """
    if task.asynchronous and running_loop():
        raise RuntimeError(
            f"{task.kind} of {task.function} is asynchronous and this thread runs an event loop: "
            "await adispatch() instead of calling dispatch()"
        )


@contextmanager
def failures_logged(
    task: Task, failures: type[BaseException] = Exception
) -> Generator[None, None, None]:
    """Log what the body raises as the failure of a task, and go on."""
    try:
        yield
    except failures:
        logger.exception("%s of %s failed in the background", task.kind, task.function)


def check_number(name: str, value: object, least: float) -> None:
    """Refuse an option of a dispatcher that is no number or too small.

    Raises:
        ConfigurationError: Names the option, its value and the least that works.
    """
    wanted = int if isinstance(least, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or value < least:
        what = "an integer" if wanted is int else "a number"
        raise ConfigurationError(f"{name} must be {what} of at least {least:g}, not {value!r}")
