"""Worker processes that a test talks to line by line, stops, continues and kills."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).with_name("workers.py")
ROOT = Path(__file__).parents[2]


class Program:
    """One worker process in one role of `workers.py`."""

    def __init__(self, role: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.faults.workers", role, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def hear(self) -> Any:
        """Return the next thing that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(f"the worker has ended: {self._process.communicate()[1]}")
        return json.loads(line)

    def tell(self, word: str = "go") -> None:
        """Say something to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        self._process.send_signal(number)

    def end(self, timeout: float = 90.0) -> str:
        """Wait until it ends by itself; return what it wrote to standard error."""
        _, errors = self._process.communicate(timeout=timeout)
        assert self._process.returncode == 0, errors
        return errors

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def program(role: str, *arguments: str) -> Iterator[Program]:
    """Run a worker; it is killed in the end if it has not ended."""
    worker = Program(role, *arguments)
    try:
        yield worker
    finally:
        worker.kill()
