"""What every dispatcher does with a task: it is performed, once, in the right surroundings."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tiercel.contracts.dispatcher import TaskKind
from tiercel.contracts.integration import Integration, IntegrationSpec
from tiercel.contracts.version import SPI_VERSION
from tiercel.dispatch import hand_over
from tiercel.plugins import Registry, default_registry, hookimpl, set_default_registry
from tiercel.testing.conformance import workshop
from tiercel.testing.conformance.bench import Bench, in_child
from tiercel.testing.conformance.promises import Promise, promised
from tiercel.testing.conformance.threads import Threads

MANY = 20


class PerformingTests:
    """Tasks are performed."""

    def test_task_is_performed_once(self, bench: Bench) -> None:
        """What was accepted happens, and does not happen again."""
        bench.send("note", "once")
        bench.await_records("once")
        bench.settle()
        assert len(bench.records("once")) == 1

    def test_tasks_are_all_performed_in_whatever_order(self, bench: Bench) -> None:
        """Of many tasks none is forgotten and none is performed twice."""
        labels = {f"task {number}" for number in range(MANY)}
        for label in sorted(labels):
            bench.send("note", label)
        for label in labels:
            bench.await_records(label)
        assert len(bench.settle()) == MANY

    def test_tasks_of_many_threads_are_all_performed(self, bench: Bench) -> None:
        """`dispatch` may be called by any thread at any time."""
        if bench.mode == "async":
            pytest.skip("not offered: one event loop is one thread")
        tasks = [bench.task("note", f"task {number}") for number in range(MANY)]
        with Threads(4) as pool:
            for done in [pool.submit(bench.dispatch, task) for task in tasks]:
                done.result()
        for number in range(MANY):
            bench.await_records(f"task {number}")

    def test_same_work_when_it_is_nobodys_duplicate_is_done_each_time(self, bench: Bench) -> None:
        """Without `dedup`, equal tasks are different tasks."""
        for _ in range(3):
            bench.send("note", "again", dedup=False)
        bench.await_records("again", 3)

    def test_coroutine_functions_are_performed_too(self, bench: Bench) -> None:
        """Asynchronous work gets an event loop, wherever it is performed."""
        bench.send("anote", "async")
        bench.send("note", "sync")
        bench.await_records("async")
        bench.await_records("sync")

    def test_arguments_arrive_as_they_were(self, bench: Bench) -> None:
        """What the caller passed is what the function gets."""
        saw = {"text": "\u00fcber \U0001f600", "list": [1, 2.5, None, True], "nested": {"a": []}}
        bench.send("note", "arguments", saw)
        assert bench.await_records("arguments")[0].saw == saw

    def test_trace_context_arrives(self, bench: Bench) -> None:
        """What observers gave along at the dispatch is with the task where it is performed."""
        task = bench.task("note", "traced")
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        task.carry(trace, bench.dispatcher.name, None)
        bench.dispatch(task)
        record = bench.await_records("traced")[0]
        assert record.trace == trace
        assert record.task == task.id

    def test_context_of_the_caller_is_seen_by_tasks_of_this_process(self, bench: Bench) -> None:
        """Context variables are those of whoever dispatched, in other threads too."""
        if bench.dispatcher.crosses_processes:
            pytest.skip("not offered: context variables stay in a process")
        with bench.caller("alice"):
            bench.send("note", "context")
        assert bench.await_records("context")[0].caller == "alice"

    def test_task_that_fails_is_named_in_the_log(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A failure is not the caller's, and says which function it was."""
        if bench.dispatcher.crosses_processes:
            pytest.skip("not offered: a worker has a log of its own")
        with caplog.at_level(logging.WARNING):
            bench.send("fail", "broken", 1)
            bench.await_records("broken")
            bench.wait_for(lambda: "workshop:fail" in caplog.text, "a line in the log")
        bench.send("note", "after it")
        bench.await_records("after it")

    def test_task_beside_the_caller_is_inside_the_integrations(self, bench: Bench) -> None:
        """Another thread opens and closes connections; the caller's keeps what it has."""
        if bench.dispatcher.crosses_processes:
            pytest.skip("not offered: perform_message sees to it")
        caller = threading.get_ident() if bench.mode == "sync" else None
        with _integration() as around:
            bench.send("note", "around")
            record = bench.await_records("around")[0]
            bench.close()
        assert around == ([] if record.thread == caller else ["in", "out"])

    @promised(Promise.BACKGROUND)
    def test_caller_goes_on_while_a_task_is_performed(self, bench: Bench) -> None:
        """`dispatch` does not wait for the work."""
        gate = bench.gate()
        bench.send("hold", "slow", str(gate))
        bench.await_records("slow begun")
        assert not bench.records("slow ended")
        gate.touch()
        bench.await_records("slow ended")

    def test_invalidations_in_any_number_are_all_performed(self, bench: Bench) -> None:
        """An accepted invalidation is never given up, not even behind a full queue."""
        if bench.dispatcher.crosses_processes:
            pytest.skip("not offered: it is the broker that keeps them")
        count = 1500
        for number in range(count):
            bench.dispatch(bench.drop(f"drop {number}"))
        bench.wait_for(lambda: len(workshop.read(bench.journal)) >= count, "all invalidations")

    def test_fork_has_a_dispatcher_that_works(self, bench: Bench) -> None:
        """Parent and child dispatch after a fork, whatever the parent had open before."""
        if bench.mode == "async" or not hasattr(os, "fork"):
            pytest.skip("not offered: an event loop does not survive a fork")
        bench.send("note", "before")
        bench.await_records("before")

        def act() -> None:
            bench.send("note", "child")
            bench.dispatcher.close(bench.patience)

        assert in_child(act, bench.patience) == 0
        bench.await_records("child")
        bench.send("note", "parent")
        bench.await_records("parent")

    def test_close_finishes_what_was_accepted(self, bench: Bench) -> None:
        """Nothing is lost at the end."""
        for number in range(MANY):
            bench.send("note", f"last {number}")
        bench.close()
        if bench.dispatcher.crosses_processes:
            for number in range(MANY):
                bench.await_records(f"last {number}")
        bench.settle()
        assert len(workshop.read(bench.journal)) == MANY

    @promised(Promise.BACKGROUND)
    def test_close_when_its_time_is_over_leaves_what_still_runs(self, bench: Bench) -> None:
        """A task that does not end keeps no process from ending."""
        gate = bench.gate()
        bench.send("hold", "endless", str(gate))
        bench.await_records("endless begun")
        bench.finish(0.1)
        gate.touch()  # too late for the task, had it been waited for
        bench.await_records("endless ended")

    def test_task_after_close_is_refused_or_performed(self, bench: Bench) -> None:
        """What comes too late is not swallowed."""
        bench.dispatcher.close(bench.patience)
        task = bench.drop("late") if not bench.dispatcher.crosses_processes else None
        try:
            bench.dispatch(task or bench.task("note", "late"))
        except Exception:
            assert not bench.records("late")
        else:
            bench.await_records("late")

    def test_invalidation_when_it_is_not_accepted_is_done_at_once(self, bench: Bench) -> None:
        """A closed or broken dispatcher costs nobody an invalidation."""
        bench.dispatcher.close(bench.patience)
        task = bench.drop("dropped")
        assert task.kind is TaskKind.INVALIDATE
        hand_over(bench.dispatcher, task)
        bench.await_records("dropped")


class _Watching(Integration):
    name = "kit"

    def __init__(self) -> None:
        self.around: list[str] = []

    @contextmanager
    def around_task(self) -> Iterator[None]:
        self.around.append("in")
        try:
            yield
        finally:
            self.around.append("out")


@contextmanager
def _integration() -> Iterator[list[str]]:
    """Install an integration for a while; yield what its `around_task` is asked for."""

    class Plugin:
        @hookimpl
        def tiercel_integrations(self) -> list[IntegrationSpec]:
            return [IntegrationSpec("kit", lambda: watching, SPI_VERSION)]

    watching, registry = _Watching(), Registry()
    registry.register(Plugin())
    with installed(registry):
        yield watching.around


@contextmanager
def installed(registry: Registry) -> Iterator[None]:
    """Let caches find what is in a registry, and nothing else."""
    former = default_registry()
    set_default_registry(registry)
    try:
        yield
    finally:
        set_default_registry(former)
