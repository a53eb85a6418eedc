"""The conformance kit for dispatchers, on each broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import pytest
from celery import Celery

import tiercel_celery
from packages.dispatchers.celery.tests.brokers import (
    AMQP_URL,
    TestQueue,
    celery_app,
    worker_command,
)
from tests.brokers.kits import OnBrokers, OnRedis
from tiercel.spi import Dispatcher
from tiercel.testing import Promise
from tiercel.testing.servers import free_port
from tools.environment import ROOT


@cache
def app_at(url: str) -> Celery:
    """Return the app of this process for a broker."""
    return celery_app(url)


class CeleryConformance(OnBrokers):
    """What is the same on every broker."""

    __test__ = False
    name = "celery"
    wrong_option: ClassVar[Mapping[str, Any]] = {"beat": 1}
    promises = frozenset(Promise)

    @classmethod
    def own_queue(cls) -> TestQueue:
        return TestQueue(cls.url)

    def make_dispatcher(self, **options: Any) -> Dispatcher:
        app = options.setdefault("app", app_at(self.url))
        if options.get("queue"):
            app.amqp.queues.add(tiercel_celery.queue(options["queue"]))
        return super().make_dispatcher(**options)

    def worker_command(self, module: str, queue: str) -> Sequence[str]:
        app = "packages.dispatchers.celery.tests.worker_app:app"
        return ["env", f"TEST_QUEUE={queue}", *worker_command(app, queue, "--include", module)]

    def worker_environment(self) -> Mapping[str, str]:
        fast = {"REMAP_SIGTERM": "SIGQUIT"}  # ends a worker at once
        return {"TEST_BROKER": self.url, "PYTHONPATH": str(ROOT), **fast}


class TestCeleryOnRabbitMQ(CeleryConformance):
    __test__ = True
    url = AMQP_URL

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(app=celery_app(f"amqp://127.0.0.1:{free_port()}//"))

    def dead_letters(self, queue: str) -> list[str]:
        own = TestQueue(self.url)
        own.name = queue
        self.dead.extend(taken.args[0] for taken in own.drain(dead=True))
        return self.dead

    dead: ClassVar[list[str]] = []


@pytest.mark.long
class TestCeleryOnRedis(CeleryConformance, OnRedis):
    __test__ = True

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(app=celery_app(f"redis://127.0.0.1:{free_port()}/0"))
