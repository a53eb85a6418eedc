"""Hits in memory on the current span: there are too many of them for a span each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final
from weakref import WeakKeyDictionary, ref

from opentelemetry.context import Context, get_current
from opentelemetry.trace import Span, Tracer, get_current_span

from tiercel.spi import MemoryHit, OperationKind, Status, Tier
from tiercel_opentelemetry.attributes import CACHE, FUNCTION, MEMORY_HITS, STATUS, TIER
from tiercel_opentelemetry.options import MemoryHits
from tiercel_opentelemetry.suppressing import is_suppressed

Note = Callable[[MemoryHit], None]

EVENT: Final = "tiercel.memory_hit"


def note_of(choice: MemoryHits, tracer: Tracer) -> Note | None:
    """Return what is done at each hit; None if it is enough to count them."""
    if choice == "attribute":
        return attribute_note()
    if choice == "event":
        return event_note
    return span_note(tracer) if choice == "span" else None


def attribute_note() -> Note:
    """Return what counts hits in an attribute of the span during which they happen."""
    counters: WeakKeyDictionary[Span, Iterator[int]] = WeakKeyDictionary()
    # Most hits happen where the one before them did, and a context does not change.
    last: tuple[Callable[[], Context | None], Callable[[], Span | None], Iterator[int]]
    last = lambda: None, lambda: None, count(1)

    def note(hit: MemoryHit) -> None:
        nonlocal last
        context = get_current()
        seen, found, counter = last
        span = found() if seen() is context else None
        if span is None:
            span = get_current_span(context)
            if not span.is_recording() or is_suppressed(context):
                return
            counter = counters.setdefault(span, count(1))
            last = ref(context), ref(span), counter
        elif not span.is_recording():
            return
        span.set_attribute(MEMORY_HITS, next(counter))

    return note


def event_note(hit: MemoryHit) -> None:
    """Add an event to the current span."""
    context = get_current()
    span = get_current_span(context)
    if span.is_recording() and not is_suppressed(context):
        span.add_event(EVENT, {CACHE: hit.cache, FUNCTION: hit.function})


def span_note(tracer: Tracer) -> Note:
    """Return what makes a span of each hit that is part of a trace."""

    def note(hit: MemoryHit) -> None:
        context = get_current()
        if not get_current_span(context).is_recording() or is_suppressed(context):
            return
        span = tracer.start_span(f"tiercel.{OperationKind.READ} {hit.function}", context)
        if span.is_recording():
            known = {CACHE: hit.cache, FUNCTION: hit.function}
            span.set_attributes({**known, STATUS: Status.HIT.value, TIER: Tier.MEMORY.value})
        span.end()

    return note
