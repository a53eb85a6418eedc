"""The contract of observers: plugins that are told what a cache does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiercel.events import Event, MemoryHit, Operation


class Observer:
    """Receives events; every method does nothing unless overridden.

    Methods that are not overridden cost nothing: they are left out when plugins are frozen.
    Exceptions are logged once per observer and never reach the caller of a cached function.
    """

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


@dataclass(frozen=True, slots=True)
class ObserverSpec:
    """What a plugin returns from `tiercel_observers`."""

    name: str
    factory: Callable[[], Observer]
    spi: tuple[int, int]
