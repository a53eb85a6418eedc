"""The conformance kit for dispatchers, with plain RQ and with django-rq."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar

import pytest
from django.test import override_settings
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry

from packages.dispatchers.rq.tests.rq_programs import COMMANDS, INTERVALS, SETTINGS, WORKER
from packages.dispatchers.rq.tests.settings import QUEUES
from tiercel.spi import Dispatcher
from tiercel.testing import DispatcherConformance, Promise
from tiercel.testing.servers import RedisServer, free_port
from tools.environment import ROOT


class RQConformance(DispatcherConformance):
    """What both names have in common."""

    __test__ = False
    promises = frozenset({Promise.BACKGROUND, Promise.RETRIES, Promise.SURVIVES_KILL})
    wrong_option: ClassVar[Mapping[str, Any]] = {"at_front": 1}
    url: ClassVar[str] = ""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(cls) -> Iterator[None]:
        with RedisServer() as running:
            cls.url = running.patient_url
            yield

    def dead_letters(self, queue: str) -> list[str]:
        waiting = Queue(queue, connection=Redis.from_url(self.url))
        names = FailedJobRegistry(queue=waiting).get_job_ids()
        return [job.args[0] for job in map(waiting.fetch_job, names) if job is not None]


class TestRQ(RQConformance):
    __test__ = True
    name = "rq"

    def make_dispatcher(self, **options: Any) -> Dispatcher:
        return super().make_dispatcher(**{"connection": self.url, **options})

    def worker_command(self, module: str, queue: str) -> Sequence[str]:
        command = ["-c", "from rq.cli import main; main()", "worker", "-c", module]
        more = ["--with-scheduler", *INTERVALS, "--worker-class", WORKER, queue]
        return [sys.executable, *command, "--url", self.url, *more]

    def worker_environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(ROOT)}

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(connection=f"redis://127.0.0.1:{free_port()}")


@pytest.mark.long
class TestDjangoRQ(RQConformance):
    __test__ = True
    name = "django_rq"
    _unused = (QUEUES[number] for number in count())

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def queues(cls, server: None) -> Iterator[None]:
        queues = {name: {"URL": cls.url} for name in QUEUES}
        down = {"URL": f"redis://127.0.0.1:{free_port()}"}
        with override_settings(RQ_QUEUES={**queues, "down": down}):
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls) -> str:
        return next(cls._unused)

    @pytest.fixture
    def other_queue(self) -> str:
        return next(self._unused)

    def worker_command(self, module: str, queue: str) -> Sequence[str]:
        command = [sys.executable, *COMMANDS["django_rq"], "--with-scheduler"]
        return ["env", f"SHOP_MODULE={module}", *command, "--worker-class", WORKER, queue]

    def worker_environment(self) -> Mapping[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONPATH": str(ROOT),
            "SHOP_BROKER": self.url,
        }

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(queue="down")
