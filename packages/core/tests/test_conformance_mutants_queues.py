"""Queue dispatchers and workers that are wrong fail the kit, each the test that is about it."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from packages.core.tests import spool
from packages.core.tests.spool import SpoolDispatcher
from packages.core.tests.test_conformance_dispatchers import TestSpool as RightKit
from packages.core.tests.test_conformance_mutants_dispatchers import PATIENCE, PLENTY, run
from tiercel.dispatch import InlineDispatcher
from tiercel.spi import (
    SPI_VERSION,
    BadMessage,
    DispatcherSpec,
    Message,
    Task,
    TaskKind,
    UnknownFunction,
)
from tiercel.testing import Promise
from tiercel.testing.conformance.bench import Bench, Worker


class IgnoresQueue(SpoolDispatcher):
    first = ""

    def send(self, message: Message) -> None:
        IgnoresQueue.first = IgnoresQueue.first or self.queue or ""
        self.queue = IgnoresQueue.first
        super().send(message)


class IgnoresPriority(SpoolDispatcher):
    def send(self, message: Message) -> None:
        self.priority = None
        super().send(message)


class SwallowsFailures(SpoolDispatcher):
    def send(self, message: Message) -> None:
        try:
            super().send(message)
        except ConnectionError:
            return


class Pickles(SpoolDispatcher):
    def send(self, message: Message) -> None:
        unpickled: Message = pickle.loads(pickle.dumps(message))
        super().send(unpickled)


class LosesTrace(SpoolDispatcher):
    def send(self, message: Message) -> None:
        fields = {**json.loads(message.text), "trace": {}}
        super().send(replace(message, text=json.dumps(fields)))


class CollapsesMessages(SpoolDispatcher):
    """Sends one message in a window, and nothing after it."""

    default_dedup_window = 600.0  # the test is over before another one is sent

    def dispatch(self, task: Task) -> None:
        def send(delay: float) -> None:
            if not delay:
                self._send(task, delay)

        self._window.pass_on((task.kind, task.dedup), send)


class SendsEverything(SpoolDispatcher):
    def dispatch(self, task: Task) -> None:
        self._send(task, 0.0)


class ForgetsRetries(spool.Worker):
    def retry(self, item: dict[str, Any]) -> None:
        self.bury(item)


class RetriesAtOnce(spool.Worker):
    def retry(self, item: dict[str, Any]) -> None:
        super().retry({**item, "pauses": [0.0] * len(item["pauses"])})


class RetriesForEver(spool.Worker):
    def retry(self, item: dict[str, Any]) -> None:
        spool.put(self.queue, item)


class SaysNothing(spool.Worker):
    def perform(self, text: str) -> None:
        try:
            super().perform(text)
        except UnknownFunction:
            return


class GivesUpUnknown(spool.Worker):
    def perform(self, text: str) -> None:
        try:
            super().perform(text)
        except UnknownFunction as error:
            raise BadMessage(str(error)) from error


class RetriesWhatIsNoTask(spool.Worker):
    def perform(self, text: str) -> None:
        try:
            super().perform(text)
        except BadMessage as error:
            raise RuntimeError(str(error)) from error


class AcknowledgesEarly(spool.Worker):
    def work(self, path: Path) -> None:
        text = json.loads(path.read_text(encoding="ascii"))["text"]
        path.unlink()
        self.perform(text)


class IgnoresDelays(spool.Worker):
    def due(self) -> Any:
        yield from sorted(self.queue.glob("*.waiting"))


QUEUES: dict[type[SpoolDispatcher] | type[spool.Worker], str] = {
    IgnoresQueue: "test_task_in_another_queue_waits_for_its_worker",
    IgnoresPriority: "test_higher_priority_is_performed_first",
    SwallowsFailures: "test_broker_that_does_not_answer_is_an_error_soon",
    Pickles: "test_message_is_one_json_text",
    LosesTrace: "test_trace_context_arrives",
    CollapsesMessages: "test_last_of_many_changes_is_always_seen",
    SendsEverything: "test_duplicates_within_the_window_are_collapsed",
    ForgetsRetries: "test_task_that_fails_is_retried_after_growing_pauses",
    RetriesAtOnce: "test_task_that_fails_is_retried_after_growing_pauses",
    RetriesForEver: "test_task_that_keeps_failing_is_given_up_at_the_limit",
    SaysNothing: "test_task_for_an_unknown_function_is_named",
    GivesUpUnknown: "test_task_for_an_unknown_function_waits_for_another_try",
    RetriesWhatIsNoTask: "test_message_that_is_no_task_is_given_up_at_once",
    AcknowledgesEarly: "test_task_is_performed_again_when_its_worker_is_killed",
    IgnoresDelays: "test_duplicates_within_the_window_are_collapsed",
}


PAUSES: dict[Any, float] = {RetriesAtOnce: 10 * PATIENCE}
"""Seconds before the first retry that no slow machine takes by itself."""


class WrongKit(RightKit):
    patience = PATIENCE
    promises = frozenset(Promise)
    __test__ = False


@pytest.mark.parametrize(
    ("mutant", "name"), QUEUES.items(), ids=[mutant.__name__ for mutant in QUEUES]
)
def test_queue_that_is_wrong_fails_the_test_that_is_about_it(
    mutant: Any,
    name: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is right passes it, as its own run of the kit shows."""
    wrong_worker = issubclass(mutant, spool.Worker)

    class Kit(WrongKit):
        spec = spool.spec(SpoolDispatcher if wrong_worker else mutant)
        folder = tmp_path / "spool"
        backoff = PAUSES.get(mutant, RightKit.backoff)
        options = {"folder": str(tmp_path / "spool")}  # noqa: RUF012
        worker_class = (
            "" if issubclass(mutant, SpoolDispatcher) else f"{__name__}:{mutant.__name__}"
        )

    (tmp_path / "spool").mkdir()
    kit = Kit()
    kit._folder = tmp_path
    bench = Bench(kit.make_dispatcher(queue="main"), tmp_path, PATIENCE, "sync")
    with kit.start_worker("main") as worker:
        bench.queue, bench.worker = "main", worker
        first = bench.task("note", "started")
        spool.SpoolDispatcher(str(kit.folder), queue="main").dispatch(first)
        bench.patience = PLENTY
        bench.await_records("started")
        Path(bench.journal).unlink()
        bench.patience = PATIENCE
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            run(kit, name, bench, {"caplog": caplog, "monkeypatch": monkeypatch})
        bench.close()


