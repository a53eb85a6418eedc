"""Tasks, and how dispatchers of this process perform them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Generator, Hashable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from tiercel.contracts.dispatcher import Task, TaskKind
from tiercel.dispatch.document import Document, write
from tiercel.engine.dispatching import CURRENT_TASK, around_tasks, observing
from tiercel.events import OperationKind
from tiercel.plugins import Observers
from tiercel.plugins.observing import NOBODY
from tiercel.scope import request_scope

logger = logging.getLogger("tiercel.dispatch")

_NO_TRACE: Mapping[str, str] = {}


def _new_id() -> str:
    return os.urandom(16).hex()


@dataclass(slots=True, kw_only=True, eq=False)
class FunctionTask:
    """A task for a cached function of this process.

    Attributes:
        kind: What the task does.
        function: Name of the cached function it concerns.
        run: Does the work in the calling thread.
        arun: Does the same work on the running event loop.
        asynchronous: Whether `arun` is the native way.
        dedup: Equal for tasks that do the same work; empty: never the same as another.
        cache: Name of the function's cache.
        rule: Name of the rule that made it; empty if none did.
        payload: Returns what another process needs to do the work, for JSON, with values as
            `dispatch.values.pack` makes them. None: it cannot be done in another process.
        observers: Who is told that it is performed.
        trace: What observers gave along when it was dispatched.
        dispatcher: Name of the dispatcher that carries it.
        queue: The queue that it goes through.
        id: Unique to the task.
        created: When it was made, in seconds since the Unix epoch.
    """

    kind: TaskKind
    function: str
    run: Callable[[], object]
    arun: Callable[[], Awaitable[object]]
    asynchronous: bool = False
    dedup: str = ""
    cache: str = ""
    rule: str = ""
    payload: Callable[[], dict[str, Any]] | None = None
    observers: Observers = NOBODY
    trace: Mapping[str, str] = field(default_factory=lambda: _NO_TRACE)
    dispatcher: str = ""
    queue: str | None = None
    id: str = field(default_factory=_new_id)
    created: float = field(default_factory=time.time)

    def perform(self) -> None:
        """Do the work in this thread, in a scope of its own for request-cached functions."""
        outer = CURRENT_TASK.set(self)
        try:
            with request_scope(), _observed(self) if self.observers.follow_tasks else nullcontext():
                self.run()
        finally:
            CURRENT_TASK.reset(outer)

    async def aperform(self) -> None:
        """Do the work on the running event loop."""
        outer = CURRENT_TASK.set(self)
        try:
            with request_scope(), _observed(self) if self.observers.follow_tasks else nullcontext():
                await self.arun()
        finally:
            CURRENT_TASK.reset(outer)

    def carry(self, trace: Mapping[str, str], dispatcher: str, queue: str | None) -> None:
        """Take along what observers want to find where the task is performed."""
        self.trace, self.dispatcher, self.queue = trace, dispatcher, queue

    def to_json(self) -> str:
        """Return the task as text; raises as `Task.to_json` does."""
        if self.payload is None:
            raise TypeError(f"{self.kind} of {self.function} can be done in this process only")
        return write(
            Document(
                id=self.id,
                kind=self.kind,
                function=self.function,
                cache=self.cache,
                rule=self.rule,
                payload=self.payload(),
                dedup=self.dedup,
                created=self.created,
                trace=dict(self.trace),
                dispatcher=self.dispatcher,
                queue=self.queue,
            )
        )


def current_task() -> FunctionTask | None:
    """Return the task that this code is run by, or None."""
    task: FunctionTask | None = CURRENT_TASK.get()
    return task


@contextmanager
def _observed(task: FunctionTask) -> Generator[None, None, None]:
    watching = task.observers
    with (
        watching.attached(task.trace),
        observing(watching, OperationKind.TASK, task, task.dispatcher, task.queue),
    ):
        yield


def same_work(task: Task) -> Hashable:
    """Return what tasks that do the same work share; unique to a task without `dedup`."""
    return (task.kind, task.function, task.dedup) if task.dedup else task.id


def perform(task: Task) -> None:
    """Do a task's work in the caller's thread, on a loop of its own if it is asynchronous.

    A failure is logged, not raised: a dispatcher does not give back what it has accepted.
    """
    with failures_logged(task):
        if task.asynchronous:
            asyncio.run(task.aperform())
        else:
            task.perform()


def perform_aside(task: Task) -> None:
    """Do what `perform` does, in another thread than the caller's."""
    with failures_logged(task), around_tasks():
        perform(task)


async def aperform(task: Task) -> None:
    """Do a task's work without blocking the running event loop; a failure is logged."""
    if task.asynchronous:
        with failures_logged(task):
            await task.aperform()
    else:
        await asyncio.to_thread(perform_aside, task)


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
