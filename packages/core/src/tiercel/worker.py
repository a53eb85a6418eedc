"""What a worker does with a message: `perform_message`, for whichever broker carried it."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiercel.codec.origin import is_program
from tiercel.contracts.dispatcher import TaskKind
from tiercel.dispatch.arguments import unpack_call
from tiercel.dispatch.document import Document, read
from tiercel.dispatch.task import FunctionTask, refuse_on_event_loop
from tiercel.dispatch.values import Gone
from tiercel.dispatch.work import matching_task, received_task
from tiercel.engine import aio
from tiercel.engine.dispatching import around_tasks
from tiercel.errors import BadMessage, UnknownFunction
from tiercel.function import Calls, living_functions
from tiercel.invalidation import received_work
from tiercel.listing import drop_for_sure

log = logging.getLogger("tiercel.worker")


def perform_message(text: str) -> None:
    """Do the work of a message in this thread; on an event loop of its own if need be.

    Args:
        text: What a dispatcher has sent: `Message.text`.

    Raises:
        BadMessage: It is no task, or of another version of Tiercel: no retry will help.
        UnknownFunction: This process does not have the function. Another worker may, or this one
            after a deployment, so let the broker try again.
        RuntimeError: The work is asynchronous, and this thread runs an event loop.
        Exception: What the work raised; let the broker try again.
    """
    _perform(text, own_loop=True)


async def aperform_message(text: str) -> None:
    """Do what `perform_message` does, without blocking the running event loop."""
    left = await aio.in_thread(_perform, text, own_loop=False)
    if left is not None:
        with around_tasks():
            await left.aperform()


def _perform(text: str, *, own_loop: bool) -> FunctionTask | None:
    """Perform a message in this thread; return the task if it waits for an event loop instead."""
    with around_tasks():
        task = _task_of(text)
        if task is None:
            return None
        if not task.asynchronous:
            task.perform()
            return None
        if not own_loop:
            return task
        refuse_on_event_loop(task)
        asyncio.run(task.aperform())
        return None


def _task_of(text: str) -> FunctionTask | None:
    """Return the task of a message; None if there is nothing left to do."""
    document = read(text)
    try:
        if "matching" in document.payload:
            return _dropping(document)
        if document.kind is TaskKind.INVALIDATE:
            return received_work(document, find_function)
        return _filling(document)
    except UnknownFunction as error:
        log.error("%s", error)
        raise
    except Gone as error:
        log.info("%s of %s is given up: %s", document.kind, document.function, error)
        return None


def _filling(document: Document) -> FunctionTask:
    function = find_function(document.function, document.cache)

    def filling(args: Sequence[Any], kwargs: Mapping[str, Any]) -> FunctionTask:
        return received_task(document, function.subject, function.call(args, kwargs))

    return _with_arguments(document, function, filling)


def _dropping(document: Document) -> FunctionTask:
    function = find_function(document.function, document.cache)

    def dropping(args: Sequence[Any], kwargs: Mapping[str, Any]) -> FunctionTask:
        work = lambda: drop_for_sure(function, args, kwargs)  # noqa: E731
        task = matching_task(function.subject, args, kwargs, work)
        task.id, task.created = document.id, document.created
        task.carry(document.trace, document.dispatcher, document.queue)
        return task

    return _with_arguments(document, function, dropping)


def _with_arguments(
    document: Document, function: Calls[Any, Any, Any], make: Callable[..., FunctionTask]
) -> FunctionTask:
    """Return what is made of the arguments that a document carries."""
    try:
        return make(*unpack_call(function.subject.target, document.payload))
    except Gone:
        raise
    except Exception as error:
        raise BadMessage(
            f"{document.kind} of {document.function} carries arguments that the function of this "
            f"process does not take: {type(error).__name__}: {error}"
        ) from error


def find_function(name: str, cache: str) -> Calls[Any, Any, Any]:
    """Return the cached function of this name, importing its module if need be.

    A module is imported only if its top-level package is already.

    Args:
        name: `module:qualname`, or what `name=` says.
        cache: Name of the cache, should there be several functions of the name.

    Raises:
        UnknownFunction: There is none.
    """
    found = _living(name, cache)
    if found is None:
        _import(name)
        found = _living(name, cache)
    if found is None:
        raise UnknownFunction(
            f"a task is for {name} on cache {cache!r}, which this worker does not have: let it "
            "import the module, and run the same version of the code as those who send tasks"
        )
    return found


def _living(name: str, cache: str) -> Calls[Any, Any, Any] | None:
    living = [each.named_for(cache) for each in living_functions() if each.name == name]
    found = list(dict.fromkeys(living))
    if len(found) > 1:
        found = [each for each in found if each.subject.engine.name == cache]
        # What stood under the name before, say before a module was loaded again, may live still.
        newest = [each for each in found if each.subject.engine.named.get(name) is each]
        found = newest or found
    return found[0] if found else None


def _import(name: str) -> None:
    module, colon, _ = name.partition(":")
    if not colon or not all(part.isidentifier() for part in module.split(".")):
        return
    if module.partition(".")[0] not in sys.modules or is_program(module):
        return
    try:
        importlib.import_module(module)
    except Exception as error:
        log.exception("module %s of a task's function cannot be imported", module)
        raise UnknownFunction(f"a task is for {name}, whose module cannot be imported") from error