def test_spec_that_hides_where_tasks_go_is_caught() -> None:
    """A spec must say that a dispatcher crosses processes."""

    class Kit(WrongKit):
        spec = DispatcherSpec(
            "spool",
            lambda options: SpoolDispatcher(**{**options, "folder": "/nowhere"}),
            SPI_VERSION,
            spool.spec().options,
        )

    with pytest.raises(AssertionError):
        Kit().test_spec_says_what_the_dispatcher_is()


@pytest.mark.parametrize("place", ["function", "rule"])
def test_options_that_nobody_checks_are_caught(place: str) -> None:
    """A value that cannot work must be refused where it is given."""

    class Kit(WrongKit):
        spec = replace(spool.spec(), factory=lambda options: SpoolDispatcher("/nowhere"))
        wrong_option: ClassVar[Any] = {"folder": 3}

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        Kit().test_option_that_cannot_work_is_refused_at_decoration(place)


def test_worker_that_cannot_start_is_named_at_once(tmp_path: Path) -> None:
    """What it said is what its author needs, and waiting for it helps nobody."""
    bench = Bench(InlineDispatcher(), tmp_path, 10 * PLENTY)
    bench.worker = Worker([sys.executable, "-m", "no_such_worker"], {}, tmp_path / "log")
    with pytest.raises(AssertionError, match=r"has ended: (?s:.)*No module named no_such_worker"):
        bench.await_records("never")
    bench.worker.stop()


def test_kit_that_is_cheated_says_so() -> None:
    """A plugin cannot pass by replacing a test of the kit."""

    class Cheating(WrongKit):
        def test_task_is_performed_once(self, bench: Bench) -> None:
            """Pass."""

    WrongKit().test_no_overrides()
    with pytest.raises(AssertionError, match="overrides a test of the kit"):
        Cheating().test_no_overrides()


def test_tasks_of_the_kit_can_be_invalidations() -> None:
    """The kit's own invalidation is one, so that what it tests of them counts."""
    bench = Bench(InlineDispatcher(), Path(), PATIENCE)
    assert bench.drop("x").kind is TaskKind.INVALIDATE
