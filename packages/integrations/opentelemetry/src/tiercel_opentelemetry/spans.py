"""What spans are made of besides attributes: links, errors, events."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from tiercel.spi import Event, EventKind, OperationKind, Provenance
from tiercel_opentelemetry.attributes import CACHE, FUNCTION, LINK, dropped_by

_KINDS: Final = {OperationKind.DISPATCH: SpanKind.PRODUCER, OperationKind.TASK: SpanKind.CONSUMER}

KINDS: Final = {kind: _KINDS.get(kind, SpanKind.INTERNAL) for kind in OperationKind}
"""The kinds of the spans of operations."""


def links_to(who: Provenance) -> list[Link] | None:
    """Return what links a computation to the drop that made it necessary; None if not traced."""
    if not who.trace_id:
        return None
    cause = SpanContext(
        int.from_bytes(who.trace_id),
        int.from_bytes(who.span_id),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return [Link(cause, {LINK: "dropped_by", **dropped_by(who)})]


def fail(span: Span, error: BaseException) -> None:
    """Note an error as the instrumentations of OpenTelemetry do."""
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def note(event: Event, span: Span) -> None:
    """Note an event on the span during which it happens; an eviction concerns other calls."""
    if event.kind is EventKind.EVICTION or not span.is_recording():
        return
    about = {CACHE: event.cache, FUNCTION: event.function}
    if event.error is not None:
        about["exception.type"] = type(event.error).__qualname__
    known = {name: value for name, value in about.items() if value}
    span.add_event(f"tiercel.{event.kind.value}", known)
