"""Carries out what the engine decides, in this thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from tiercel.contracts.backend import Command
from tiercel.engine.effects import Await, Detach, Enqueue, Gather, Listen, Run, Steps
from tiercel.engine.outage import unexpected
from tiercel.engine.state import Engine
from tiercel.errors import BackendError, BackendUnavailable

Result = TypeVar("Result")


def run(engine: Engine, steps: Steps[Result]) -> Result:
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
        try:
            if isinstance(effect, Command):
                value = _execute(engine, effect)
            else:
                value = _PERFORM[type(effect)](engine, effect)
            resume = send
        except BaseException as error:
            value, resume = error, throw


def _execute(engine: Engine, command: Command[Any]) -> Any:
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


def _gather(engine: Engine, effect: Gather) -> list[Any]:
    return [run(engine, steps) for steps in effect.all]


def _enqueue(engine: Engine, effect: Enqueue) -> None:
    effect.dispatcher.dispatch(effect.task)


def _listen(engine: Engine, effect: Listen) -> None:
    effect.open()


_PERFORM: dict[type, Callable[[Engine, Any], Any]] = {
    Run: _run,
    Await: _await,
    Detach: _detach,
    Gather: _gather,
    Enqueue: _enqueue,
    Listen: _listen,
}
