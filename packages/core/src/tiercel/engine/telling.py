"""What the engine tells observers of one cached function, and what it notes of its drops."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from tiercel.contracts.backend import Scope
from tiercel.engine.stopped import original
from tiercel.events import Cause, MemoryHit, Operation, OperationKind, Provenance
from tiercel.plugins.observing import Started

if TYPE_CHECKING:
    from tiercel.engine.state import Call, Engine

REMEMBERED: Final = 1024
"""Drops of which a cache without a shared tier remembers who made them, and refused fills of which
a function does, at most."""


class Watched(Struct, gc=False):
    """An operation that observers were told of, with what they want back at its end."""

    operation: Operation
    started: Started


class Telling:
    """The part of a subject that tells observers.

    Attributes:
        watched: Whether anybody listens.
        memory_hit: What is told of each hit in memory; None where nobody wants to know.
        refusals: Texts of keys whose last fill was refused.
        template: What its keys are made of, where that is known.
    """

    engine: Engine
    name: str
    watched: bool
    memory_hit: MemoryHit | None
    refusals: set[str]
    template = ""

    def observe(self) -> None:
        """Ask the observers whether they listen."""
        observers = self.engine.observers
        observers.renew()
        self.watched = bool(observers)
        wanted = bool(observers.on_memory_hit)
        self.memory_hit = MemoryHit(self.engine.name, self.name) if wanted else None

    def start(
        self,
        kind: OperationKind,
        call: Call | None = None,
        about: Mapping[str, Any] | None = None,
        cause: Cause | None = None,
    ) -> Watched | None:
        """Tell the observers that an operation begins; None where nobody listens."""
        if not self.watched:
            return None
        key, dropped_by = ("", None) if call is None else (call.key.text, call.dropped_by)
        operation = Operation(
            kind,
            self.engine.name,
            self.name,
            key,
            self.template,
            cause=cause,
            dropped_by=None if cause is None else dropped_by,
            attributes=dict(about) if about else None,
        )
        return Watched(operation, self.engine.observers.start(operation))

    def start_drop(self, scopes: Sequence[Scope], about: Mapping[str, Any]) -> Watched | None:
        """Tell the observers that scopes are being dropped; None where nobody listens."""
        if not self.watched:
            return None
        names = tuple(scope.name for scope in scopes)
        return self.start(OperationKind.DROP, about={"scopes": names, **about})

    def end(self, watched: Watched | None, error: BaseException | None = None) -> None:
        """Tell the observers that the operation has ended."""
        if watched is not None:
            watched.operation.error = error and original(error)
            self.engine.observers.end(watched.operation, watched.started)

    @contextmanager
    def telling(
        self, kind: OperationKind, call: Call | None = None, **about: Any
    ) -> Iterator[Operation | None]:
        """Tell the observers of what is done inside; yields None where nobody listens."""
        watched = self.start(kind, call, about)
        try:
            yield None if watched is None else watched.operation
        except BaseException as error:
            self.end(watched, error)
            raise
        self.end(watched)

    def note_refusal(self, call: Call) -> None:
        """Remember that what was computed for a call could not be stored."""
        if len(self.refusals) >= REMEMBERED:
            self.refusals.clear()
        self.refusals.add(call.key.text)

    def why_absent(self, call: Call) -> Cause:
        """Return why there is nothing in the shared tier: perhaps the last fill was refused."""
        if call.key.text not in self.refusals:
            return Cause.ABSENT
        self.refusals.discard(call.key.text)
        return Cause.REFUSED

    def provenance(self, about: Mapping[str, Any], watched: Watched | None) -> Provenance:
        """Return who drops something here and now, for whoever misses it later.

        Args:
            about: What is known of the reason: `rule` and `source`.
            watched: The drop, if observers were told of it; it is told, too.
        """
        observers = self.engine.observers
        parent = observers.carry().get("traceparent", "") if observers.on_carry else ""
        rule, source = about.get("rule", ""), about.get("source", "")
        who = Provenance(rule, source, self.engine.clock.time(), *trace_ids(parent))
        if watched is not None:
            watched.operation.dropped_by = who
        return who


def trace_ids(traceparent: str) -> tuple[bytes, bytes]:
    """Return trace id and span id of a `traceparent` that is sampled; else nothing.

    Format: W3C Trace Context, level 1, section 3.2: `version-trace id-parent id-flags`.
    """
    parts = traceparent.split("-")
    try:
        trace_id, span_id, flags = (bytes.fromhex(part) for part in parts[1:4])
    except ValueError:
        return b"", b""
    fits = (len(trace_id), len(span_id), len(flags)) == (16, 8, 1) and flags[0] & 1
    return (trace_id, span_id) if fits else (b"", b"")


class LastDrops:
    """Who dropped what in this process last, for caches that have no stamps to say so."""

    def __init__(self) -> None:
        self._by_name: dict[str, Provenance] = {}
        self._lock = threading.Lock()

    def note(self, names: Iterable[str], who: Provenance) -> None:
        """Remember who dropped these keys and scopes; the oldest are forgotten."""
        with self._lock:
            for name in names:
                self._by_name.pop(name, None)
                self._by_name[name] = who
            for name in list(self._by_name)[: max(len(self._by_name) - REMEMBERED, 0)]:
                del self._by_name[name]

    def of(self, names: Iterable[str], since: float) -> Provenance | None:
        """Return who dropped one of these last, not before `since`; seconds since the epoch."""
        found = [who for name in names if (who := self._by_name.get(name)) is not None]
        last = max(found, key=lambda who: who.time, default=None)
        return last if last is not None and last.time >= since else None

    def forget(self, name: str) -> None:
        """Forget who dropped an entry, as there is another in its place."""
        self._by_name.pop(name, None)

    def renew_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._lock = threading.Lock()
