"""`open_scopes`: what is request-cached lives as long as one task of the application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.signals import task_postrun, task_prerun

from tiercel import request_cached, request_scope
from tiercel.spi import current_scope
from tiercel_celery import open_scopes

asked: list[int] = []


@request_cached
def number(item: int) -> int:
    """Count the computations."""
    asked.append(item)
    return len(asked)


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app whose tasks run in this thread, as a worker's do in its."""
    asked.clear()
    receivers = {signal: list(signal.receivers or ()) for signal in (task_prerun, task_postrun)}
    open_scopes()
    open_scopes()
    yield Celery("scopes", broker="memory://", set_as_current=False)
    for signal, former in receivers.items():
        signal.receivers = former


def task_of(app: Celery, function: Any, **options: Any) -> Any:
    """Return a function as a task of the app."""
    return app.task(name=f"scopes.{function.__name__}", **options)(function)


def test_task_when_it_asks_twice_computes_once_and_the_next_one_anew(app: Celery) -> None:
    """Each task has a scope of its own, and leaves none behind."""

    def report() -> list[int]:
        return [number(1), number(1)]

    task = task_of(app, report)
    assert [task.apply().get() for _ in range(2)] == [[1, 1], [2, 2]]
    assert current_scope() is None


def test_task_when_it_fails_leaves_no_scope(app: Celery) -> None:
    """The scope is closed also after an error."""
    scopes = []

    def fail() -> None:
        scopes.append(current_scope())
        raise LookupError("on purpose")

    assert task_of(app, fail).apply().failed()
    assert current_scope() is None
    assert scopes[0] is not None
    assert scopes[0].closed


def test_task_when_run_within_a_request_does_not_share_its_scope(app: Celery) -> None:
    """A task that runs eagerly finds none of what the request has cached, and gives it back."""

    def inner() -> int:
        return number(1)

    task = task_of(app, inner)
    with request_scope("GET"):
        assert number(1) == 1
        assert task.apply().get() == 2
        assert number(1) == 1
