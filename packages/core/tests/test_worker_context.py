"""What a task is performed in: integrations, observers and their context."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker, made, message, plugged
from tiercel import Cache
from tiercel.dispatch import current_task, hand_over, refresh_task
from tiercel.spi import Integration, Observer, Operation, aperform_message, perform_message
from tiercel.testing import SimulatedBackend, VirtualClock


class Surroundings(Integration, Observer):
    """Records what a task is performed in."""

    name = "kit"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.operations: list[Operation] = []

    @contextmanager
    def around_task(self) -> Iterator[None]:
        self.seen.append("in")
        yield
        self.seen.append("out")

    def on_start(self, operation: Operation) -> None:
        if operation.kind in ("dispatch", "task"):
            self.seen.append(f"{operation.kind} starts")
            self.operations.append(operation)

    def on_end(self, operation: Operation, started: Any) -> None:
        if operation.kind in ("dispatch", "task"):
            self.seen.append(f"{operation.kind} ends")

    def carry(self) -> Mapping[str, str]:
        self.seen.append("carry")
        return {"traceparent": REQUEST.get()}

    @contextmanager
    def attach(self, carried: Mapping[str, str]) -> Iterator[None]:
        self.seen.append(f"attach {carried.get('traceparent')}")
        yield
        self.seen.append("detach")

    def unpack(self, tag: str, data: Any) -> Any:
        raise LookupError("row 5 is gone")


REQUEST: ContextVar[str] = ContextVar("request", default="none")


@pytest.fixture
def surroundings() -> Iterator[tuple[Surroundings, ListBroker]]:
    """Give an integration that is an observer too, and a broker."""
    both, broker = Surroundings(), ListBroker()
    with plugged(broker, integration=both, observer=both):
        yield both, broker


async def test_task_is_seen_by_observers_with_its_context(
    surroundings: tuple[Surroundings, ListBroker],
) -> None:
    """DISPATCH where it is sent, TASK where it is performed, and the context between them."""
    watching, broker = surroundings
    clock = VirtualClock()
    cache = Cache(backend=SimulatedBackend(clock), clock=clock, name="shop")
    function = made(lambda: watching.seen.append("work"), cache=cache)
    task = refresh_task(function.subject, function.call((), {}))
    REQUEST.set("00-abc-def-01")
    hand_over(cache.dispatcher("list", {"queue": "slow"}, "inline"), task)
    assert watching.seen == ["dispatch starts", "carry", "dispatch ends"]
    watching.seen.clear()
    perform_message(broker.take())
    work = ["attach 00-abc-def-01", "task starts", "work", "task ends", "detach"]
    assert watching.seen == ["in", *work, "out"]
    for operation in watching.operations:
        assert operation.function == function.name
        assert operation.cache == "shop"
        about = {"dispatcher": "list", "id": task.id, "kind": "refresh", "queue": "slow"}
        assert operation.attributes == about
        assert operation.error is None
    cache.close()


async def test_task_when_it_fails_ends_with_its_error(
    surroundings: tuple[Surroundings, ListBroker],
) -> None:
    """Observers see the failure, and everything is closed."""
    watching, _ = surroundings

    async def fail() -> None:
        raise ValueError("no stock")

    with pytest.raises(ValueError, match="no stock"):
        await aperform_message(message(made(fail)))
    assert isinstance(watching.operations[-1].error, ValueError)
    assert watching.seen[-2:] == ["task ends", "detach"]


async def test_task_when_threads_perform_it_has_the_context_too(
    surroundings: tuple[Surroundings, ListBroker],
) -> None:
    """In this process, a task carries its context as well."""
    watching, _ = surroundings
    cache = Cache()
    function = made(lambda: watching.seen.append("work"), cache=cache)
    REQUEST.set("here")
    for name in ("threadpool", "asyncio", "inline"):
        watching.seen.clear()
        dispatcher = cache.dispatcher(name, {}, "inline")
        hand_over(dispatcher, refresh_task(function.subject, function.call((), {})))
        await dispatcher.aclose(5.0)
        assert "attach here" in watching.seen
        assert watching.seen.count("work") == 1
        assert ("in" in watching.seen) == (name != "inline")


def test_observer_when_it_fails_harms_no_task(caplog: pytest.LogCaptureFixture) -> None:
    """An observer that raises is logged once; the task is performed, and keeps its own error."""

    class Broken(Observer):
        def carry(self) -> Mapping[str, str]:
            raise RuntimeError("no tracer")

        @contextmanager
        def attach(self, carried: Mapping[str, str]) -> Iterator[None]:
            with suppress(ValueError):
                yield
            raise RuntimeError("no tracer")

    with plugged(observer=Broken()):
        calls: list[int] = []
        function = made(calls.append)
        hand_over(
            Cache().dispatcher("inline", {}, "inline"),
            refresh_task(function.subject, function.call((1,), {})),
        )
        assert calls == [1]

        def fail() -> None:
            raise ValueError("its own")

        with pytest.raises(ValueError, match="its own"):
            perform_message(message(made(fail)))
    assert caplog.text.count("failed; its failures are not logged again") == 1


def test_observer_when_nobody_overrides_costs_no_call() -> None:
    """Without an observer of tasks, nothing is built for one."""

    class Hits(Observer):
        def on_event(self, event: Any) -> None:
            """Do nothing."""

    with plugged(observer=Hits()):
        function = made(lambda: None)
        task = refresh_task(function.subject, function.call((), {}))
        assert not task.observers.follow_tasks
        hand_over(Cache().dispatcher("inline", {}, "inline"), task)
        assert task.dispatcher == ""


def test_value_when_it_is_gone_ends_the_task_quietly(
    surroundings: tuple[Surroundings, ListBroker], caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing to refresh for a row that was deleted, and nothing to retry."""
    function = made(lambda row: pytest.fail("called"))
    payload = {"args": [{"$kit.row": 5}], "kwargs": {}}
    with caplog.at_level(logging.INFO):
        perform_message(message(function, 1, payload=payload))
    assert "is given up: kit.row: row 5 is gone" in caplog.text


def test_task_can_be_asked_for_by_the_code_that_it_runs() -> None:
    """Code can tell that it runs in the background, and for what."""
    seen: list[Any] = []
    function = made(lambda: seen.append(current_task()))
    perform_message(message(function))
    assert seen[0].function == function.name
    assert current_task() is None
