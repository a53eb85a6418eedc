"""Observers after plugins are frozen: one tuple of bound methods per event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tiercel.contracts.observer import Observer
from tiercel.events import Event, MemoryHit, Operation

logger = logging.getLogger("tiercel.plugins")

OnStart = Callable[[Operation], Any]
OnEnd = Callable[[Operation, Any], None]


class Observers:
    """Tells all observers; what they raise is logged once for each and goes no further.

    It is false when nobody listens, so that callers need not even build an event.

    Attributes:
        on_memory_hit: The bound methods that want memory hits.
        on_start_end: Pairs of bound methods that want operations.
        on_event: The bound methods that want events.
    """

    __slots__ = ("_failed", "_subjects", "on_event", "on_memory_hit", "on_start_end")

    def __init__(self, observers: Mapping[str, Observer]) -> None:
        """Collect the methods that observers override.

        Args:
            observers: Each by the subject under which its failures are logged.
        """
        watching = observers.values()
        self.on_memory_hit: tuple[Callable[[MemoryHit], None], ...] = tuple(
            o.on_memory_hit for o in watching if _overrides(o, "on_memory_hit")
        )
        self.on_start_end: tuple[tuple[OnStart, OnEnd], ...] = tuple(
            (o.on_start, o.on_end)
            for o in watching
            if _overrides(o, "on_start") or _overrides(o, "on_end")
        )
        self.on_event: tuple[Callable[[Event], None], ...] = tuple(
            o.on_event for o in watching if _overrides(o, "on_event")
        )
        self._subjects = {id(observer): subject for subject, observer in observers.items()}
        self._failed: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.on_memory_hit or self.on_start_end or self.on_event)

    def memory_hit(self, hit: MemoryHit) -> None:
        """Tell of a value served from memory."""
        for method in self.on_memory_hit:
            self._tell(method, hit)

    def start(self, operation: Operation) -> tuple[Any, ...]:
        """Tell of an operation that begins; give what this returns to `end`."""
        return tuple([self._tell(on_start, operation) for on_start, _ in self.on_start_end])

    def end(self, operation: Operation, started: tuple[Any, ...]) -> None:
        """Tell of the end of an operation: the last observer first, none whose start failed."""
        pairs = zip(self.on_start_end, started, strict=True)
        for (_, on_end), value in reversed(tuple(pairs)):
            if value is not _FAILED:
                self._tell(on_end, operation, value)

    def event(self, event: Event) -> None:
        """Tell of something without a duration."""
        for method in self.on_event:
            self._tell(method, event)

    def _tell(self, method: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except Exception:
            observer = getattr(method, "__self__", method)
            subject = self._subjects.get(id(observer), repr(observer))
            if subject not in self._failed:
                self._failed.add(subject)
                logger.exception("%s failed; its failures are not logged again", subject)
            return _FAILED


_FAILED = object()


def _overrides(observer: Observer, name: str) -> bool:
    method = getattr(observer, name)
    return getattr(method, "__func__", method) is not getattr(Observer, name)


NOBODY = Observers({})
