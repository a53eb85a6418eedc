"""The processes of tests with real workers: the workers, and programs of the application."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.brokers import forked
from tiercel.testing.conformance.bench import Worker
from tiercel.testing.servers import RedisServer, wait_until
from tools.environment import ROOT

WAREHOUSE = "tests.brokers.warehouse"


class Running(Worker):
    """A worker that runs until the end of a `with` block, or until it is killed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def wait_for(self, text: str, patience: float = 90.0) -> None:
        """Return once it has printed a text."""
        try:
            wait_until(lambda: text in self.log(), repr(text), patience)
        except TimeoutError as error:
            raise AssertionError(f"it never printed {text!r}, but:\n{self.log()}") from error


class Warehouse:
    """The application: what is true, and processes that read and change it.

    Args:
        directory: What is true is kept there.
        dispatcher: The name of the dispatcher.
        options: Of the dispatcher.
        cache: Server of the shared tier.
        variables: More of the environment of its processes.
    """

    def __init__(
        self,
        directory: Path,
        dispatcher: str,
        options: Mapping[str, Any],
        cache: RedisServer,
        **variables: str,
    ) -> None:
        self.directory = directory
        self.variables = variables | {
            "PYTHONPATH": str(ROOT),
            "SHOP_CACHE": f"{cache.url}?prefix=shop{time.monotonic_ns()}",
            "SHOP_DISPATCHER": dispatcher,
            "SHOP_MODULE": f"{WAREHOUSE}.caches",
            "SHOP_OPTIONS": json.dumps(options),
            "SHOP_TRUTH": str(directory),
        }

    def set(self, name: str, value: object = "") -> None:
        """Write down something that is true from now on."""
        (self.directory / name).write_text(str(value))

    def unset(self, name: str) -> None:
        """Take something back."""
        (self.directory / name).unlink()

    def tries(self) -> list[float]:
        """Return when the invalidator was called."""
        path = self.directory / "tries"
        return [float(line) for line in path.read_text().split()] if path.exists() else []

    def read(self, name: str) -> int:
        """Read something in a process of its own."""
        return int(self._run("read", name).stdout)

    def change(self, name: str) -> str:
        """Report a change in a process of its own; return what it wrote to standard error."""
        return self._run("change", name).stderr

    def _run(self, *arguments: str) -> forked.Finished:
        return forked.run(
            WAREHOUSE,
            *arguments,
            variables=self.variables,
            directory=self.directory,
            name=arguments[0],
        )
