"""Threads of a kit, which end as those of an application should."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from tiercel.engine.dispatching import around_tasks

P = ParamSpec("P")
R = TypeVar("R")


class Threads(ThreadPoolExecutor):
    """Threads whose calls are inside the integrations, as tasks are.

    A framework may keep something per thread, such as a connection to a database. These threads
    end soon, and nobody else would close it.
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        return super().submit(_inside, partial(fn, *args, **kwargs))


def _inside(function: Callable[[], R]) -> R:
    with around_tasks():
        return function()
