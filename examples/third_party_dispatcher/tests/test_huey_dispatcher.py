"""The conformance kit for dispatchers, with real consumers; the package must be installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tiercel import ConfigurationError
from tiercel.spi import Dispatcher
from tiercel.testing import DispatcherConformance, Promise
from tiercel.testing.servers import RedisServer, free_port
from tiercel_huey.dispatcher import HueyDispatcher


class TestHuey(DispatcherConformance):
    name = "huey"
    promises = frozenset({Promise.BACKGROUND, Promise.PRIORITIES, Promise.RETRIES})

    url: str

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def broker(cls) -> Iterator[None]:
        with RedisServer() as server:
            cls.url = server.url
            cls.options = {"url": server.url, "timeout": 60.0}
            yield

    def worker_command(self, module: str, queue: str) -> list[str]:
        variables = [
            f"TIERCEL_HUEY_URL={self.url}",
            f"TIERCEL_HUEY_QUEUE={queue}",
            f"TIERCEL_HUEY_MODULES={module}",
        ]
        consumer = [sys.executable, "-m", "huey.bin.huey_consumer", "tiercel_huey.worker.huey"]
        return ["env", *variables, *consumer]

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(url=f"redis://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("options", "named"),
    [({"url": 6379}, "url"), ({"url": "http://x"}, "url"), ({"timeout": "1"}, "timeout")],
)
def test_option_when_its_value_cannot_work_then_it_is_refused(
    options: dict[str, Any], named: str
) -> None:
    """The error comes when the dispatcher is made, and names the option."""
    with pytest.raises(ConfigurationError, match=f"^{named} must be"):
        HueyDispatcher(**options)
