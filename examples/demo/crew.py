"""The processes of the application: each makes calls when told to, and reports every one."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty
from typing import Any

import rides
from rides import Peak

import tiercel

PATIENCE = 120.0
"""Seconds after which a silent process is taken for dead."""

Question = tuple[str, str]


@dataclass(frozen=True)
class Report:
    """One call: who made it, what it returned and how it was served.

    Times are seconds; `began` is on a clock that all processes of a machine share.
    """

    process: int
    question: Question
    began: float
    took: float
    value: Peak | None
    status: str
    tier: str
    error: str = ""


class Crew:
    """Some processes that share one cache.

    Args:
        size: How many.
        url: The cache.
        database: The application's database.
    """

    def __init__(self, size: int, url: str, database: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._reports: Any = context.Queue()
        self._orders: list[Any] = [context.Queue() for _ in range(size)]
        self._processes: list[BaseProcess] = [
            context.Process(
                target=_work,
                args=(number, url, str(database), orders, self._reports),
                name=f"process {number}",
                daemon=True,
            )
            for number, orders in enumerate(self._orders, start=1)
        ]

    def __enter__(self) -> Crew:
        for process in self._processes:
            process.start()
        list(self.ask([[] for _ in self._processes]))
        return self

    def __exit__(self, *_: object) -> None:
        for orders in self._orders:
            orders.put(None)
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()

    def __len__(self) -> int:
        return len(self._processes)

    @property
    def numbers(self) -> set[int]:
        """What the processes are called in reports."""
        return set(range(1, len(self) + 1))

    def ask(self, questions: Sequence[Sequence[Question]], pause: float = 0.0) -> Iterator[Report]:
        """Let each process ask its own questions, one after the other."""
        orders: list[tuple[Any, ...]] = [(_ask_in_turn, asked, pause) for asked in questions]
        return self._carry_out(orders)

    def race(self, question: Question, threads: int) -> Iterator[Report]:
        """Let all processes ask one question at the same moment, in several threads each."""
        start = time.monotonic() + 0.3
        return self._carry_out([(_ask_at_once, question, threads, start)] * len(self))

    def watch(self, question: Question, old: Peak, until: float) -> Iterator[Report]:
        """Let all processes ask one question until the answer is another than `old`.

        They begin before this returns. Reported are the last old answer and the first new one.
        """
        return self._carry_out([(_ask_until_changed, question, old, until)] * len(self))

    def _carry_out(self, orders: Sequence[tuple[Any, ...]]) -> Iterator[Report]:
        for queue, order in zip(self._orders, orders, strict=True):
            queue.put(order)
        return self._collect()

    def _collect(self) -> Iterator[Report]:
        working = len(self)
        while working:
            try:
                report = self._reports.get(timeout=PATIENCE)
            except Empty:
                raise RuntimeError(f"a process has been silent for {PATIENCE:.0f} s") from None
            if isinstance(report, Report):
                yield report
            else:
                working -= 1


def _work(number: int, url: str, database: str, orders: Any, reports: Any) -> None:
    """Be one process of the application."""
    rides.use(Path(database))
    # A dead Redis is reported as warnings; here the table tells of it.
    logging.getLogger("tiercel").setLevel(logging.ERROR)
    tiercel.configure(default=url)
    with suppress(KeyboardInterrupt):
        while (order := orders.get()) is not None:
            work, *arguments = order
            work(_Caller(number, reports), *arguments)
            reports.put(None)
    tiercel.get_cache().close()


class _Caller:
    """Makes calls for one process and reports them."""

    def __init__(self, process: int, reports: Any) -> None:
        self._process = process
        self._reports = reports

    def call(self, question: Question, *, quiet: bool = False) -> Report:
        """Make one call; `quiet` keeps it out of the reports."""
        began, clock = time.monotonic(), time.perf_counter()
        value, *how = _answer(question)
        took = time.perf_counter() - clock
        report = Report(self._process, question, began, took, value, *how)
        if not quiet:
            self._reports.put(report)
        return report

    def report(self, report: Report) -> None:
        """Report a call that was quiet at first."""
        self._reports.put(report)


def _answer(question: Question) -> tuple[Peak | None, str, str, str]:
    try:
        value, metadata = rides.taxis_needed.get_with_metadata(*question)
    except Exception as error:  # the demo is there to show that this does not happen
        return None, "ERROR", "", f"{type(error).__name__}: {error}"
    return value, metadata["cache_status"], metadata["tier"], ""


def _ask_in_turn(caller: _Caller, questions: Sequence[Question], pause: float) -> None:
    for question in questions:
        caller.call(question)
        time.sleep(pause)


def _ask_at_once(caller: _Caller, question: Question, threads: int, start: float) -> None:
    def ask() -> None:
        time.sleep(max(0.0, start - time.monotonic()))
        caller.call(question)

    _join([threading.Thread(target=ask) for _ in range(threads)])


def _ask_until_changed(caller: _Caller, question: Question, old: Peak, until: float) -> None:
    last: Report | None = None
    while (seen := caller.call(question, quiet=True)).value == old and seen.began < until:
        last = seen
        time.sleep(0.001)
    if last is not None:
        caller.report(last)
    caller.report(seen)


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
