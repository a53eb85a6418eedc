"""The contract of dispatchers: plugins that decide where a task runs."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class TaskKind(StrEnum):
    """What a task does."""

    INVALIDATE = "invalidate"
    REFRESH = "refresh"
    WARM = "warm"


class Task(Protocol):
    """A unit of work: what to do, for which function, for which call."""

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> TaskKind: ...

    @property
    def function(self) -> str: ...

    @property
    def asynchronous(self) -> bool:
        """Whether the work is native to an event loop."""
        ...

    @property
    def dedup(self) -> str:
        """Says which tasks do the same work.

        Of several tasks with equal kind, function and `dedup` that have not started, one is
        enough. Empty: never the same as another.
        """
        ...

    def perform(self) -> None:
        """Do the work in this thread."""
        ...

    async def aperform(self) -> None:
        """Do the work on the running event loop."""
        ...


class Dispatcher(ABC):
    """Decides where a task runs.

    A task that was accepted is not given back: if the work fails, the dispatcher logs that with
    the name of the function. An accepted invalidation must not be given up.

    Attributes:
        name: What `dispatcher=` calls it.
        crosses_processes: Whether tasks may run in another process.
    """

    name: str
    crosses_processes: bool = False

    @abstractmethod
    def dispatch(self, task: Task) -> None:
        """Accept a task: run it, or leave it where it will be run.

        Raises:
            Exception: The task was not accepted; the caller then does the work itself.
        """

    async def adispatch(self, task: Task) -> None:
        """Accept a task, called on a running event loop."""
        self.dispatch(task)

    def close(self, timeout: float) -> None:
        """Finish what was accepted, for at most `timeout` seconds; accept nothing more."""

    async def aclose(self, timeout: float) -> None:
        """Do what `close` does, without blocking the running event loop."""
        await asyncio.to_thread(self.close, timeout)


@dataclass(frozen=True, slots=True)
class DispatcherSpec:
    """What a plugin returns from `tiercel_dispatchers`.

    Attributes:
        name: What `dispatcher=` calls it.
        factory: Called with the checked options.
        spi: The SPI version it was written for.
        options: Names of the options it understands; others are errors.
    """

    name: str
    factory: Callable[[Mapping[str, Any]], Dispatcher]
    spi: tuple[int, int]
    options: frozenset[str] = frozenset()
