"""Brokers, and queues that only one test uses."""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq
import pytest

from packages.dispatchers.dramatiq.tests.brokers import (
    AMQP_URL,
    PATIENCE,
    TestQueue,
    wait_for_brokers,
)
from tests.brokers.fixtures import proxied, proxy, queue, redis, url
from tiercel_dramatiq import actors, sender

__all__ = ["proxied", "proxy", "queue", "redis", "url"]


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker or queue of another test is known."""
    monkeypatch.setattr(dramatiq.broker, "global_broker", None)
    monkeypatch.setattr(actors, "_installed", [])
    monkeypatch.setattr(actors, "_wanted", {})


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """A broker on a busy machine may be slow."""
    usual = sender.TIMEOUT
    wait_for_brokers(PATIENCE)
    yield
    wait_for_brokers(usual)


@pytest.fixture
def amqp_url() -> str:
    """Where RabbitMQ is."""
    return AMQP_URL


@pytest.fixture
def queue_at() -> type[TestQueue]:
    """Makes a queue of the test's own."""
    return TestQueue
