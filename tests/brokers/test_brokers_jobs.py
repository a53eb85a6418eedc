"""Jobs from end to end: processes that read, a queue of RQ, and a real worker that refreshes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue

from tiercel.testing.conformance.bench import Worker
from tiercel.testing.servers import RedisServer, wait_until
from tools.environment import ROOT

POSTERS = "tests.brokers.posters"
PATIENCE = 120.0


class Posters:
    """The application: the text, processes that read, and the queue between them and workers."""

    def __init__(
        self, folder: Path, cache: RedisServer, broker: RedisServer, **variables: str
    ) -> None:
        self._folder = folder
        self._broker = broker
        self._variables = variables | {
            "PYTHONPATH": str(ROOT),
            "POSTERS_FOLDER": str(folder),
            "POSTERS_CACHE": cache.url,
            "POSTERS_BROKER": broker.patient_url,
        }

    def write(self, text: str) -> None:
        """Change what is true."""
        (self._folder / "text").write_text(text)

    def start(self, *commands: str) -> subprocess.Popen[str]:
        """Give commands to a process of their own."""
        return subprocess.Popen(
            [sys.executable, "-m", POSTERS, *commands],
            env=os.environ | self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *commands: str) -> list[str]:
        """Do the same; return what was read."""
        process = self.start(*commands)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        return output.splitlines()

    def queued(self) -> int:
        """Return how many tasks wait."""
        with Redis.from_url(self._broker.url) as client:
            return Queue("posters", connection=client).count

    def lose_tasks(self) -> None:
        """Have the broker forget all that it was given."""
        with Redis.from_url(self._broker.url) as client:
            client.flushall()

    def fetched_by(self) -> list[int]:
        """Return the processes that have fetched."""
        return [int(line) for line in (self._folder / "journal").read_text().split()]

    def worker(self) -> Worker:
        """Start a worker of RQ."""
        command = ["-c", "from rq.cli import main; main()", "worker", "--url", self._broker.url]
        more = ["-c", POSTERS, "-P", ".", "--worker-class", "tiercel_rq.worker.PromptWorker"]
        return Worker(
            [sys.executable, *command, *more, "posters"],
            self._variables,
            self._folder / "worker.log",
        )

    def wait_for(self, worker: Worker, text: str) -> None:
        """Wait until a process of its own reads this."""
        try:
            wait_until(lambda: self.run("read") == [text], repr(text), PATIENCE)
        except TimeoutError as error:
            raise AssertionError(f"never {text!r}; the worker:\n{worker.log()}") from error


@pytest.fixture
def posters(tmp_path: Path) -> Iterator[Posters]:
    """The application, with servers of its own."""
    with RedisServer() as cache, RedisServer() as broker:
        yield Posters(tmp_path, cache, broker)


def test_job_when_stale_then_one_task_is_sent_and_a_worker_refreshes(posters: Posters) -> None:
    """Many readers of three processes send one task; the worker makes the job anew and fetches."""
    posters.write("old")
    assert posters.run("read") == ["old in en, High Street 7"]
    posters.write("new")
    wait_until(lambda: posters.run("read") != [] and posters.queued() == 1, "a task", PATIENCE)
    readers = [posters.start(*["read"] * 20) for _ in range(3)]
    outputs = [reader.communicate(timeout=PATIENCE)[0].splitlines() for reader in readers]
    assert outputs == [["old in en, High Street 7"] * 20] * 3
    assert posters.queued() == 1
    assert len(posters.fetched_by()) == 1
    worker = posters.worker()
    try:
        posters.wait_for(worker, "new in en, High Street 7")
        first, second, *_ = posters.fetched_by()
        assert first != second
        posters.write("newest")
        posters.run("invalidate")
        posters.wait_for(worker, "newest in en, High Street 7")
    finally:
        worker.kill()


def test_invalidate_when_the_broker_has_lost_its_task_then_a_reader_asks_again(
    tmp_path: Path,
) -> None:
    """Data that was marked stays stale, so the timeout is all that a lost task costs."""
    lives = {"POSTERS_LIFETIME": "3600", "POSTERS_TIMEOUT": "2"}
    with RedisServer() as cache, RedisServer() as broker:
        posters = Posters(tmp_path, cache, broker, **lives)
        posters.write("old")
        posters.run("read")
        posters.write("new")
        posters.run("invalidate")
        assert posters.queued() == 1
        posters.lose_tasks()
        assert posters.queued() == 0
        wait_until(
            lambda: posters.run("read") == ["old in en, High Street 7"] and posters.queued() == 1,
            "the task again",
            PATIENCE,
        )
        worker = posters.worker()
        try:
            posters.wait_for(worker, "new in en, High Street 7")
        finally:
            worker.kill()
