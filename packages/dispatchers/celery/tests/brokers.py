"""Brokers for tests: a queue of a test's own on RabbitMQ, and what is in a queue."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue

from tiercel_celery import publisher

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//")

PATIENCE = 60.0
"""Seconds that a broker may take to answer where a test is not about that."""


def wait_for_brokers(seconds: float) -> None:
    """Let this process wait so long for each answer of a broker, not as long as a request can."""
    publisher.TIMEOUT = seconds
    limits = {name for name in publisher.BOUNDED if name.endswith("timeout")}
    publisher.BOUNDED.update(dict.fromkeys(limits, seconds))


class Delivery(NamedTuple):
    """One message that was taken out of a queue."""

    args: list[Any]
    headers: dict[str, Any]
    properties: dict[str, Any]
    content_type: str


class TestQueue:
    """A queue that only one test uses, and that is gone afterwards.

    Attributes:
        name: Its name; that of its dead letters ends in `.dead`.
    """

    __test__ = False

    def __init__(self, url: str) -> None:
        self.name = f"tiercel-test-{uuid.uuid4().hex[:12]}"
        self._url = url

    def take(self, *, dead: bool = False) -> Delivery | None:
        """Take the oldest message out; None if there is none."""
        with self._channel() as channel:
            name = self.name + (".dead" if dead else "")
            message = Queue(name, channel=channel, no_declare=True).get(no_ack=True)
            if message is None:
                return None
            args, _, _ = json.loads(message.body or "")
            properties = dict(message.properties)
            return Delivery(args, dict(message.headers), properties, str(message.content_type))

    def drain(self, *, dead: bool = False) -> list[Delivery]:
        """Take all messages out."""
        taken = []
        while (delivery := self.take(dead=dead)) is not None:
            taken.append(delivery)
        return taken

    def texts(self) -> list[str]:
        """Take all messages out and return what they carry."""
        return [taken.args[0] for taken in self.drain()]

    def delete(self) -> None:
        """Delete the queue and that of its dead letters."""
        with self._channel() as channel:
            for name in (self.name, f"{self.name}.dead"):
                channel.queue_delete(name)
            channel.exchange_delete(self.name)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        with Connection(self._url) as connection:
            yield connection.default_channel


def celery_app(url: str, **configuration: Any) -> Celery:
    """Return an app that nobody else finds."""
    app = Celery(f"app-{uuid.uuid4().hex[:8]}", broker=url, set_as_current=False)
    app.conf.update(configuration)
    return app


WORKER = {
    "worker_prefetch_multiplier": 1,  # so that priorities count
    # Redis: seconds after which the tasks of a worker that was killed are given to another.
    "broker_transport_options": {
        "visibility_timeout": 3,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
}
"""Configuration of workers in tests."""


def worker_command(app: str, queue: str, *options: str) -> list[str]:
    """Return the command of a worker with one process that serves one queue."""
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    which = ("-A", app, "worker", "-Q", queue, "-n", f"{queue}@%h")
    return [
        *(sys.executable, "-m", "celery", *which),
        *("--pool", "prefork", "--concurrency", "1", "--loglevel", "INFO", *quiet, *options),
    ]
