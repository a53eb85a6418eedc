"""One trace from a web process through each broker to the drop and the computation in a worker.

Processes, brokers and workers are real, and spans arrive over OTLP.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.integrations.opentelemetry.tests.collector import Collector, Received
from packages.integrations.opentelemetry.tests.picture import drawn
from tiercel.testing.conformance.bench import Worker
from tiercel.testing.servers import RedisServer, wait_until
from tools.environment import ROOT

HERE = "packages.integrations.opentelemetry.tests.traced"
SETUP = Path(__file__).parent / "setup"
PATIENCE = 120.0

WORKERS = {
    "celery": [
        *("-m", "celery", "-A", f"{HERE}.broker:app", "worker", "--pool", "prefork"),
        *("--concurrency", "1", "-Q", "prices"),
    ],
    "dramatiq": [
        *("-m", "dramatiq", f"{HERE}.broker", "--processes", "1", "--threads", "1"),
        *("--queues", "prices"),
    ],
    "rq": [
        *("-c", "from rq.cli import main; main()", "worker", "-c", f"{HERE}.broker"),
        *("-P", ".", "prices"),
    ],
    "django_q": ["-m", "django", "qcluster"],
}
"""How Python is told to run a worker."""


class Shop:
    """The shop on one broker, with a collector that gets all of its spans."""

    def __init__(self, folder: Path, dispatcher: str, url: str, collector: Collector) -> None:
        self._folder = folder
        self._dispatcher = dispatcher
        patient = "" if dispatcher == "celery" else "?socket_timeout=60&socket_connect_timeout=60"
        self._broker = f"{url}/1{patient}"
        (folder / "price").write_text("1")
        self.variables = {
            "PYTHONPATH": os.pathsep.join([str(SETUP), str(ROOT)]),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "SHOP_BROKER": self._broker,
            "SHOP_CACHE": f"{url}/0?memory=0&timeout=60",
            "SHOP_DISPATCHER": dispatcher,
            "SHOP_TRUTH": str(folder / "price"),
        }
        if dispatcher == "rq":
            self.variables["RQ_REDIS_URL"] = self._broker
        if dispatcher == "django_q":
            self.variables["DJANGO_SETTINGS_MODULE"] = f"{HERE}.settings"

    def run(self, *commands: str) -> str:
        """Give commands to a web process of their own; return what it has read."""
        done = subprocess.run(
            [sys.executable, "-m", f"{HERE}.web", *commands],
            cwd=ROOT,
            env=os.environ | self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def worker(self) -> Worker:
        """Start a worker."""
        command = [sys.executable, *WORKERS[self._dispatcher]]
        return Worker(command, self.variables, self._folder / "worker.log")


@pytest.fixture
def collector() -> Iterator[Collector]:
    """What receives spans."""
    with Collector() as running:
        yield running


def below(parent: Received, spans: list[Received]) -> dict[str, Received]:
    """Return the children of a span by the operation that they are."""
    return {
        str(each.attributes.get("tiercel.operation", each.name)): each
        for each in spans
        if each.parent == parent.id
    }


@pytest.mark.parametrize("dispatcher", WORKERS)
def test_change_when_a_worker_drops_and_computes_then_it_is_one_trace(
    tmp_path: Path, collector: Collector, dispatcher: str
) -> None:
    """The trace id of the web request is that of the drop and the rewarm in the other process."""
    with RedisServer() as server:
        shop = Shop(tmp_path, dispatcher, f"redis://127.0.0.1:{server.port}", collector)
        assert shop.run("read") == "1"
        (tmp_path / "price").write_text("2")
        shop.run("change")
        worker = shop.worker()
        try:
            wait_until(
                lambda: len(collector.named("tiercel.task shop:price")) == 1,
                f"the task: {worker.log()}",
                PATIENCE,
            )
            assert shop.run("read") == "2"
        finally:
            worker.kill()
    spans = collector.spans
    (request,) = collector.named("POST /price")
    dispatch = below(request, spans)["dispatch"]
    task = below(dispatch, spans)["task"]
    inside = below(task, spans)
    assert {"drop", "compute", "fill"} <= inside.keys()
    assert {each.trace for each in (request, dispatch, task, *inside.values())} == {request.trace}
    assert (dispatch.kind, task.kind) == ("PRODUCER", "CONSUMER")
    assert dispatch.process == request.process != task.process
    about = task.attributes
    assert about["tiercel.dispatcher"] == dispatcher
    assert about["tiercel.rule"] == inside["drop"].attributes["tiercel.rule"] == "price changed"
    assert about["tiercel.task.id"] == dispatch.attributes["tiercel.task.id"]
    shown = drawn(request, spans, {request.process: "web", task.process: "worker"})
    page = (ROOT / "docs/how-to/tracing.md").read_text(encoding="utf-8")
    assert shown.replace(f"dispatcher={dispatcher}", "dispatcher=celery") in page, shown
    hit = below(collector.named("GET /price")[-1], spans)
    assert hit.keys() == {"read"}
    assert hit["read"].attributes["tiercel.status"] == "HIT"
