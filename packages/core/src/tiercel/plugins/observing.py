"""Observers after plugins are frozen: one tuple of bound methods per event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

from tiercel.contracts.observer import Observer
from tiercel.events import Event, MemoryHit, Operation

logger = logging.getLogger("tiercel.plugins")

OnStart = Callable[[Operation], Any]
OnEnd = Callable[[Operation, Any], None]
OnAttach = Callable[[Mapping[str, str]], AbstractContextManager[object]]

Started: TypeAlias = "tuple[OnEnd, Any, Started] | None"
"""Who is to be told of the end of an operation, and with what; then who else."""


class Observers:
    """Tells all observers; what they raise is logged once for each and goes no further.

    It is false when nobody listens, so that callers need not even build an event.

    Attributes:
        on_memory_hit: The bound methods that want memory hits.
        on_start_end: Pairs of bound methods that want operations.
        on_event: The bound methods that want events.
        on_carry: The bound methods that give tasks something along.
        on_attach: The bound methods that want it back where they are performed.
        follow_tasks: Whether anybody wants to know of tasks.
    """

    __slots__ = (
        "_all",
        "_failed",
        "_subjects",
        "follow_tasks",
        "on_attach",
        "on_carry",
        "on_event",
        "on_memory_hit",
        "on_start_end",
    )

    def __init__(self, observers: Mapping[str, Observer]) -> None:
        """Collect the methods that observers override.

        Args:
            observers: Each by the subject under which its failures are logged.
        """
        self._all = tuple(observers.values())
        self._subjects = {id(observer): subject for subject, observer in observers.items()}
        self._failed: set[str] = set()
        self.renew()

    def renew(self) -> None:
        """Ask every observer again whether it listens."""
        watching = [o for o in self._all if self._tell(o.listens) is True]
        hit_watching = [o for o in watching if self._tell(o.wants_memory_hits) is True]
        self.on_memory_hit: tuple[Callable[[MemoryHit], None], ...] = tuple(
            o.on_memory_hit for o in hit_watching if _overrides(o, "on_memory_hit")
        )
        self.on_start_end: tuple[tuple[OnStart, OnEnd], ...] = tuple(
            (o.on_start, o.on_end)
            for o in watching
            if _overrides(o, "on_start") or _overrides(o, "on_end")
        )
        self.on_event: tuple[Callable[[Event], None], ...] = tuple(
            o.on_event for o in watching if _overrides(o, "on_event")
        )
        self.on_carry: tuple[Callable[[], Mapping[str, str]], ...] = tuple(
            o.carry for o in watching if _overrides(o, "carry")
        )
        self.on_attach: tuple[OnAttach, ...] = tuple(
            o.attach for o in watching if _overrides(o, "attach")
        )
        self.follow_tasks = bool(self.on_start_end or self.on_carry or self.on_attach)

    def with_observer(self, subject: str, observer: Observer) -> Observers:
        """Return the same observers and one more, named `subject` where its failures are logged."""
        known = {self._subjects[id(each)]: each for each in self._all}
        return Observers({**known, subject: observer})

    @property
    def exist(self) -> bool:
        """Whether there is anybody who might listen one day."""
        return bool(self._all)

    def __bool__(self) -> bool:
        return bool(self.on_memory_hit or self.on_start_end or self.on_event)

    # What happens at each hit does without `_tell`: there, a call more is felt.

    def memory_hit(self, hit: MemoryHit) -> None:
        """Tell of a value served from memory."""
        for method in self.on_memory_hit:
            try:
                method(hit)
            except Exception:
                self._note_failure(method)

    def start(self, operation: Operation) -> Started:
        """Tell of an operation that begins; give what this returns to `end`."""
        started: Started = None
        for on_start, on_end in self.on_start_end:
            try:
                started = on_end, on_start(operation), started
            except Exception:
                self._note_failure(on_start)
        return started

    def end(self, operation: Operation, started: Started) -> None:
        """Tell of the end of an operation: the last observer first, none whose start failed."""
        while started is not None:
            on_end, value, started = started
            try:
                on_end(operation, value)
            except Exception:
                self._note_failure(on_end)

    def event(self, event: Event) -> None:
        """Tell of something without a duration."""
        for method in self.on_event:
            self._tell(method, event)

    def carry(self) -> dict[str, str]:
        """Return what a task is to take along to where it is performed."""
        carried: dict[str, str] = {}
        for method in self.on_carry:
            given = self._tell(method)
            if given is not _FAILED:
                carried |= {str(name): str(value) for name, value in dict(given or ()).items()}
        return carried

    @contextmanager
    def attached(self, carried: Mapping[str, str]) -> Iterator[None]:
        """Perform a task in what observers make of what it has taken along."""
        entered = []
        for method in self.on_attach:
            context = self._tell(method, carried)
            if context is not _FAILED and self._tell(context.__enter__, of=method) is not _FAILED:
                entered.append((method, context))
        try:
            yield
        finally:
            for method, context in reversed(entered):
                # What the task raises is no business of a context that belongs to an observer.
                self._tell(context.__exit__, None, None, None, of=method)

    def _tell(
        self, method: Callable[..., Any], *arguments: Any, of: Callable[..., Any] | None = None
    ) -> Any:
        try:
            return method(*arguments)
        except Exception:
            self._note_failure(of or method)
            return _FAILED

    def _note_failure(self, method: Callable[..., Any]) -> None:
        """Log what a method of an observer raises, which is being handled."""
        observer = getattr(method, "__self__", method)
        subject = self._subjects.get(id(observer), repr(observer))
        if subject not in self._failed:
            self._failed.add(subject)
            logger.exception("%s failed; its failures are not logged again", subject)


_FAILED = object()


def _overrides(observer: Observer, name: str) -> bool:
    method = getattr(observer, name)
    return getattr(method, "__func__", method) is not getattr(Observer, name)


NOBODY = Observers({})
