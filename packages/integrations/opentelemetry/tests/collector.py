"""A small collector: receives OTLP over HTTP, as any backend for traces does."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACES, METRICS = "/v1/traces", "/v1/metrics"


class Received(NamedTuple):
    """A span as it came in.

    Attributes:
        name: Its name.
        kind: `INTERNAL`, `PRODUCER` or `CONSUMER`, among others.
        trace: Id of its trace.
        id: Its id.
        parent: Id of its parent; empty without one.
        start: When it began, in nanoseconds since the Unix epoch.
        links: Ids of trace and span that it links to.
        attributes: Texts and numbers by name.
        process: The process that it comes from.
    """

    name: str
    kind: str
    trace: bytes
    id: bytes
    parent: bytes
    start: int
    links: list[tuple[bytes, bytes]]
    attributes: dict[str, Any]
    process: str


class Collector:
    """Listens on a free port of the loopback until the end of a `with` block."""

    def __init__(self) -> None:
        self._spans: list[Received] = []
        self._metrics: set[str] = set()
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector._receive(self.path, body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self) -> list[Received]:
        """What has come in so far."""
        with self._lock:
            return list(self._spans)

    @property
    def metrics(self) -> set[str]:
        """The names of the metrics that have come in so far."""
        with self._lock:
            return set(self._metrics)

    def named(self, name: str) -> list[Received]:
        """Return the spans of a name."""
        return [each for each in self.spans if each.name == name]

    def _receive(self, path: str, body: bytes) -> None:
        if path == TRACES:
            found = _spans(ExportTraceServiceRequest.FromString(body))
            with self._lock:
                self._spans += found
        elif path == METRICS:
            request = ExportMetricsServiceRequest.FromString(body)
            names = {
                metric.name
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
            with self._lock:
                self._metrics |= names


def _spans(request: ExportTraceServiceRequest) -> list[Received]:
    return [
        Received(
            span.name,
            span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            span.trace_id,
            span.span_id,
            span.parent_span_id,
            span.start_time_unix_nano,
            [(link.trace_id, link.span_id) for link in span.links],
            _values(span.attributes),
            str(_values(resource.resource.attributes).get("service.instance.id", "")),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes
    }
