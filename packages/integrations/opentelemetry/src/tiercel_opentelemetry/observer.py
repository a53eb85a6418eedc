"""The observer of this process: what Tiercel calls, and what it finds switched on then."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from time import perf_counter
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import context as contexts
from opentelemetry import metrics, trace
from opentelemetry.context import get_current
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, TracerProvider, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tiercel.spi import Event, MemoryHit, Observer, Operation
from tiercel_opentelemetry.attributes import Naming
from tiercel_opentelemetry.hits import Note, note_of
from tiercel_opentelemetry.metrics import Metrics
from tiercel_opentelemetry.options import Options, from_environment, is_disabled
from tiercel_opentelemetry.spans import KINDS, fail, links_to, note
from tiercel_opentelemetry.suppressing import is_suppressed

NAME: Final = "tiercel"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
"""Trace context alone: baggage may hold personal data, and would stay with a broker."""


Started = tuple[float, Span | None, Any]
"""When an operation began, 0 if nobody measures it; its span; and what ends its being current."""


class TelemetryObserver(Observer):
    """Makes spans and figures of what caches do, as long as there is a provider for them.

    Attributes:
        options: How spans look.
        enabled: Whether it is switched on.
        tracer_provider: Where spans go; None: to the global one.
        meter_provider: The same for figures.
    """

    def __init__(self, options: Options, *, enabled: bool = True) -> None:
        self.options = options
        self.enabled = enabled
        self.tracer_provider: TracerProvider | None = None
        self.meter_provider: MeterProvider | None = None
        self._naming = Naming(options)
        self._start_span: Callable[..., Span] | None = None
        self._metrics: Metrics | None = None
        self._note: Note | None = None
        self._settled: tuple[Any, ...] = ()
        self._made: WeakKeyDictionary[MeterProvider, Metrics] = WeakKeyDictionary()

    def reset(self, *, enabled: bool) -> None:
        """Go back to what the environment says, and to the global providers."""
        self.options, self.enabled = from_environment(os.environ), enabled
        self.tracer_provider = self.meter_provider = None

    def listens(self) -> bool:
        """Whether it is switched on and somebody has set up spans or metrics."""
        tracing = self.tracer_provider or trace.get_tracer_provider()
        metering = self.meter_provider or metrics.get_meter_provider()
        settled = (self.enabled, self.options, tracing, metering)
        if settled != self._settled:
            self._settle(tracing, metering)
            self._settled = settled
        return self._start_span is not None or self._metrics is not None

    def _settle(self, tracing: TracerProvider, metering: MeterProvider) -> None:
        self._start_span = self._note = None
        if self._metrics is not None:
            self._metrics.active = False
            self._metrics = None
        if self.enabled and _does_something(tracing):
            tracer = tracing.get_tracer(NAME, version("tiercel-opentelemetry"))
            self._start_span, self._naming = tracer.start_span, Naming(self.options)
            self._note = note_of(self.options.memory_hits, tracer)
        if self.enabled and _does_something(metering):
            self._metrics = self._instruments_of(metering)
            self._metrics.active = True

    def _instruments_of(self, provider: MeterProvider) -> Metrics:
        """Return the instruments made with a provider, which it cannot give back."""
        made = self._made.get(provider)
        if made is None:
            meter = provider.get_meter(NAME, version("tiercel-opentelemetry"))
            made = self._made[provider] = Metrics(meter)
        return made

    def wants_memory_hits(self) -> bool:
        """Whether hits are more than counted, which the core does by itself."""
        return self._note is not None

    def on_memory_hit(self, hit: MemoryHit) -> None:
        """Note a hit on the current span."""
        if self._note is not None:
            self._note(hit)

    def on_start(self, operation: Operation) -> Started | None:
        """Begin a span and make it the current one; what it is about is noted at its end."""
        context = get_current()
        if is_suppressed(context):
            return None
        began = 0.0 if self._metrics is None else perf_counter()
        start_span = self._start_span
        if start_span is None:
            return began, None, None
        kind, cause = operation.kind, operation.dropped_by
        span = start_span(
            self._naming.span_name(kind, operation.function or operation.cache),
            context,
            KINDS[kind],
            links=None if cause is None else links_to(cause),
        )
        return began, span, contexts.attach(set_span_in_context(span, context))

    def on_end(self, operation: Operation, started: Started | None) -> None:
        """Count the operation; end its span, with what it was and what has become of it."""
        if started is None:
            return
        began, span, token = started
        if began and self._metrics is not None:
            self._metrics.ended(operation, perf_counter() - began)
        if span is None:
            return
        error = operation.error
        # An operation that was given up may be closed elsewhere, where its span is not current.
        if error is None or get_current_span() is span:
            contexts.detach(token)
        if span.is_recording():
            span.set_attributes(self._naming.attributes(operation))
            if error is not None:
                fail(span, error)
        span.end()

    def on_event(self, event: Event) -> None:
        """Count an event, and note it on the current span."""
        context = get_current()
        if is_suppressed(context):
            return
        if self._metrics is not None:
            self._metrics.happened(event)
        if self._start_span is not None:
            note(event, get_current_span(context))

    def carry(self) -> Mapping[str, str]:
        """Return the trace context (W3C), for a task or a stamp."""
        carried: dict[str, str] = {}
        if self._start_span is not None and not is_suppressed(get_current()):
            _PROPAGATOR.inject(carried)
        return carried

    def attach(self, carried: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return what a task is performed in: the trace in which it was dispatched."""
        return _attached(carried)


@contextmanager
def _attached(carried: Mapping[str, str]) -> Iterator[None]:
    here = get_current()
    remote = get_current_span(_PROPAGATOR.extract(carried, here)).get_span_context()
    mine = get_current_span(here).get_span_context()
    # What instruments the broker may have brought the trace here already, with spans of its own.
    if not remote.is_valid or (mine.is_valid and mine.trace_id == remote.trace_id):
        yield
        return
    token = contexts.attach(_PROPAGATOR.extract(carried, here))
    try:
        yield
    finally:
        contexts.detach(token)


def _does_something(provider: object) -> bool:
    """Tell whether a provider is more than the API's own, which stand for "none"."""
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )


OBSERVER: Final = TelemetryObserver(
    from_environment(os.environ), enabled=not is_disabled(os.environ)
)
"""The observer of this process."""
