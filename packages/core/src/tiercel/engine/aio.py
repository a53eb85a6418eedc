"""Carries out what the engine decides, on the running event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from tiercel.engine.dispatching import dispatching
from tiercel.engine.effects import Await, Detach, Enqueue, Gather, Launch, Listen, Run, Steps
from tiercel.engine.outage import unexpected
from tiercel.engine.state import Engine
from tiercel.engine.stopped import IN_COROUTINE, Stopped
from tiercel.errors import BackendError, BackendUnavailable

Result = TypeVar("Result")


async def run(engine: Engine, steps: Steps[Result]) -> Result:
    """Run a generator of the engine to its end and return its result."""
    send, throw = steps.send, steps.throw
    resume: Callable[[Any], Any] = send
    value: Any = None
    while True:
        try:
            effect = resume(value)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        except Stopped as stopped:  # in a thread, whose computation this task has joined
            raise RuntimeError(IN_COROUTINE) from stopped.error
        try:
            value = await _PERFORM.get(type(effect), _execute)(engine, effect)
            resume = send
        except BaseException as error:
            value, resume = error, throw


async def _execute(engine: Engine, command: Any) -> Any:
    backend, breaker = engine.backend, engine.breaker
    assert backend is not None
    if breaker.failures:
        breaker.check()
    try:
        reply = await backend.aexecute(command)
    except BackendUnavailable as error:
        engine.lost(error)
        raise
    except BackendError:
        raise
    except Exception as error:
        raise unexpected(command, error) from error
    if breaker.failures:
        engine.found()
    return reply


async def _run(engine: Engine, effect: Run) -> Any:
    result = effect.function(*effect.args, **effect.kwargs)
    return await result if inspect.isawaitable(result) else result


async def _await(engine: Engine, effect: Await) -> bool:
    return await effect.signal.await_(effect.timeout)


async def in_thread(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Call a function of the user's in a thread; raises what awaiting a coroutine may raise.

    A StopIteration would never arrive: no future can hold one, and who awaits it would wait on.
    """

    def call() -> Result:
        try:
            return function(*args, **kwargs)
        except StopIteration as error:
            raise RuntimeError(IN_COROUTINE) from error

    return await asyncio.to_thread(call)


_detached: set[asyncio.Task[Any]] = set()


def _start(engine: Engine, effect: Detach | Launch) -> asyncio.Task[Any]:
    task = asyncio.get_running_loop().create_task(run(engine, effect.steps))
    _detached.add(task)
    task.add_done_callback(partial(_end, effect))
    return task


async def _launch(engine: Engine, effect: Launch) -> None:
    _start(engine, effect).add_done_callback(_retrieve)


async def _detach(engine: Engine, effect: Detach) -> Any:
    task = _start(engine, effect)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_retrieve)
        raise


def _end(effect: Detach | Launch, task: asyncio.Task[Any]) -> None:
    _detached.discard(task)
    if inspect.getgeneratorstate(effect.steps) == inspect.GEN_CREATED:
        effect.abandoned()


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take note of how a computation ended whose caller is gone, so that asyncio does not warn."""
    if not task.cancelled():
        task.exception()


async def _gather(engine: Engine, effect: Gather) -> list[Any]:
    return await asyncio.gather(*(run(engine, steps) for steps in effect.all))


async def _enqueue(engine: Engine, effect: Enqueue) -> None:
    with dispatching(engine.observers, effect.dispatcher, effect.task):
        await effect.dispatcher.adispatch(effect.task)


async def _listen(engine: Engine, effect: Listen) -> None:
    await asyncio.to_thread(effect.open)


_PERFORM: dict[type, Callable[[Engine, Any], Coroutine[Any, Any, Any]]] = {
    Run: _run,
    Await: _await,
    Detach: _detach,
    Launch: _launch,
    Gather: _gather,
    Enqueue: _enqueue,
    Listen: _listen,
}
