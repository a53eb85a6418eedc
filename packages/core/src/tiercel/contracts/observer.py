"""The contract of observers: plugins that are told what a cache does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiercel.events import Event, MemoryHit, Operation


class Observer:
    """Receives events; every method does nothing unless overridden.

    Methods that are not overridden cost nothing: they are left out when plugins are frozen.
    Exceptions are logged once per observer and never reach the caller of a cached function.
    """

    def listens(self) -> bool:
        """Return whether there is anybody to tell now.

        Asked when a cache is made, at the first call of each of its functions, and by
        `observe_anew`. As long as no observer listens, caches do without all that is for them.
        """
        return True

    def wants_memory_hits(self) -> bool:
        """Return whether `on_memory_hit` is to be called; asked when `listens` is."""
        return True

    def on_memory_hit(self, hit: MemoryHit) -> None:
        """A value was served from the memory tier. Must be fast: it runs on every hit."""

    def on_start(self, operation: Operation) -> Any:
        """An operation that takes time begins, in the context of whoever caused it.

        Returns:
            Anything; it is handed to `on_end` of the same operation.
        """

    def on_end(self, operation: Operation, started: Any) -> None:
        """The operation has ended; its outcome stands in its attributes."""

    def on_event(self, event: Event) -> None:
        """Something without a duration has happened."""

    def carry(self) -> Mapping[str, str]:
        """Return what `attach` needs where a task is performed that is being dispatched here.

        Called in the operation DISPATCH. Names should begin with the observer's own, or be those
        of a standard such as `traceparent`: what all observers return travels in one mapping.

        Called in the operation DROP, too: a `traceparent` (W3C Trace Context) is kept with what
        is dropped, so that a miss can tell which trace caused it.
        """
        return {}

    def attach(self, carried: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return what a task is performed in, on whichever thread or in whichever process.

        The operation TASK is inside.

        Args:
            carried: What the observers of the process returned that dispatched the task.
        """
        return nullcontext()


@dataclass(frozen=True, slots=True)
class ObserverSpec:
    """What a plugin returns from `tiercel_observers`."""

    name: str
    factory: Callable[[], Observer]
    spi: tuple[int, int]
