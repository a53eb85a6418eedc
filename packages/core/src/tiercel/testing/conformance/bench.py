"""One dispatcher under test: gives it tasks, and finds out what became of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from tiercel.contracts.dispatcher import Dispatcher, Task, TaskKind
from tiercel.dispatch import FunctionTask, refresh_task
from tiercel.testing.conformance import workshop
from tiercel.testing.conformance.workshop import Record

Mode = Literal["sync", "async"]

QUIET = 0.3
"""Seconds without a record after which nothing more is expected."""

TAIL = 2_000
"""Characters of a worker's log that a failure shows."""

LOOKS = 20
"""Looks without a record, besides: a machine that stands still for a while has not been quiet."""


class Bench:
    """A dispatcher under test, with a journal of its own.

    Args:
        dispatcher: What is tested.
        folder: Where journal and other files go.
        patience: Seconds after which something that should happen counts as missing.
        mode: Whether tasks go through `dispatch` or `adispatch`.

    Attributes:
        queue: The queue that the dispatcher sends to; empty if it sends nothing.
        worker: The worker that serves it.
    """

    queue: str = ""
    worker: Worker | None = None

    def __init__(
        self, dispatcher: Dispatcher, folder: Path, patience: float, mode: Mode = "sync"
    ) -> None:
        self.dispatcher = dispatcher
        self.folder = folder
        self.mode = mode
        self.patience = patience
        self._runner = _LoopThread() if mode == "async" else None

    @property
    def journal(self) -> str:
        """The path of the journal."""
        return str(self.folder / "journal")

    def task(self, name: str, label: str, *args: Any, dedup: bool = True) -> FunctionTask:
        """Return a task that calls a function of the workshop, whatever is in the cache.

        Args:
            name: Of the function.
            label: Names the task in the journal.
            *args: More arguments.
            dedup: Whether tasks of the same arguments do the same work.
        """
        function = getattr(workshop, name).cached_function
        call = function.call((self.journal, label, *args), {})
        task = refresh_task(function.subject, call)
        if not dedup:
            task.dedup = ""
        return task

    def drop(self, label: str) -> FunctionTask:
        """Return an invalidation that can be performed in this process only."""

        async def nothing() -> None:
            raise AssertionError("the wrong side of a task was performed")

        return FunctionTask(
            kind=TaskKind.INVALIDATE,
            function="workshop",
            run=lambda: workshop.write(self.journal, label),
            arun=nothing,
            dedup=label,
        )

    def dispatch(self, task: Task, dispatcher: Dispatcher | None = None) -> None:
        """Give a task to the dispatcher, or to another one."""
        to = dispatcher or self.dispatcher
        if self._runner is None:
            to.dispatch(task)
        else:
            self._runner.run(to.adispatch(task))

    def send(self, name: str, label: str, *args: Any, dedup: bool = True) -> FunctionTask:
        """Dispatch what `task` makes, and return it."""
        task = self.task(name, label, *args, dedup=dedup)
        self.dispatch(task)
        return task

    def records(self, label: str) -> list[Record]:
        """Return what was written of one label."""
        return [record for record in workshop.read(self.journal) if record.label == label]

    def await_records(self, label: str, count: int = 1) -> list[Record]:
        """Wait until as many records of a label are there, and return them."""
        self.wait_for(lambda: len(self.records(label)) >= count, f"{count} records of {label!r}")
        return self.records(label)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds; fail if it never does."""
        deadline, worker = time.monotonic() + self.patience, self.worker
        while not condition():
            assert worker is None or worker.running, f"the worker has ended: {worker.tail()}"
            assert time.monotonic() < deadline, (
                f"waited {self.patience:g} s for {what}; there is: {workshop.read(self.journal)}"
                + (f"; the worker said: {worker.tail()}" if worker is not None else "")
            )
            time.sleep(0.01)

    def settle(self) -> list[Record]:
        """Wait until nothing has happened for a while, and return all records."""
        known, since, looks = -1, time.monotonic(), 0
        while time.monotonic() < since + QUIET or looks < LOOKS:
            count, looks = len(workshop.read(self.journal)), looks + 1
            if count != known:
                known, since, looks = count, time.monotonic(), 0
            time.sleep(0.01)
        return workshop.read(self.journal)

    def gate(self) -> Path:
        """Return the path of a file that tasks can wait for."""
        return self.folder / f"gate-{uuid4().hex[:8]}"

    def close(self) -> None:
        """Close the dispatcher the way it was used, and what it was used from."""
        self.finish(self.patience)
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def finish(self, timeout: float) -> None:
        """Close the dispatcher alone, within a time, the way it was used."""
        if self._runner is None:
            self.dispatcher.close(timeout)
        else:
            self._runner.run(self.dispatcher.aclose(timeout))

    @contextmanager
    def caller(self, name: str) -> Iterator[None]:
        """Dispatch from a context of this name."""
        reset = workshop.CALLER.set(name)
        try:
            yield
        finally:
            workshop.CALLER.reset(reset)


class _LoopThread:
    """An event loop that runs in a thread, so that a test can wait beside it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120.0)

    def close(self) -> None:
        """End the loop and its thread."""
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60.0)
        self._loop.close()


class Worker:
    """A real worker: a process, and the processes that it starts.

    Args:
        command: What to run.
        environment: Variables besides those of this process.
        log: The file that gets what it prints.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def log(self) -> str:
        """Return what it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def tail(self) -> str:
        """Return the end of that, for messages."""
        return self.log().strip()[-TAIL:] or "nothing"

    def kill(self) -> None:
        """End it and everything that it has started at once, as a crash of the machine would."""
        self._signal(signal.SIGKILL)
        self._process.wait(10.0)

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        if self.running:
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10.0)
        self.kill()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        for process in _session(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, number)


def _session(leader: int) -> Iterator[int]:
    """Find the processes of a session, where the system says: some workers put each task into a
    process group of its own.
    """
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(path.name)) == leader:
                yield int(path.name)


def in_child(
    act: Callable[[], None], patience: float, beside: Callable[[], None] = lambda: None
) -> int:
    """Act in a fork of this process, and return the exit status of that.

    Args:
        act: What the child does.
        patience: Seconds after which it is killed.
        beside: What this process does meanwhile.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException as error:
            sys.stderr.write(f"in the child: {error!r}\n")
        finally:
            os._exit(status)
    deadline = time.monotonic() + patience
    beside()
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"the child did not end within {patience:g} s")
