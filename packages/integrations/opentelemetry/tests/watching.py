"""An application's side of telemetry: providers that keep everything, and ways to ask them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler


class Telemetry:
    """Providers of one test, and what they got.

    Attributes:
        tracer_provider: Where spans go.
        meter_provider: Where figures go.
        tracer: Makes the spans of the application.
    """

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracer = self.tracer_provider.get_tracer("application")

    def close(self) -> None:
        """Let go of everything."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()

    def spans(self, kind: str = "") -> list[ReadableSpan]:
        """Return the spans that have ended, in the order in which they began.

        Args:
            kind: Only those of this operation, such as `read`.
        """
        ended = self._exporter.get_finished_spans()
        found = [each for each in ended if not kind or known(each).get(OPERATION) == kind]
        return sorted(found, key=lambda each: each.start_time or 0)

    def kinds(self) -> list[str]:
        """Return the operations of the spans, and the names of the application's; forget all."""
        told = [str(known(each).get(OPERATION, each.name)) for each in self.spans()]
        self.forget()
        return told

    def forget(self) -> None:
        """Forget the spans so far."""
        self._exporter.clear()

    def points(self, metric: str) -> dict[tuple[str, ...], Any]:
        """Return the values of a metric by the values of its attributes, in order of their names.

        A histogram's value is the number of its recordings.
        """
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {
            tuple(str((point.attributes or {})[name]) for name in sorted(point.attributes or {})): (
                getattr(point, "count", None) or getattr(point, "value", None)
            )
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        }


OPERATION = "tiercel.operation"


def known(span: ReadableSpan) -> Mapping[str, Any]:
    """Return the attributes of a span."""
    return span.attributes or {}


def trace_of(span: ReadableSpan) -> int:
    """Return the id of the trace that a span is part of."""
    assert span.context is not None
    return int(span.context.trace_id)


def id_of(span: ReadableSpan) -> int:
    """Return the id of a span."""
    assert span.context is not None
    return int(span.context.span_id)


def parent_of(span: ReadableSpan, among: Sequence[ReadableSpan]) -> ReadableSpan | None:
    """Return the span that another one is a child of, if it is among these."""
    if span.parent is None:
        return None
    return next((each for each in among if id_of(each) == span.parent.span_id), None)
