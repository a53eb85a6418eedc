"""Brokers for tests: a queue of a test's own, and what is in it."""

from __future__ import annotations

import os
import sys
import uuid
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from tiercel_dramatiq import sender

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")

PATIENCE = 60.0
"""Seconds that a broker may take to answer where a test is not about that."""


def open_broker(url: str) -> dramatiq.Broker:
    """Return a broker as the README says to make one, but quick to notice a dead worker."""
    if url.startswith("redis"):
        return RedisBroker(url=url, heartbeat_timeout=3000, maintenance_chance=1_000_000)
    return RabbitmqBroker(url=url, confirm_delivery=True, max_priority=10)


def wait_for_brokers(seconds: float) -> None:
    """Let this process wait so long for each answer of a broker, not as long as a request can."""
    sender.TIMEOUT = seconds


class TestQueue:
    """A queue that only one test uses, and that is gone afterwards.

    Attributes:
        name: Its name.
    """

    __test__ = False

    def __init__(self, url: str) -> None:
        self.name = f"tiercel_test_{uuid.uuid4().hex[:12]}"
        self._broker = open_broker(url)

    def drain(self, *, delayed: bool = False) -> list[Any]:
        """Take all messages out: of the queue, or of those that are held back."""
        self._broker.declare_queue(self.name)
        name = f"{self.name}.DQ" if delayed else self.name
        if isinstance(rabbitmq := self._broker, RabbitmqBroker):
            return list(iter(lambda: _take(rabbitmq.channel, name), None))
        consumer = self._broker.consume(name, prefetch=100, timeout=100)
        taken = []
        while (message := next(consumer)) is not None:
            taken.append(message)
            consumer.ack(message)
        consumer.close()
        return taken

    def texts(self) -> list[str]:
        """Take all messages out and return their arguments."""
        return [message.args[0] for message in self.drain()]

    def dead(self) -> int:
        """Return the number of dead letters."""
        if isinstance(self._broker, RabbitmqBroker):
            return int(self._broker.get_queue_message_counts(self.name)[2])
        assert isinstance(self._broker, RedisBroker)
        return int(self._broker.client.zcard(f"dramatiq:{self.name}.XQ"))

    def delete(self) -> None:
        """Delete the queue with those that belong to it."""
        if isinstance(self._broker, RabbitmqBroker):
            for ending in ("", ".DQ", ".XQ"):
                self._broker.channel.queue_delete(self.name + ending)
        self._broker.close()


def _take(channel: Any, name: str) -> Any:
    """Take the next message out of a queue of RabbitMQ; None if there is none."""
    found, _, body = channel.basic_get(name, auto_ack=True)
    return None if found is None else dramatiq.Message.decode(body)


def worker_command(*modules: str, queue: str) -> list[str]:
    """Return the command of a worker with one process and one thread that serves one queue."""
    one = ("--processes", "1", "--threads", "1")
    return [sys.executable, "-m", "dramatiq", *modules, *one, "--queues", queue]
