"""The conformance kit for dispatchers, on each broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import dramatiq
import pytest

from packages.dispatchers.dramatiq.tests.brokers import (
    AMQP_URL,
    TestQueue,
    open_broker,
    worker_command,
)
from tests.brokers.kits import OnBrokers, OnRedis
from tiercel.spi import Dispatcher
from tiercel.testing import Promise
from tiercel.testing.servers import free_port
from tools.environment import ROOT


@cache
def broker_at(url: str) -> dramatiq.Broker:
    """Return the broker of this process at a URL."""
    return open_broker(url)


class DramatiqConformance(OnBrokers):
    """What is the same on every broker."""

    __test__ = False
    name = "dramatiq"
    wrong_option: ClassVar[Mapping[str, Any]] = {"broker": 1}

    @classmethod
    def own_queue(cls) -> TestQueue:
        return TestQueue(cls.url)

    def make_dispatcher(self, **options: Any) -> Dispatcher:
        options.setdefault("broker", broker_at(self.url))
        return super().make_dispatcher(**options)

    def worker_command(self, module: str, queue: str) -> Sequence[str]:
        broker = "packages.dispatchers.dramatiq.tests.worker_broker"
        return ["env", f"TEST_QUEUE={queue}", *worker_command(broker, module, queue=queue)]

    def worker_environment(self) -> Mapping[str, str]:
        often = {"dramatiq_worker_timeout": "100"}  # milliseconds between looks at delayed messages
        return {"TEST_BROKER": self.url, "PYTHONPATH": str(ROOT), **often}


class TestDramatiqOnRabbitMQ(DramatiqConformance):
    __test__ = True
    promises = frozenset(Promise)
    url = AMQP_URL

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(broker=open_broker(f"amqp://127.0.0.1:{free_port()}/"))


@pytest.mark.long
class TestDramatiqOnRedis(DramatiqConformance, OnRedis):
    __test__ = True
    promises = frozenset(Promise) - {Promise.PRIORITIES}

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(broker=open_broker(f"redis://127.0.0.1:{free_port()}/0"))
