"""Handing tasks to dispatchers such that no invalidation is lost and no caller is harmed."""

from __future__ import annotations

import logging
import threading

from tiercel.contracts.dispatcher import Dispatcher, TaskKind
from tiercel.dispatch.task import FunctionTask, aperform, perform, perform_aside, running_loop
from tiercel.engine.dispatching import dispatching

logger = logging.getLogger("tiercel.dispatch")


def hand_over(dispatcher: Dispatcher, task: FunctionTask) -> None:
    """Have a task performed; never raises.

    If the dispatcher does not accept it, an invalidation is performed here and now, and anything
    else is given up; either is logged.
    """
    try:
        with dispatching(task.observers, dispatcher, task):
            dispatcher.dispatch(task)
    except Exception as error:
        if _must_be_done(dispatcher, task, error):
            _perform_here(task)


async def ahand_over(dispatcher: Dispatcher, task: FunctionTask) -> None:
    """Do what `hand_over` does, without blocking the running event loop."""
    try:
        with dispatching(task.observers, dispatcher, task):
            await dispatcher.adispatch(task)
    except Exception as error:
        if _must_be_done(dispatcher, task, error):
            await aperform(task)


def _must_be_done(dispatcher: Dispatcher, task: FunctionTask, error: Exception) -> bool:
    must = task.kind is TaskKind.INVALIDATE
    logger.warning(
        "%s of %s was not accepted by dispatcher %r and %s: %s: %s",
        task.kind,
        task.function,
        dispatcher.name,
        "is done at once" if must else "is given up",
        type(error).__name__,
        error,
    )
    return must


def _perform_here(task: FunctionTask) -> None:
    """Perform a task in this thread, or beside it if it needs an event loop of its own."""
    if not task.asynchronous or running_loop() is None:
        perform(task)
        return
    thread = threading.Thread(target=perform_aside, args=(task,), name="tiercel-drop")
    thread.start()
    thread.join()
