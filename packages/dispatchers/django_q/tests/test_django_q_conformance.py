"""The conformance kit for dispatchers, on the ORM broker and on Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar

import pytest
from django_q.conf import Conf
from django_q.models import Failure

from packages.dispatchers.django_q.tests.django_q_programs import CLUSTER, SETTINGS
from packages.dispatchers.django_q.tests.settings import CLUSTERS
from tiercel.spi import Dispatcher
from tiercel.testing import DispatcherConformance, Promise
from tiercel.testing.servers import RedisServer, free_port
from tiercel_django_q.order import Order
from tools.environment import ROOT

_names = count(1)


class DjangoQConformance(DispatcherConformance):
    """What both brokers have in common; the clusters of these tests share a database."""

    __test__ = False
    name = "django_q"
    wrong_option: ClassVar[Mapping[str, Any]] = {"save": 1}
    shared: ClassVar[str] = ""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def database(cls, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
        with django_db_blocker.unblock():
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls) -> str:
        cls.shared = CLUSTERS[next(_names)]
        return cls.shared

    @pytest.fixture
    def other_queue(self) -> str:
        return CLUSTERS[next(_names)]

    def worker_command(self, module: str, queue: str) -> Sequence[str]:
        variables = [f"Q_CLUSTER_NAME={queue}", f"SHOP_MODULE={module}"]
        if queue != self.shared:  # a cluster that may be killed: its task is soon another's
            variables.append("SHOP_TASK_TIMEOUT=3")
        return ["env", *variables, *CLUSTER]

    def worker_environment(self) -> Mapping[str, str]:
        return {"DJANGO_SETTINGS_MODULE": SETTINGS, "PYTHONPATH": str(ROOT)}

    def dead_letters(self, queue: str) -> list[str]:
        failed = Failure.objects.filter(cluster=queue)
        return [Order.read(*failure.args).text for failure in failed]


class TestDjangoQOnTheORM(DjangoQConformance):
    __test__ = True
    promises = frozenset({Promise.BACKGROUND, Promise.RETRIES, Promise.SURVIVES_KILL})

    def unreachable(self) -> Dispatcher:
        pytest.skip("not offered: a database that this process can do without")


@pytest.mark.long
class TestDjangoQOnRedis(DjangoQConformance):
    """Here a killed task is lost, and a retry is up to half a minute late."""

    __test__ = True
    promises = frozenset({Promise.BACKGROUND})
    url = ""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(cls) -> Iterator[None]:
        with RedisServer() as running, pytest.MonkeyPatch.context() as patch:
            cls.url = running.patient_url
            patch.setattr(Conf, "ORM", None)
            patch.setattr(Conf, "REDIS", running.patient_url)
            yield

    def worker_environment(self) -> Mapping[str, str]:
        return {**super().worker_environment(), "SHOP_BROKER": self.url}

    def unreachable(self) -> Dispatcher:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Conf, "REDIS", f"redis://127.0.0.1:{free_port()}")
            dispatcher = self.make_dispatcher()
            dispatcher._cluster_queue()  # type: ignore[attr-defined]
            return dispatcher
