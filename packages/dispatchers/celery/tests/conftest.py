"""Brokers, and queues that only one test uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packages.dispatchers.celery.tests.brokers import (
    AMQP_URL,
    PATIENCE,
    TestQueue,
    wait_for_brokers,
)
from tests.brokers.fixtures import proxied, proxy, queue, redis, url
from tiercel_celery import publisher

__all__ = ["proxied", "proxy", "queue", "redis", "url"]


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """A broker on a busy machine may be slow."""
    usual = publisher.TIMEOUT
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
