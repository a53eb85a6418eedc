"""Instruments: what is counted as it happens, and what is read when somebody collects.

Hits in memory are plain integers in the core, and cost nothing here until they are read.
"""

from __future__ import annotations

from collections import Counter as Sums
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from tiercel.spi import (
    CacheFigures,
    Event,
    EventKind,
    Operation,
    OperationKind,
    Status,
    Tier,
    cache_figures,
    function_figures,
)
from tiercel_opentelemetry.attributes import CACHE, CAUSE, FUNCTION, OPERATION, RULE, TIER

SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
"""Bounds of histograms for what a cache does, in seconds."""

LONGER: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds for what functions do."""

RESULT: Final = "tiercel.result"

Callback = Callable[[CallbackOptions], Iterable[Observation]]


class Metrics:
    """The instruments of one meter.

    Attributes:
        active: Whether somebody wants them; instruments cannot be taken back from a meter.
    """

    def __init__(self, meter: Meter) -> None:
        self.active = True
        self._duration = meter.create_histogram(
            "tiercel.operation.duration",
            "s",
            "What the operations of a cache take",
            explicit_bucket_boundaries_advisory=[*SECONDS, *LONGER[6:]],
        )
        self._computing = meter.create_histogram(
            "tiercel.compute.duration",
            "s",
            "What cached functions take to compute a value",
            explicit_bucket_boundaries_advisory=LONGER,
        )
        counter = meter.create_counter
        self._misses = counter("tiercel.misses", "{miss}", "Computations, by why they were needed")
        self._drops = counter("tiercel.invalidations", "{drop}", "Drops of entries or scopes")
        self._events = {
            EventKind.FILL_REFUSED: counter(
                "tiercel.fills.refused", "{fill}", "Values not stored, as something was dropped"
            ),
            EventKind.COALESCED: counter(
                "tiercel.coalesced", "{call}", "Calls that got the result of another's computation"
            ),
            EventKind.SWALLOWED_ERROR: counter(
                "tiercel.errors.swallowed", "{error}", "Trouble that no caller was told of"
            ),
        }
        self._observe(meter)

    def _observe(self, meter: Meter) -> None:
        meter.create_observable_counter(
            "tiercel.memory.hits", [self._hits], "{hit}", "Calls that memory served"
        )
        meter.create_observable_counter(
            "tiercel.memory.evictions",
            [self._sum(lambda each: each.evictions)],
            "{entry}",
            "Entries that left memory to make room",
        )
        for name, unit, what, figure in _STANDS:
            meter.create_observable_up_down_counter(name, [self._sum(figure)], unit, what)
        meter.create_observable_gauge(
            "tiercel.breaker.open",
            [self._most(lambda each: each.breaker_open)],
            "1",
            "1 while the shared tier is not asked, as it failed",
        )
        meter.create_observable_gauge(
            "tiercel.memory.lag",
            [self._most(lambda each: each.lag)],
            "s",
            "Time since memory is known to have followed all drops elsewhere",
        )

    def ended(self, operation: Operation, took: float) -> None:
        """Count an operation that is over.

        Args:
            operation: With its outcome.
            took: Seconds.
        """
        kind, failed = operation.kind, operation.error is not None
        about = _about(kind, operation.cache, operation.status, operation.tier, failed)
        self._duration.record(took, about)
        if kind is OperationKind.COMPUTE:
            of_function = _of_function(operation)
            self._computing.record(took, of_function | {RESULT: about[RESULT]})
            self._misses.add(1, of_function | _why(operation))
        elif kind is OperationKind.DROP:
            known = operation.attributes or {}
            scope = "scopes" if "scopes" in known else "entry"
            rule = {RULE: known["rule"]} if known.get("rule") else {}
            self._drops.add(1, {**_of_function(operation), "tiercel.scope": scope, **rule})

    def happened(self, event: Event) -> None:
        """Count an event."""
        counter = self._events.get(event.kind)
        if counter is not None:
            counter.add(event.count, {CACHE: event.cache, FUNCTION: event.function})

    # What is read when somebody collects

    def _hits(self, options: CallbackOptions) -> Iterator[Observation]:
        sums: Sums[tuple[str, str]] = Sums()
        for each in function_figures() if self.active else ():
            sums[each.cache, each.function] += each.memory_hits
        for (cache, function), hits in sums.items():
            yield Observation(hits, {CACHE: cache, FUNCTION: function})

    def _sum(self, figure: Callable[[CacheFigures], int]) -> Callback:
        """Return what observes a figure, summed up where several caches have one name."""

        def observe(options: CallbackOptions) -> Iterator[Observation]:
            sums: Sums[str] = Sums()
            for each in cache_figures() if self.active else ():
                sums[each.cache] += figure(each)
            for cache, total in sums.items():
                yield Observation(total, {CACHE: cache})

        return observe

    def _most(self, figure: Callable[[CacheFigures], float | None]) -> Callback:
        """Return what observes the largest of a figure among the caches of one name."""

        def observe(options: CallbackOptions) -> Iterator[Observation]:
            most: dict[str, float] = {}
            for each in cache_figures() if self.active else ():
                value = figure(each)
                if value is not None:
                    most[each.cache] = max(float(value), most.get(each.cache, 0.0))
            for cache, value in most.items():
                yield Observation(value, {CACHE: cache})

        return observe


_STANDS: Final[tuple[tuple[str, str, str, Callable[[CacheFigures], int]], ...]] = (
    ("tiercel.entry.count", "{entry}", "Entries in memory", lambda each: each.entries),
    ("tiercel.memory.size", "By", "What entries in memory count for", lambda each: each.bytes),
)


@lru_cache(4096)
def _about(
    kind: OperationKind, cache: str, status: Status | None, tier: Tier | None, failed: bool
) -> Mapping[str, str]:
    """Return by what durations are told apart; each time the same object, as most are alike."""
    about = {OPERATION: kind.value, CACHE: cache, RESULT: _result(status, failed)}
    return about if tier is None else {**about, TIER: tier.value}


def _result(status: Status | None, failed: bool) -> str:
    """Return in one word what has become of an operation."""
    if failed:
        return "error"
    # A read finds an entry, or it does not: whether an old one is served, is decided later.
    return "done" if status is None else status.value.lower()


def _of_function(operation: Operation) -> dict[str, str]:
    return {CACHE: operation.cache, FUNCTION: operation.function}


def _why(operation: Operation) -> dict[str, str]:
    about = {CAUSE: operation.cause.value} if operation.cause is not None else {}
    who = operation.dropped_by
    return {**about, RULE: who.rule} if who is not None and who.rule else about
