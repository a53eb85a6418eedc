"""A queue without a broker: messages are files in a folder, workers are processes that read it.

Small, but with everything that a broker has: queues, priorities, delays, retries, dead letters,
and tasks that survive the worker which was at them. Workers run as `python -m ... FOLDER QUEUE`.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from tiercel.spi import (
    COMMON_OPTIONS,
    SPI_VERSION,
    BadMessage,
    DispatcherSpec,
    Message,
    QueueDispatcher,
    perform_message,
)

log = logging.getLogger("spool")


class SpoolDispatcher(QueueDispatcher):
    """Puts messages into a folder, which must exist: else the broker is down."""

    name = "spool"
    default_dedup_window = 0.5

    def __init__(self, folder: str, **common: Any) -> None:
        super().__init__(**common)
        self._folder = Path(folder)

    def send(self, message: Message) -> None:
        put(
            self._folder / (self.queue or "default"),
            {
                "text": message.text,
                "priority": self.priority or 0,
                "due": time.time() + message.delay,
                "failures": 0,
                "pauses": [self.retries.delay(n + 1) for n in range(self.retries.max_retries)],
            },
        )


def spec(make: Callable[..., SpoolDispatcher] = SpoolDispatcher) -> DispatcherSpec:
    """Return a spec such as a plugin provides."""
    return DispatcherSpec(
        "spool",
        lambda options: make(**options),
        SPI_VERSION,
        COMMON_OPTIONS | {"folder"},
        crosses_processes=True,
    )


def put(queue: Path, item: Mapping[str, Any]) -> None:
    """Put an item into a queue, whole or not at all."""
    if not queue.parent.is_dir():
        raise ConnectionError(f"no broker at {queue.parent}")
    queue.mkdir(exist_ok=True)
    name = f"{10_000 - item['priority']:05d}-{time.time_ns():020d}-{uuid4().hex[:6]}"
    draft = queue / f".{name}"
    draft.write_text(json.dumps(item), encoding="ascii")
    draft.rename(queue / f"{name}.waiting")


class Worker:
    """Performs what is in one queue, one after the other; subclasses do it wrongly."""

    def __init__(self, folder: Path, queue: str) -> None:
        self.queue = folder / queue
        self.queue.mkdir(exist_ok=True)

    def run(self) -> None:
        """Work until the process is ended."""
        for left in self.queue.glob("*.taken"):  # by a worker that was killed
            left.rename(left.with_suffix(".waiting"))
        while True:
            for path in self.due():
                self.work(path)
            time.sleep(0.01)

    def due(self) -> Iterator[Path]:
        """Yield the waiting messages whose time has come, in the order of their priorities."""
        for path in sorted(self.queue.glob("*.waiting")):
            if json.loads(path.read_text(encoding="ascii"))["due"] <= time.time():
                yield path
                return

    def work(self, path: Path) -> None:
        """Perform one message."""
        taken = path.rename(path.with_suffix(".taken"))
        item = json.loads(taken.read_text(encoding="ascii"))
        try:
            self.perform(item["text"])
        except BadMessage:
            log.exception("no task")
            self.bury(item)
        except Exception:
            log.exception("a task failed")
            self.retry(item)
        taken.unlink()

    def perform(self, text: str) -> None:
        perform_message(text)

    def retry(self, item: dict[str, Any]) -> None:
        """Put a failed message back, or give it up."""
        failures = item["failures"]
        if failures == len(item["pauses"]):
            self.bury(item)
            return
        item |= {"failures": failures + 1, "due": time.time() + item["pauses"][failures]}
        put(self.queue, item)

    def bury(self, item: Mapping[str, Any]) -> None:
        dead = self.queue / f"{uuid4().hex}.dead"
        dead.write_text(item["text"], encoding="ascii")


def dead_letters(folder: Path, queue: str) -> list[str]:
    """Return the texts of the messages that were given up."""
    return [path.read_text(encoding="ascii") for path in (folder / queue).glob("*.dead")]


def main(folder: str, queue: str, *modules: str) -> None:
    """Run a worker; the last of `modules` may be `module:Class` of a wrong one."""
    logging.basicConfig()
    kind = Worker
    for name in modules:
        module, _, attribute = name.partition(":")
        imported = importlib.import_module(module)
        kind = getattr(imported, attribute) if attribute else kind
    kind(Path(folder), queue).run()


if __name__ == "__main__":
    # Wrong workers subclass the Worker of the module by its own name.
    importlib.import_module("packages.core.tests.spool").main(*sys.argv[1:])
