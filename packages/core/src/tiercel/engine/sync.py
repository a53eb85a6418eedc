"""Carries out what the engine decides, in this thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tiercel.engine.dispatching import around_tasks, dispatching
from tiercel.engine.effects import Await, Detach, Enqueue, Gather, Launch, Listen, Run, Steps
from tiercel.engine.outage import unexpected
from tiercel.engine.state import Engine
from tiercel.engine.stopped import Stopped, throwable
from tiercel.errors import BackendError, BackendUnavailable

Result = TypeVar("Result")


def run(engine: Engine, steps: Steps[Result]) -> Result:
    """Run a generator of the engine to its end and return its result."""
    send = steps.send
    try:
        effect = send(None)
        while True:
            try:
                value = _PERFORM.get(type(effect), _execute)(engine, effect)
            except BaseException as error:
                effect = steps.throw(throwable(error))
            else:
                effect = send(value)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    except Stopped as stopped:
        ended = stopped.error
    # Raised out here it has no context that it would not have had without a cache.
    try:
        raise ended
    finally:
        del ended  # which its own traceback would keep


def run_aside(engine: Engine, steps: Steps[Result]) -> Result:
    """Do what `run` does, in another thread than the caller's."""
    with around_tasks():
        return run(engine, steps)


def _execute(engine: Engine, command: Any) -> Any:
    backend, breaker = engine.backend, engine.breaker
    assert backend is not None
    if breaker.failures:
        breaker.check()
    try:
        reply = backend.execute(command)
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


def _run(engine: Engine, effect: Run) -> Any:
    result = effect.function(*effect.args, **effect.kwargs)
    return asyncio.run(result) if effect.asynchronous else result


def _await(engine: Engine, effect: Await) -> bool:
    return effect.signal.wait(effect.timeout)


def _detach(engine: Engine, effect: Detach) -> Any:
    return run(engine, effect.steps)


def _launch(engine: Engine, effect: Launch) -> None:
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(_run_aside, engine, effect), name="tiercel-compute", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # the interpreter is shutting down, or the system is out of threads
        run(engine, effect.steps)


def _run_aside(engine: Engine, effect: Launch) -> None:
    try:
        run_aside(engine, effect.steps)
    finally:
        if inspect.getgeneratorstate(effect.steps) == inspect.GEN_CREATED:
            effect.abandoned()


def _gather(engine: Engine, effect: Gather) -> list[Any]:
    return [run(engine, steps) for steps in effect.all]


def _enqueue(engine: Engine, effect: Enqueue) -> None:
    with dispatching(engine.observers, effect.dispatcher, effect.task):
        effect.dispatcher.dispatch(effect.task)


def _listen(engine: Engine, effect: Listen) -> None:
    effect.open()


_PERFORM: dict[type, Callable[[Engine, Any], Any]] = {
    Run: _run,
    Await: _await,
    Detach: _detach,
    Launch: _launch,
    Gather: _gather,
    Enqueue: _enqueue,
    Listen: _listen,
}
