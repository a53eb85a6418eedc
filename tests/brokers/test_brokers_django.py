"""Django from end to end: a process saves a model, a worker drops, a third process computes.

Kills and brokers that are down are tested with each plugin; here is what crosses packages.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kombu.connection import Connection

from tests.brokers import forked
from tiercel.testing.conformance.bench import Worker
from tiercel.testing.servers import RedisServer, wait_until
from tools.environment import ROOT

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
STORE = "tests.brokers.store"
PATIENCE = 120.0
CELERY = ("worker", "--pool", "prefork", "--concurrency", "1", "--loglevel", "INFO")

WORKERS: dict[str, Callable[[str], list[str]]] = {
    "celery": lambda queue: ["celery", "-A", f"{STORE}.broker:app", *CELERY, "-Q", queue],
    "dramatiq": lambda queue: [
        *("dramatiq", f"{STORE}.worker", "--processes", "1", "--threads", "1", "--queues", queue)
    ],
    "django_rq": lambda queue: [
        *("django", "rqworker", "--with-scheduler"),
        *("--worker-class", "tiercel_rq.worker.PromptWorker", queue),
    ],
    "django_q": lambda queue: ["django", "qcluster"],
}
"""What `python -m` is told to run, by the name of the dispatcher."""

UNKNOWN = (
    "a task is for tests.brokers.store.stocks:stock on cache 'default', which this worker does not"
)
"""Stands in the log of a worker whose code is older than what sends tasks."""

SAVED = [
    ("celery", "rabbitmq"),
    ("dramatiq", "rabbitmq"),
    ("django_rq", "redis"),
    ("django_q", "redis"),
]
ROLLED = [
    ("celery", "redis"),
    # On Redis its retries wait for a scheduler that looks twice a minute.
    ("django_q", "orm"),
    pytest.param(("dramatiq", "redis"), marks=pytest.mark.long),
    pytest.param(("django_rq", "redis"), marks=pytest.mark.long),
]


class Store:
    """The store: its database, its servers, and processes of it.

    Args:
        folder: Where database and logs are.
        dispatcher: Who drops.
        broker: URL of what carries the tasks.
        cache: URL of the shared tier.
    """

    def __init__(self, folder: Path, dispatcher: str, broker: str, cache: str) -> None:
        self.queue = f"tiercel_test_{uuid.uuid4().hex[:12]}"
        self._folder = folder
        self._dispatcher = dispatcher
        self._stack = ExitStack()
        self._variables = {
            "DJANGO_SETTINGS_MODULE": f"{STORE}.settings",
            "PYTHONPATH": str(ROOT),
            "STORE_BROKER": broker,
            "STORE_CACHE": cache,
            "STORE_DATABASE": str(folder / "db.sqlite3"),
            "STORE_DISPATCHER": dispatcher,
            "STORE_QUEUE": self.queue,
        }

    def run(self, *commands: str) -> list[int]:
        """Give commands to a process of their own; return what it has read."""
        done = forked.run(
            STORE, *commands, variables=self._variables, directory=self._folder, name="program"
        )
        assert "was not accepted" not in done.stderr
        return [int(line) for line in done.stdout.split()]

    def worker(self, version: str) -> Worker:
        """Start a worker of the `old` or the `new` version of the store."""
        worker = Worker(
            [sys.executable, "-m", *WORKERS[self._dispatcher](self.queue)],
            {**self._variables, "STORE_VERSION": version},
            self._folder / f"{version}.log",
        )
        self._stack.callback(worker.kill)
        return worker

    def wait_for(self, worker: Worker, *expected: int) -> None:
        """Wait until processes of the store read this price and this stock."""

        def arrived() -> bool:
            return tuple(self.run("read price", "read stock")) == expected

        try:
            wait_until(arrived, f"{expected}", PATIENCE)
        except TimeoutError as error:
            raise AssertionError(f"never {expected}; the worker:\n{worker.log()}") from error

    def close(self) -> None:
        """End all workers."""
        self._stack.close()


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with one product, whose price and stock of 1 are cached."""
    dispatcher, kind = request.param
    with RedisServer() as broker, RedisServer() as cache:
        redis = broker.url if dispatcher == "celery" else broker.patient_url
        url = {"redis": redis, "rabbitmq": AMQP_URL, "orm": "orm"}[kind]
        store = Store(tmp_path, dispatcher, url, f"{cache.url}?timeout=60")
        made = store.run("create", "save price 1", "save stock 1", "read price", "read stock")
        assert made == [1, 1]
        yield store
        store.close()
        if kind == "rabbitmq":
            _delete_queues(store.queue)


def _delete_queues(queue: str) -> None:
    with Connection(AMQP_URL) as connection:
        channel = connection.default_channel
        for ending in ("", ".dead", ".DQ", ".XQ"):
            channel.queue_delete(queue + ending)
        channel.exchange_delete(queue)


@pytest.mark.parametrize("store", SAVED, indirect=True, ids="-".join)
def test_model_when_saved_then_a_worker_drops_and_another_process_computes(store: Store) -> None:
    """The dispatcher and its queue come from Django's settings; other entries stay."""
    store.run("sneak stock 9", "save price 2")
    assert store.run("read price", "read stock") == [1, 1]
    store.wait_for(store.worker("new"), 2, 1)


@pytest.mark.parametrize("store", ROLLED, indirect=True, ids="-".join)
def test_deploy_when_it_rolls_then_no_worker_touches_a_wrong_entry(store: Store) -> None:
    """An older worker imports in another order and lacks a function: the newer one does the rest.

    What is sneaked in shows if an entry was dropped that should have stayed.
    """
    store.run("sneak stock 9", "save price 2")
    assert store.run("read price", "read stock") == [1, 1]
    older = store.worker("old")
    store.wait_for(older, 2, 1)
    store.run("sneak price 7", "save stock 3")
    wait_until(lambda: UNKNOWN in older.log(), "the loud line", PATIENCE)
    assert store.run("read price", "read stock") == [2, 1]
    older.stop()
    store.wait_for(store.worker("new"), 2, 3)
