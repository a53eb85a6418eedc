"""Dispatchers that are wrong, each in a way that a real one might be, fail the kit."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from tiercel.dispatch import InlineDispatcher, ThreadPoolDispatcher, around_tasks, threadpool
from tiercel.dispatch.task import perform
from tiercel.spi import (
    Dispatcher,
    Task,
)
from tiercel.testing import DispatcherConformance
from tiercel.testing.conformance import workshop
from tiercel.testing.conformance.bench import Bench, Mode

PATIENCE = 1.0
"""Seconds until what a wrong dispatcher does not do counts as missing."""

PLENTY = 60.0
"""Seconds for a right one."""


# In this process


class ForgetsOneInSeven(ThreadPoolDispatcher):
    count = 0

    def dispatch(self, task: Task) -> None:
        self.count += 1
        if self.count % 7:
            super().dispatch(task)


class PerformsTwice(InlineDispatcher):
    def dispatch(self, task: Task) -> None:
        super().dispatch(task)
        super().dispatch(task)


class Threads(Dispatcher):
    """One thread for each task, and everything right about it."""

    name = "threads"

    def __init__(self) -> None:
        self.closed = False
        self._threads: list[threading.Thread] = []

    def dispatch(self, task: Task) -> None:
        if self.closed:
            raise RuntimeError("closed")
        thread = threading.Thread(target=copy_context().run, args=(self.work, task), daemon=True)
        self._threads.append(thread)
        thread.start()

    def work(self, task: Task) -> None:
        with around_tasks():
            perform(task)

    def close(self, timeout: float) -> None:
        self.closed = True
        for thread in self._threads:
            thread.join(timeout)


class ClosesWithoutLimit(Threads):
    def close(self, timeout: float) -> None:
        super().close(PLENTY)


class CollapsesRunning(Threads):
    """Leaves out what is being done already."""

    def __init__(self) -> None:
        super().__init__()
        self._at_it: set[str] = set()

    def dispatch(self, task: Task) -> None:
        if task.dedup and task.dedup in self._at_it:
            return
        self._at_it.add(task.dedup)
        super().dispatch(task)

    def work(self, task: Task) -> None:
        super().work(task)
        self._at_it.discard(task.dedup)


class CollapsesForGood(Threads):
    """Does nothing twice, not even what is nobody's duplicate."""

    def __init__(self) -> None:
        super().__init__()
        self._done: set[tuple[str, str]] = set()

    def dispatch(self, task: Task) -> None:
        if (task.function, task.dedup) not in self._done:
            self._done.add((task.function, task.dedup))
            super().dispatch(task)


class LosesContext(Threads):
    def dispatch(self, task: Task) -> None:
        threading.Thread(target=self.work, args=(task,)).start()


class ForgetsIntegrations(Threads):
    def work(self, task: Task) -> None:
        perform(task)


class FailsInSilence(Threads):
    def work(self, task: Task) -> None:
        try:
            with around_tasks():
                task.perform()
        except ValueError:
            return


class PerformsPlainOnly(Threads):
    def work(self, task: Task) -> None:
        if not task.asynchronous:
            super().work(task)


class KeepsTheCaller(InlineDispatcher):
    """Promises to work in the background."""


class GivesUpInvalidations(ThreadPoolDispatcher):
    """Starts late, so that many wait."""

    def __init__(self) -> None:
        super().__init__(max_queue=100)
        self._full = threading.Event()

    def dispatch(self, task: Task) -> None:
        if len(self._waiting) < self.max_queue:
            super().dispatch(task)
        else:
            self._full.set()

    def _perform_next(self, runner: asyncio.Runner) -> bool:
        self._full.wait(PLENTY)
        return super()._perform_next(runner)


class SwallowsWhatComesLate(Threads):
    def dispatch(self, task: Task) -> None:
        if not self.closed:
            super().dispatch(task)


class ForgetsAtClose(InlineDispatcher):
    """Performs a task when the next one comes."""

    def __init__(self) -> None:
        self._last: Task | None = None

    def dispatch(self, task: Task) -> None:
        due, self._last = self._last, task
        if due is not None:
            super().dispatch(due)


class BelievesInItsParentsThreads(ThreadPoolDispatcher):
    def __init__(self) -> None:
        super().__init__(max_workers=1)
        threadpool._pools.discard(self)


IN_PROCESS: dict[type[Dispatcher], str] = {
    ForgetsOneInSeven: "test_tasks_are_all_performed_in_whatever_order",
    PerformsTwice: "test_task_is_performed_once",
    CollapsesRunning: "test_same_work_when_it_runs_already_is_done_again",
    CollapsesForGood: "test_same_work_when_it_is_nobodys_duplicate_is_done_each_time",
    LosesContext: "test_context_of_the_caller_is_seen_by_tasks_of_this_process",
    ForgetsIntegrations: "test_task_beside_the_caller_is_inside_the_integrations",
    FailsInSilence: "test_task_that_fails_is_named_in_the_log",
    PerformsPlainOnly: "test_coroutine_functions_are_performed_too",
    KeepsTheCaller: "test_caller_goes_on_while_a_task_is_performed",
    GivesUpInvalidations: "test_invalidations_in_any_number_are_all_performed",
    SwallowsWhatComesLate: "test_task_after_close_is_refused_or_performed",
    ForgetsAtClose: "test_close_finishes_what_was_accepted",
    ClosesWithoutLimit: "test_close_when_its_time_is_over_leaves_what_still_runs",
    BelievesInItsParentsThreads: "test_fork_has_a_dispatcher_that_works",
}


def run(kit: DispatcherConformance, name: str, bench: Bench, given: dict[str, Any]) -> None:
    """Run one test of the kit."""
    test: Callable[..., None] = getattr(kit, name)
    named = {"bench": bench, "crossing": bench.dispatcher, "other_queue": "other", **given}
    test(**{each: named[each] for each in inspect.signature(test).parameters})


@pytest.mark.parametrize(
    ("mutant", "name"), IN_PROCESS.items(), ids=[mutant.__name__ for mutant in IN_PROCESS]
)
def test_dispatcher_that_is_wrong_fails_the_test_that_is_about_it(
    mutant: type[Dispatcher],
    name: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is right passes it."""
    mode: Mode = "sync"
    kinds: tuple[Any, ...] = (ThreadPoolDispatcher, mutant)
    for number, make in enumerate(kinds):
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = Bench(make(), folder, PATIENCE if make is mutant else PLENTY, mode)
        kit = DispatcherConformance()
        if make is mutant:
            monkeypatch.setattr(workshop, "PATIENCE", 0.3)
            with pytest.raises(AssertionError):
                run(kit, name, bench, {"caplog": caplog})
        else:
            run(kit, name, bench, {"caplog": caplog})
        bench.close()
        caplog.clear()
