"""What traces cost: hits in memory, and hits in the shared tier that get a span each.

The goals are microseconds that a call may take longer, so they stand in the column of the peer.
Times are those of this thread on a processor. The last row says what a call takes longer if its
caller makes a span with as many attributes around it, with nothing but OpenTelemetry's SDK.
"""

from __future__ import annotations

import time
from operator import attrgetter
from statistics import median
from tempfile import TemporaryDirectory

from measure import Case, Row, table
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer

from tiercel import Cache
from tiercel_opentelemetry import TiercelInstrumentor

ROUNDS = 21


def rows() -> list[Row]:
    """Compare calls with and without traces."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanProcessor())  # every span is sampled, and handed to somebody
    tracer = provider.get_tracer("bench")
    try:
        with tracer.start_as_current_span("request"):
            return [*_memory(provider), *_shared(provider, tracer)]
    finally:
        TiercelInstrumentor().uninstrument()
        provider.shutdown()


def _memory(provider: TracerProvider) -> list[Row]:
    """Each hit is noted on the span around it; without traces the code is as ever."""

    @Cache(name="near").cached(name="bench:near")
    def cached(number: int) -> int:
        return number

    code = attrgetter("__code__")
    before = code(cached)
    cached(1)
    assert code(cached) is before, "the plugin changes the code although nobody listens"
    (extra,) = _extras(lambda: cached(1), provider, 5_000)
    return [Row("memory hit, noted on the current span", extra, 3.0, "us allowed", 1.0)]


def _shared(provider: TracerProvider, tracer: Tracer) -> list[Row]:
    """Each hit in the shared tier is a span; the function keeps nothing in memory.

    The tier is a file: for a server it would matter how far it had gone to sleep meanwhile.
    """
    with TemporaryDirectory() as folder:
        cache = Cache(f"sqlite:///{folder}/cache.db?memory=0", name="far")

        @cache.cached(name="bench:far")
        def cached(number: int) -> int:
            return number

        def by_hand() -> None:
            with tracer.start_as_current_span("read") as span:
                span.set_attributes(dict.fromkeys("abcdef", "text") | {"size": 81, "age": 0.5})
                cached(1)

        cached(1)
        extra, span = _extras(lambda: cached(1), provider, 1_000, by_hand)
        cache.close()
    return [
        Row("shared hit, with a span", extra, 15.0, "us allowed", 1.0),
        Row("shared hit, with a span", extra, span, "a span by hand", 1.0),
    ]


def _extras(case: Case, provider: TracerProvider, calls: int, *others: Case) -> list[float]:
    """Return the microseconds that a call takes longer with traces, measured in turn with it.

    Then how much longer than it others take, without traces of ours.
    """
    instrumentor, rounds = TiercelInstrumentor(), list[list[float]]()
    for _ in range(ROUNDS):
        instrumentor.uninstrument()
        times = [_timed(each, calls) for each in (case, *others)]
        instrumentor.instrument(tracer_provider=provider)
        rounds.append([*times, _timed(case, calls)])
    without, *rest, traced = map(median, zip(*rounds, strict=True))
    return [each - without for each in (traced, *rest)]


def _timed(case: Case, calls: int) -> float:
    began = time.thread_time()
    for _ in range(calls):
        case()
    return (time.thread_time() - began) / calls * 1e6


if __name__ == "__main__":
    print(table(rows()))
