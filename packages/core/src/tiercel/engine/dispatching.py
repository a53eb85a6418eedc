"""What observers are told of a task: that a dispatcher gets it, and that it is performed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final

from tiercel.contracts.dispatcher import Dispatcher, Task
from tiercel.contracts.integration import Integration
from tiercel.events import Operation, OperationKind
from tiercel.plugins import default_registry
from tiercel.plugins.observing import Observers

CURRENT_TASK: Final[ContextVar[Any]] = ContextVar("tiercel_task", default=None)
"""The task that this code is run by, or None."""


def around_tasks() -> AbstractContextManager[object]:
    """Return what is done in what another thread than the caller's does.

    Integrations open and close there what a framework keeps per thread, such as connections.
    """
    stack = ExitStack()
    try:
        for integration in default_registry().integrations.values():
            if type(integration).around_task is not Integration.around_task:
                stack.enter_context(integration.around_task())
    except BaseException:
        stack.close()
        raise
    return stack


def dispatching(
    observers: Observers, dispatcher: Dispatcher, task: Task
) -> AbstractContextManager[None]:
    """Return what a task is dispatched in: an operation, whose trace context the task carries."""
    return _dispatching(observers, dispatcher, task) if observers.follow_tasks else _UNOBSERVED


_UNOBSERVED = nullcontext()


@contextmanager
def _dispatching(observers: Observers, dispatcher: Dispatcher, task: Task) -> Iterator[None]:
    named = getattr(dispatcher, "queue", None)
    queue = named if isinstance(named, str) else None
    with observing(observers, OperationKind.DISPATCH, task, dispatcher.name, queue):
        task.carry(observers.carry(), dispatcher.name, queue)
        yield


@contextmanager
def observing(
    observers: Observers, kind: OperationKind, task: Task, dispatcher: str, queue: str | None
) -> Iterator[None]:
    """Tell observers of an operation on a task."""
    about = {"dispatcher": dispatcher, "id": task.id, "kind": str(task.kind)}
    about |= {"rule": task.rule} if task.rule else {}
    about |= {"queue": queue} if queue else {}
    operation = Operation(kind, task.cache, task.function, attributes=dict(about))
    started = observers.start(operation)
    try:
        yield
    except BaseException as error:
        operation.error = error
        raise
    finally:
        observers.end(operation, started)
