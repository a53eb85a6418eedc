"""What dispatchers do that send tasks to workers; each test with a real worker process."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from tiercel.caches import Cache
from tiercel.contracts.dispatcher import Dispatcher, Message, TaskKind
from tiercel.dispatch import FunctionTask, QueueDispatcher, hand_over, refresh_task
from tiercel.errors import ConfigurationError
from tiercel.testing.conformance import workshop
from tiercel.testing.conformance.bench import Bench, Worker
from tiercel.testing.conformance.promises import Promise, promised

WRONG: dict[str, Any] = {
    "dedup_window": -1.0,
    "max_backoff": -1,
    "max_retries": 1.5,
    "min_backoff": "soon",
    "priority": "high",
    "queue": "",
}

SOON = 30.0
"""Seconds within which a broker that does not answer is given up."""


class QueueTests:
    """Messages reach the right worker, once or again."""

    backoff: float
    high_priority: int
    low_priority: int
    make_dispatcher: Callable[..., Dispatcher]
    unreachable: Callable[[], Dispatcher]
    dead_letters: Callable[[str], list[str] | None]
    start_worker: Callable[[str], AbstractContextManager[Worker]]

    @pytest.fixture
    def crossing(self, bench: Bench) -> QueueDispatcher:
        """Give a dispatcher that sends messages; others are not tested here."""
        if not isinstance(bench.dispatcher, QueueDispatcher):
            pytest.skip("not offered: workers in other processes")
        if bench.mode == "async":
            pytest.skip("not offered: it is the same in either mode")
        return bench.dispatcher

    @pytest.fixture
    def other_queue(self) -> str:
        """Give a queue of the test's own, which no worker serves yet."""
        return f"tiercel-{uuid4().hex[:8]}"

    def test_wrong_values_of_common_options_are_refused(self, crossing: QueueDispatcher) -> None:
        """Each option is checked when the dispatcher is made, and the error names it."""
        for option, value in WRONG.items():
            with pytest.raises(ConfigurationError, match=option):
                self.make_dispatcher(**{option: value})

    def test_message_is_one_json_text(
        self, bench: Bench, crossing: QueueDispatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is ours travels as JSON in ASCII; nothing of it is pickled."""
        sent: list[Message] = []
        send = crossing.send

        def spy(message: Message) -> None:
            sent.append(message)
            send(message)

        def refuse(*_: Any) -> Any:
            raise AssertionError("an object of Tiercel is being pickled")

        monkeypatch.setattr(crossing, "send", spy)
        for cls in (Message, FunctionTask):
            monkeypatch.setattr(cls, "__reduce_ex__", refuse)
        task = bench.send("note", "json")
        assert bench.await_records("json")[0].task == task.id
        assert sent[0].text.isascii()
        assert json.loads(sent[0].text)["function"] == task.function

    def test_task_in_another_queue_waits_for_its_worker(
        self, bench: Bench, crossing: QueueDispatcher, other_queue: str
    ) -> None:
        """The option `queue` decides which worker gets a task."""
        bench.dispatch(bench.task("note", "there"), self.make_dispatcher(queue=other_queue))
        bench.send("note", "here")
        bench.await_records("here")
        bench.settle()
        assert not bench.records("there")
        with self.start_worker(other_queue):
            bench.await_records("there")

    @promised(Promise.RETRIES)
    def test_task_that_fails_is_retried_after_growing_pauses(
        self, bench: Bench, crossing: QueueDispatcher
    ) -> None:
        """Back-off is kept, and a task that succeeds at last is not performed any more."""
        dispatcher = self._retrying(bench, 3)
        bench.dispatch(bench.task("fail", "shaky", 2), dispatcher)
        times = [record.at for record in bench.await_records("shaky", 3)]
        pauses = [later - sooner for sooner, later in pairwise(times)]
        wanted = [dispatcher.retries.delay(attempt) for attempt in (1, 2)]
        kept = [pause >= 0.8 * least for pause, least in zip(pauses, wanted, strict=True)]
        assert all(kept), f"pauses of {pauses} s, and {wanted} s were to be kept"
        time.sleep(dispatcher.retries.delay(3))
        bench.settle()
        assert len(bench.records("shaky")) == 3

    @promised(Promise.RETRIES)
    def test_task_that_keeps_failing_is_given_up_at_the_limit(
        self, bench: Bench, crossing: QueueDispatcher
    ) -> None:
        """After `max_retries` more attempts it is a dead letter, or at least named in the log."""
        dispatcher = self._retrying(bench, 1)
        bench.dispatch(bench.task("fail", "hopeless", 99), dispatcher)
        bench.await_records("hopeless", 2)
        time.sleep(2 * dispatcher.retries.delay(2))
        bench.settle()
        assert len(bench.records("hopeless")) == 2
        self._await_trace(bench, "workshop:fail")

    def test_task_for_an_unknown_function_is_named(
        self, bench: Bench, crossing: QueueDispatcher
    ) -> None:
        """A worker without the function says so loudly, and goes on with other tasks."""
        task = _unknown()
        bench.dispatch(task, self._retrying(bench, 0))
        self._await_trace(bench, task.function)
        bench.send("note", "known")
        bench.await_records("known")

    @promised(Promise.RETRIES)
    def test_task_for_an_unknown_function_waits_for_another_try(
        self, bench: Bench, crossing: QueueDispatcher
    ) -> None:
        """Another worker may have the function, or this one after a deployment."""
        task = _unknown()
        bench.dispatch(task, self._retrying(bench, 3, bench.patience))
        bench.send("note", "known")
        bench.await_records("known")
        bench.settle()
        assert not any(task.function in text for text in self.dead_letters(bench.queue) or ())

    @promised(Promise.RETRIES)
    def test_message_that_is_no_task_is_given_up_at_once(
        self, bench: Bench, crossing: QueueDispatcher
    ) -> None:
        """Another try would not help, and whoever looks should find it."""
        text = json.dumps({"no task": uuid4().hex})
        message = Message(text, uuid4().hex, TaskKind.REFRESH, f"{workshop.__name__}:note", "")
        self._retrying(bench, 3, 10 * bench.patience).send(message)
        bench.send("note", "after it")
        bench.await_records("after it")
        if self.dead_letters(bench.queue) is not None:
            bench.wait_for(lambda: text in (self.dead_letters(bench.queue) or ()), "a dead letter")

    @promised(Promise.PRIORITIES)
    def test_higher_priority_is_performed_first(
        self, bench: Bench, crossing: QueueDispatcher, other_queue: str
    ) -> None:
        """What waits is taken in the order of `priority`."""
        low = self.make_dispatcher(queue=other_queue, priority=self.low_priority)
        high = self.make_dispatcher(queue=other_queue, priority=self.high_priority)
        for number in range(4):
            bench.dispatch(bench.task("note", "any", f"low {number}"), low)
        bench.dispatch(bench.task("note", "any", "high"), high)
        with self.start_worker(other_queue):
            order = [record.saw for record in bench.await_records("any", 5)]
        assert order.index("high") < 2, order

    @promised(Promise.SURVIVES_KILL)
    def test_task_is_performed_again_when_its_worker_is_killed(
        self, bench: Bench, crossing: QueueDispatcher, other_queue: str
    ) -> None:
        """A crash in mid-task costs time, not the task."""
        gate = bench.gate()
        dispatcher = self.make_dispatcher(queue=other_queue)
        with self.start_worker(other_queue) as first:
            bench.dispatch(bench.task("hold", "tough", str(gate)), dispatcher)
            bench.await_records("tough begun")
            first.kill()
        gate.touch()
        assert not bench.records("tough ended")
        with self.start_worker(other_queue):
            bench.await_records("tough ended")

    def test_broker_that_does_not_answer_is_an_error_soon(
        self, bench: Bench, crossing: QueueDispatcher, caplog: pytest.LogCaptureFixture
    ) -> None:
        """`dispatch` raises, so that the caller can do an invalidation itself."""
        dispatcher = self.unreachable()
        start = time.monotonic()
        with pytest.raises(Exception):  # noqa: B017, PT011 - each broker has errors of its own
            dispatcher.dispatch(bench.task("note", "lost"))
        assert time.monotonic() - start < SOON
        with caplog.at_level(logging.WARNING):
            hand_over(dispatcher, bench.drop("done here"))
        assert bench.records("done here")
        assert "was not accepted by dispatcher" in caplog.text
        assert not bench.records("lost")

    def _retrying(
        self, bench: Bench, max_retries: int, backoff: float | None = None
    ) -> QueueDispatcher:
        pause = self.backoff if backoff is None else backoff
        dispatcher = self.make_dispatcher(
            queue=bench.queue, max_retries=max_retries, min_backoff=pause, max_backoff=10 * pause
        )
        assert isinstance(dispatcher, QueueDispatcher)
        return dispatcher

    def _await_trace(self, bench: Bench, name: str) -> None:
        """Wait until a task is a dead letter, or its function is named in the worker's log."""

        def found() -> bool:
            assert bench.worker is not None
            dead = self.dead_letters(bench.queue)
            log = bench.worker.log()
            return name in log if dead is None else any(name in text for text in dead)

        bench.wait_for(found, f"{name} among dead letters, or in the log")


def _unknown() -> FunctionTask:
    """Return a task for a function that no worker has."""
    name = f"{workshop.__name__}:gone_{uuid4().hex[:8]}"
    made: Any = Cache(name="workshop").cached(name=name)(lambda: None)
    unknown = made.cached_function
    return refresh_task(unknown.subject, unknown.call((), {}))
