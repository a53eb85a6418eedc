"""What the tasks of the conformance kit for dispatchers do: workers import this module.

Each function takes the path of a journal first, and appends to it what it saw: that is how a test
learns what happened in another process.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from msgspec import Struct

from tiercel.caches import Cache
from tiercel.dispatch import current_task

PATIENCE = 60.0
"""Seconds after which a task that waits for a test gives up."""

CALLER: ContextVar[str] = ContextVar("tiercel_kit_caller", default="")
"""Set by tests where they dispatch, to see it where the task is performed."""

cache = Cache(name="workshop")


class Record(Struct, frozen=True):
    """One line of a journal.

    Attributes:
        label: Says of which task, and what of it.
        saw: What the task saw.
        task: Id of the task.
        trace: What the task carries for observers.
        caller: The value of `CALLER` there.
        process: Id of the process.
        thread: Id of the thread.
        at: Seconds since the Unix epoch.
    """

    label: str
    saw: Any
    task: str
    trace: dict[str, str]
    caller: str
    process: int
    thread: int
    at: float


def write(journal: str, label: str, saw: Any = None) -> None:
    """Append a record; lines of several processes do not mix."""
    task = current_task()
    record = {
        "label": label,
        "saw": saw,
        "task": task.id if task else "",
        "trace": dict(task.trace) if task else {},
        "caller": CALLER.get(),
        "process": os.getpid(),
        "thread": threading.get_ident(),
        "at": time.time(),
    }
    with Path(journal).open("ab", buffering=0) as file:
        file.write(json.dumps(record).encode() + b"\n")


def read(journal: str) -> list[Record]:
    """Return the records of a journal, in order."""
    try:
        text = Path(journal).read_bytes()
    except FileNotFoundError:
        return []
    whole = text[: text.rfind(b"\n") + 1]  # the last line may be half written
    return [Record(**json.loads(line)) for line in whole.splitlines()]


@cache.cached
def note(journal: str, label: str, saw: Any = None) -> None:
    """Write that it was performed."""
    write(journal, label, saw)


@cache.cached
async def anote(journal: str, label: str) -> None:
    """Do the same as a coroutine function."""
    await asyncio.sleep(0)
    write(journal, label)


@cache.cached
def fail(journal: str, label: str, times: int) -> None:
    """Fail the first so many times."""
    write(journal, label)
    attempts = sum(record.label == label for record in read(journal))
    if attempts <= times:
        raise ValueError(f"attempt {attempts} of {label} fails as it should")


@cache.cached
def hold(journal: str, label: str, gate: str) -> None:
    """Write that it has begun, wait for a file to exist, write that it has ended."""
    write(journal, f"{label} begun")
    deadline = time.monotonic() + PATIENCE
    while not Path(gate).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{label} was never let go")
        time.sleep(0.005)
    write(journal, f"{label} ended")


@cache.cached
def observe(journal: str, label: str, board: str) -> None:
    """Read a file as a computation reads its source, take some time, write what it said."""
    saw = Path(board).read_text(encoding="ascii")
    time.sleep(0.02)
    write(journal, label, saw)
