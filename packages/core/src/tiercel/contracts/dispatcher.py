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
    def cache(self) -> str: ...

    @property
    def function(self) -> str: ...

    @property
    def rule(self) -> str:
        """The rule that made it; empty if none did."""
        ...

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
        """Do the work in this thread.

        Raises:
            Exception: The work failed.
        """
        ...

    async def aperform(self) -> None:
        """Do the work on the running event loop; raises as `perform` does."""
        ...

    def carry(self, trace: Mapping[str, str], dispatcher: str, queue: str | None) -> None:
        """Take along what observers want to find where the task is performed."""
        ...

    def to_json(self) -> str:
        """Return the task as text, for `perform_message` in another process.

        Raises:
            TypeError: An argument of the call cannot be carried there; names it.
            ValueError: The text would be longer than a message may be.
        """
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """A task as a queue carries it.

    Attributes:
        text: What `perform_message` in the worker is to get: JSON, in ASCII.
        id: Unique to the task.
        kind: What the task does.
        function: The function it concerns, by name.
        dedup: See `Task.dedup`.
        delay: Seconds that the queue has to hold it back before a worker may have it.
    """

    text: str
    id: str
    kind: TaskKind
    function: str
    dedup: str = ""
    delay: float = 0.0


class Dispatcher(ABC):
    """Decides where a task runs.

    A task that was accepted is not given back: if the work fails, the dispatcher logs that with
    the name of the function. An accepted invalidation must not be given up.

    Attributes:
        name: What `dispatcher=` calls it.
        crosses_processes: Whether tasks may run in another process.
        performs_at_once: Whether a task is over when `dispatch` returns.
    """

    name: str
    crosses_processes: bool = False
    performs_at_once: bool = False

    @abstractmethod
    def dispatch(self, task: Task) -> None:
        """Accept a task: run it, or leave it where it will be run.

        Raises:
            Exception: The task was not accepted; the caller then does the work itself.
        """

    async def adispatch(self, task: Task) -> None:
        """Accept a task, called on a running event loop."""
        self.dispatch(task)

    def in_worker(self) -> bool:
        """Tell whether the calling code is run by a worker of this dispatcher.

        What would be computed in the background is computed at once there. Tasks of Tiercel are
        known without this; it is for the other tasks that such a worker runs.
        """
        return False

    def schedule(self, name: str, every: float, message: Message) -> bool:
        """Have a message performed again and again, by a scheduler that a cluster has once.

        Args:
            name: The same in every process; a schedule of this name is replaced.
            every: Seconds between two times.
            message: What to send each time.

        Returns:
            Whether there is such a scheduler. If not, Tiercel sees to it by a thread.
        """
        return False

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
        factory: Called with the checked options; connects nothing.
        spi: The SPI version it was written for.
        options: Names of the options it understands; others are errors.
        crosses_processes: Whether its dispatchers do, so that caches without a shared tier can
            refuse them before one is made.
    """

    name: str
    factory: Callable[[Mapping[str, Any]], Dispatcher]
    spi: tuple[int, int]
    options: frozenset[str] = frozenset()
    crosses_processes: bool = False
