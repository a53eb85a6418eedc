"""`opentelemetry-instrument` starts a program without any change to it, and exports over OTLP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from packages.integrations.opentelemetry.tests.collector import Collector
from tiercel.testing.servers import RedisServer

PROGRAM = Path(__file__).parent / "setup_free.py"
INSTRUMENT = Path(sys.executable).parent / "opentelemetry-instrument"


def start(collector: Collector, server: RedisServer, **variables: str) -> str:
    """Run the program under OpenTelemetry's own tool; return what it printed."""
    done = subprocess.run(
        [
            str(INSTRUMENT),
            sys.executable,
            str(PROGRAM),
            f"{server.url}?memory=0&timeout=60",
            server.url,
        ],
        env=os.environ
        | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_LOGS_EXPORTER": "none",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_program_when_started_by_opentelemetry_then_is_traced_and_measured() -> None:
    """What instruments Redis nests below, and nothing is told twice."""
    with Collector() as collector, RedisServer() as server:
        assert start(collector, server).split() == ["1", "1", "1"]
    reads = collector.named("tiercel.read app:visits")
    assert [each.attributes["tiercel.status"] for each in reads] == ["MISS", "HIT", "HIT"]
    (compute,) = collector.named("tiercel.compute app:visits")
    (client,) = collector.named("INCRBY")
    assert (client.kind, client.parent) == ("CLIENT", compute.id)
    below = [each for each in collector.spans if each.parent in {read.id for read in reads}]
    assert below == [], "a read is one span: it does not pass through what redis-py instruments"
    assert {"tiercel.operation.duration", "tiercel.misses", "tiercel.entry.count"} <= (
        collector.metrics
    )


def test_program_when_the_instrumentation_is_disabled_then_has_no_spans_of_ours() -> None:
    """By its name in the list that all instrumentations obey."""
    with Collector() as collector, RedisServer() as server:
        start(collector, server, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="tiercel")
    assert collector.named("INCRBY")
    assert not [each for each in collector.spans if each.name.startswith("tiercel.")]
