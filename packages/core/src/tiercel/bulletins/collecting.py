"""The observer that gathers what a process tells; it listens only while somebody watches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tiercel.bulletins.bulletin import MOST_EVENTS, Happening
from tiercel.contracts.observer import Observer
from tiercel.events import Event, Operation


class Collector(Observer):
    """Keeps the last events, and counts those that it could not keep."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin without events.

        Args:
            now: Returns seconds since the Unix epoch.
        """
        self._now = now
        self._lock = threading.Lock()
        self._events: deque[Happening] = deque(maxlen=MOST_EVENTS)
        self._lost = 0

    def on_start(self, operation: Operation) -> float:
        return time.perf_counter()

    def on_end(self, operation: Operation, started: Any) -> None:
        about = operation.attributes or {}
        self._keep(
            Happening(
                at=self._now(),
                kind=operation.kind,
                cache=operation.cache,
                function=operation.function,
                key=operation.key or " ".join(about.get("scopes", ())),
                status=operation.status,
                cause=operation.cause,
                seconds=time.perf_counter() - started,
                size=operation.size,
                age=operation.age,
                error=_name_of(operation.error),
                rule=str(about.get("rule", "")),
                source=str(about.get("source", "")),
                trace_id=operation.dropped_by.trace_id.hex() if operation.dropped_by else "",
            )
        )

    def on_event(self, event: Event) -> None:
        self._keep(
            Happening(
                at=self._now(),
                kind=event.kind,
                cache=event.cache,
                function=event.function,
                key=event.key,
                error=_name_of(event.error),
                count=event.count,
            )
        )

    def take(self) -> tuple[list[Happening], int]:
        """Return what was gathered since the last time, and how many events were lost."""
        with self._lock:
            events, lost = list(self._events), self._lost
            self._events.clear()
            self._lost = 0
        return events, lost

    def _keep(self, happening: Happening) -> None:
        with self._lock:
            self._lost += len(self._events) == MOST_EVENTS
            self._events.append(happening)


def _name_of(error: BaseException | None) -> str:
    """Return the type of an error; its text may hold what nobody else should read."""
    return "" if error is None else type(error).__name__
