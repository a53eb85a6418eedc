"""The kit on the dispatchers that core brings, and on a queue with workers of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from packages.core.tests import spool
from tiercel.contracts.dispatcher import Dispatcher
from tiercel.testing import DispatcherConformance, Promise


class TestInline(DispatcherConformance):
    name = "inline"


class TestThreadPool(DispatcherConformance):
    name = "threadpool"
    wrong_option: ClassVar[Mapping[str, Any]] = {"max_workers": 0}
    promises = frozenset({Promise.BACKGROUND})


class TestAsyncio(DispatcherConformance):
    name = "asyncio"
    modes = ("async",)
    promises = frozenset({Promise.BACKGROUND})


class TestSpool(DispatcherConformance):
    spec = spool.spec()
    promises = frozenset(Promise)
    worker_class = ""

    folder: Path

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def broker(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.folder = tmp_path_factory.mktemp("broker")
        cls.options = {"folder": str(cls.folder)}

    def worker_command(self, module: str, queue: str) -> list[str]:
        command = [sys.executable, "-m", "packages.core.tests.spool", str(self.folder), queue]
        return [*command, module, *([self.worker_class] if self.worker_class else [])]

    def dead_letters(self, queue: str) -> list[str]:
        return spool.dead_letters(self.folder, queue)

    def unreachable(self) -> Dispatcher:
        return self.make_dispatcher(folder=str(self.folder / "nobody"))
