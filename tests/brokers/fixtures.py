"""Brokers for the tests of a plugin that knows RabbitMQ and Redis: its `conftest` imports them.

It gives two fixtures of its own: `amqp_url`, where RabbitMQ is, and `queue_at`, which makes a queue
on the broker of a URL that only one test uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import urlsplit

import pytest

from tiercel.testing.proxy import TcpProxy
from tiercel.testing.servers import RedisServer

on_rabbitmq = pytest.mark.parametrize("url", ["rabbitmq"], indirect=True)
on_redis = pytest.mark.parametrize("url", ["redis"], indirect=True)
on_both = pytest.mark.parametrize(
    "url", ["rabbitmq", pytest.param("redis", marks=pytest.mark.long)], indirect=True
)
"""Redis gives a task to somebody else only when it has not been heard of for a while."""


class OwnQueue(Protocol):
    """A queue that only one test uses."""

    name: str

    def texts(self) -> list[str]:
        """Take all messages out and return what they carry."""
        ...

    def delete(self) -> None:
        """Delete the queue and what belongs to it."""


QueueAt = Callable[[str], OwnQueue]


@pytest.fixture
def proxy(amqp_url: str) -> Iterator[TcpProxy]:
    """A way to RabbitMQ that can be broken."""
    with TcpProxy(urlsplit(amqp_url).port or 5672) as running:
        yield running


@pytest.fixture
def proxied(amqp_url: str, proxy: TcpProxy) -> str:
    """The URL of RabbitMQ behind `proxy`."""
    parts = urlsplit(amqp_url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}").geturl()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    with RedisServer() as running:
        yield running


@pytest.fixture(params=["rabbitmq", "redis"])
def url(request: pytest.FixtureRequest, amqp_url: str) -> str:
    """The URL of each kind of broker."""
    return amqp_url if request.param == "rabbitmq" else str(request.getfixturevalue("redis").url)


@pytest.fixture
def queue(request: pytest.FixtureRequest, amqp_url: str, queue_at: QueueAt) -> Iterator[OwnQueue]:
    """A queue of the test's own, on the broker of its `url` or else on RabbitMQ."""
    asked = "url" in request.fixturenames
    own = queue_at(request.getfixturevalue("url") if asked else amqp_url)
    yield own
    own.delete()
