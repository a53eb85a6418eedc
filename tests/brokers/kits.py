"""The conformance kit for dispatchers on each broker, as far as plugins do not differ in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.brokers.fixtures import OwnQueue
from tiercel.testing import DispatcherConformance
from tiercel.testing.servers import RedisServer


class OnBrokers(DispatcherConformance):
    """What is the same on every broker.

    Attributes:
        url: Where the broker is.
    """

    __test__ = False
    backoff = 0.1
    url: ClassVar[str] = ""

    @classmethod
    def own_queue(cls) -> OwnQueue:
        """Make a queue there that only one test uses."""
        raise NotImplementedError(f"{cls.__name__} makes no queues")

    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls) -> Iterator[str]:
        yield from cls._queue()

    @pytest.fixture
    def other_queue(self) -> Iterator[str]:
        yield from self._queue()

    @classmethod
    def _queue(cls) -> Iterator[str]:
        queue = cls.own_queue()
        yield queue.name
        queue.delete()


class OnRedis(OnBrokers):
    """On a Redis that the tests of the class have to themselves."""

    __test__ = False

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(cls) -> Iterator[None]:
        with RedisServer() as running:
            cls.url = running.url
            yield
