"""The processes around the shop: some that ask and change, and workers that drop."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.brokers import forked
from tiercel.testing.conformance.bench import Worker
from tiercel.testing.servers import RedisServer
from tools.environment import ROOT

SHOP = "tests.brokers.shop"
LOST = "was not accepted by dispatcher"
"""Stands in the log for each change whose message the broker did not take."""


class Shop:
    """A process that asks for prices and changes them when it is told to.

    Args:
        setup: The module that says which broker there is; imported before the shop.
        variables: The environment.
        log: The file that gets what it logs.
    """

    def __init__(self, setup: str, variables: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._line, other = multiprocessing.Pipe()
        self._process = forked.start(
            *(forked.serve, (setup, SHOP), "answer", other),
            variables=variables,
            output=log.with_suffix(".out"),
            errors=log,
        )
        other.close()

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text() if self._log.exists() else ""

    def timed(self, *command: str) -> tuple[Any, float]:
        """Give a command; return the answer and the seconds that it took there."""
        try:
            self._line.send(command)
            answer, seconds = self._line.recv()
        except (EOFError, OSError) as error:
            raise AssertionError(self.log) from error
        return answer, float(seconds)

    def read(self, what: str) -> str:
        """Ask for a value of the product."""
        return str(self.timed("read", what)[0])

    def write(self, what: str, value: str) -> float:
        """Change a value of the product; return the seconds that it took."""
        return self.timed("write", what, value)[1]

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()
        self._line.close()


class World:
    """One shop: a shared tier of its own, and processes that are started when they are needed.

    Args:
        folder: Where its data and logs are.
        setup: The module that says which broker there is.
        rules: Options of the rules: dispatcher and its configuration.
        worker: The command of a worker.
        variables: The environment besides that of this process.
    """

    def __init__(
        self,
        folder: Path,
        setup: str,
        rules: Mapping[str, Any],
        worker: Sequence[str],
        variables: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._setup = setup
        self._worker = worker
        self._stack = ExitStack()
        shared_tier = self._stack.enter_context(RedisServer())
        self._variables = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SHOP_CACHE": shared_tier.url,
            "SHOP_FOLDER": str(folder),
            "SHOP_RULES": json.dumps(rules),
            **variables,
        }
        for what in ("price", "stock", "rating"):
            (folder / f"{what}-1").write_text("old")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def shop(self, name: str, **variables: str) -> Shop:
        """Start a process that asks and changes."""
        shop = Shop(self._setup, self._variables | variables, self._folder / f"{name}.log")
        self._stack.callback(shop.kill)
        return shop

    def worker(self, **variables: str) -> Worker:
        """Start a worker."""
        return self.start(self._worker, "worker", **variables)

    def start(self, command: Sequence[str], name: str, **variables: str) -> Worker:
        """Start another process, which is killed at the end."""
        started = Worker(command, self._variables | variables, self._folder / f"{name}.log")
        self._stack.callback(started.kill)
        return started

    def journal(self) -> list[str]:
        """Return what the functions and invalidators have noted."""
        path = self._folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def open_gate(self) -> None:
        """Let go of the invalidators that wait."""
        (self._folder / "gate").touch()
