"""A project's own invalidators: what they get, where they run, and what becomes of their errors."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from packages.core.tests.ruled import (
    Customer,
    Order,
    Surroundings,
    created,
    deleted,
    half_imported,
    updated,
)
from packages.core.tests.stages import Stage, until, wait_until
from tiercel import ArgsKeyField, ConfigurationError, InvalidationRule, SignalType
from tiercel.errors import UnknownFunction
from tiercel.spi import acarry_out, carry_out, plan

pytestmark = pytest.mark.usefixtures("own_rules")

USER = {"user": ArgsKeyField("user_id", partition=True)}


_kept: list[Any] = []
"""A function that nobody can call any more has no rules either."""


@pytest.fixture(autouse=True)
def keep_functions() -> Iterator[None]:
    yield
    _kept.clear()


class Calls(list[tuple[Any, ...]]):
    """Invalidators that note what they get."""

    def minimal(self, wrapper: Any, instance: Any) -> None:
        self.append((wrapper.name, instance))

    def some(self, wrapper: Any, instance: Any, update_fields: Any, signal_type: Any) -> None:
        self.append((signal_type, update_fields))

    def everything(self, wrapper: Any, instance: Any, **extras: Any) -> None:
        self.append((extras,))


def listen(stage: Stage, invalidator: Any, **rule: Any) -> Any:
    """Return a cached function whose only rule has this invalidator."""
    rules = [InvalidationRule(Order, invalidator=invalidator, **rule)]
    function = stage.cached(key=USER, invalidates_on=rules)(lambda user_id: user_id)
    _kept.append(function)
    return function


def test_invalidator_when_called_then_gets_the_function_and_the_row(memory: Stage) -> None:
    """An equal row, not the same object: nobody else changes it, and it may be elsewhere."""
    calls = Calls()
    function = listen(memory, calls.minimal)
    row = Order(id=7, customer=Customer(3, "Zoe"))
    works = plan(deleted(row))
    row.id = 0
    carry_out(works)
    ((name, instance),) = calls
    assert name == function.cached_function.name
    assert instance == Order(id=7, customer=Customer(3, "Zoe"))
    assert type(instance) is Order


def test_invalidator_when_its_signature_takes_extras_then_gets_those(memory: Stage) -> None:
    """Only the ones that it names."""
    calls = Calls()
    listen(memory, calls.some)
    carry_out(plan(updated(Order(), Order(), fields=frozenset({"status"}))))
    carry_out(plan(deleted(Order())))
    assert calls == [(SignalType.POST_SAVE, {"status"}), (SignalType.POST_DELETE, None)]


def test_invalidator_when_it_takes_any_extras_then_gets_all(memory: Stage) -> None:
    """A new row says so; it is reported only if the rule wants new rows."""
    calls = Calls()
    listen(memory, calls.everything, trigger_on_create=True)
    carry_out(plan(created(Order())))
    ((extras,),) = calls
    assert extras == {"signal_type": "post_save", "instance_created": True, "update_fields": None}


def test_invalidator_when_new_rows_are_not_asked_for_then_not_called(memory: Stage) -> None:
    """`trigger_on_create` holds for it as for mappings, and so do the conditions."""
    calls = Calls()
    listen(memory, calls.minimal, invalidate_when={"status": "sent"})
    carry_out(plan(created(Order(status="sent"))))
    carry_out(plan(deleted(Order(status="new"))))
    assert calls == []


def test_invalidator_when_it_drops_then_the_entries_are_gone(memory: Stage) -> None:
    """It gets the cached function with all its methods."""

    def drop(wrapper: Any, instance: Order) -> None:
        wrapper.delete_by_prefix(user_id=instance.owner)

    function = listen(memory, drop)
    function(1)
    function(2)
    carry_out(plan(deleted(Order(owner=1))))
    assert function.get_cached_metadata(1) is None
    assert function.get_cached_metadata(2) is not None


def test_invalidator_when_one_transaction_changes_a_row_alike_then_it_is_called_once(
    memory: Stage,
) -> None:
    """Equal works are one; another row, or other fields, are another call."""
    calls = Calls()
    listen(memory, calls.minimal)
    works = [*plan(deleted(Order(id=1))), *plan(deleted(Order(id=1))), *plan(deleted(Order(id=2)))]
    carry_out(works)
    assert [instance.id for _, instance in calls] == [1, 2]


# Coroutine functions


class Loops(list[Any]):
    """An asynchronous invalidator that notes the event loop it runs on."""

    async def drop(self, wrapper: Any, instance: Order) -> None:
        await asyncio.sleep(0)
        await wrapper.adelete_by_prefix(user_id=instance.owner)
        self.append(asyncio.get_running_loop())


def asynchronous(stage: Stage, invalidator: Any, **rule: Any) -> Any:
    """Return a cached coroutine function with this invalidator."""

    async def user(user_id: int) -> int:
        return user_id

    rules = [InvalidationRule(Order, invalidator=invalidator, **rule)]
    return stage.cached(key=USER, invalidates_on=rules)(user)


def test_coroutine_invalidator_when_no_loop_runs_then_gets_one(memory: Stage) -> None:
    """Synchronous code can save rows that asynchronous functions depend on."""
    loops = Loops()
    function = asynchronous(memory, loops.drop)
    asyncio.run(function(1))
    carry_out(plan(deleted(Order(owner=1))))
    assert len(loops) == 1
    assert asyncio.run(function.aget_cached_metadata(1)) is None


async def test_coroutine_invalidator_when_a_loop_runs_then_it_runs_there(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """`acarry_out` awaits it; `carry_out`, which cannot, leaves it to the loop."""
    loops = Loops()
    function = asynchronous(memory, loops.drop)
    await function(1)
    await acarry_out(plan(deleted(Order(owner=1))))
    assert loops == [asyncio.get_running_loop()]
    assert await function.aget_cached_metadata(1) is None
    await function(1)
    carry_out(plan(deleted(Order(owner=1))))
    await until(lambda: len(loops) == 2)
    assert loops == [asyncio.get_running_loop()] * 2
    assert await function.aget_cached_metadata(1) is None
    assert caplog.records == []


def test_coroutine_invalidator_when_on_a_queue_then_the_worker_drives_it(
    around: Surroundings, shared: Stage
) -> None:
    """A broker without event loops is no obstacle."""
    loops = Loops()
    function = asynchronous(shared, loops.drop, dispatcher="desk")
    asyncio.run(function(1))
    carry_out(plan(deleted(Order(owner=1))))
    assert loops == []
    assert around.desk.work() == 1
    assert len(loops) == 1
    assert asyncio.run(function.aget_cached_metadata(1)) is None


# Where it runs


def test_invalidator_when_a_dispatcher_is_named_then_runs_there(memory: Stage) -> None:
    """Slow work leaves the thread of whoever saved the row."""
    threads: list[int] = []

    def note(wrapper: Any, instance: Any) -> None:
        threads.append(threading.get_ident())

    listen(memory, note, dispatcher="threadpool")
    carry_out(plan(deleted(Order())))
    wait_until(lambda: threads)
    assert threads != [threading.get_ident()]


def test_invalidator_when_in_a_worker_then_the_row_is_rebuilt(
    around: Surroundings, shared: Stage
) -> None:
    """From the message alone, although the row was deleted."""
    calls = Calls()
    listen(shared, calls.everything, dispatcher="desk")
    listen(shared, calls.minimal, dispatcher="desk")
    carry_out(plan(deleted(Order(id=9, customer=None), fields=frozenset({"id"}))))
    while around.desk.messages:
        around.desk.work()
    (extras,), (_, instance) = calls
    assert instance == Order(id=9, customer=None)
    assert extras == {
        "signal_type": SignalType.POST_DELETE,
        "instance_created": False,
        "update_fields": frozenset({"id"}),
    }


def test_invalidator_when_its_row_cannot_travel_then_runs_here(
    around: Surroundings, shared: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not lost, and the warning names the value."""
    calls = Calls()
    listen(shared, calls.minimal, dispatcher="desk")
    carry_out(plan(deleted(Order(customer=object()))))  # type: ignore[arg-type]
    assert len(calls) == 1
    assert around.desk.messages == []
    assert "cannot be carried by a task: its type builtins.object" in caplog.text


def test_invalidator_when_a_worker_has_another_then_it_is_not_called(
    around: Surroundings, shared: Stage
) -> None:
    """Rules that moved up a place in a deployment do not answer to messages for others."""
    calls = Calls()
    function = listen(shared, calls.minimal, dispatcher="desk")
    works = plan(deleted(Order()))
    carry_out(works)
    cached = function.cached_function
    cached.rules = ()
    with pytest.raises(UnknownFunction, match=r"rule '#0' of .* has no invalidator"):
        around.desk.work()
    cached.rules = listen(shared, calls.everything).cached_function.rules
    carry_out(works)
    with pytest.raises(UnknownFunction, match="deploy the same code here"):
        around.desk.work()
    assert calls == []


# Names and errors


def test_invalidator_when_named_then_found_at_its_first_use(memory: Stage) -> None:
    """A module that imports the one with the cached function is no problem."""
    calls = Calls()
    with half_imported("tests_invalidators") as module:
        listen(memory, "tests_invalidators.drop")
        module.drop = calls.minimal
        carry_out(plan(deleted(Order(id=5))))
    assert [instance.id for _, instance in calls] == [5]


def test_invalidator_when_its_name_leads_nowhere_then_that_is_logged(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Other rules act nevertheless."""
    calls = Calls()
    with half_imported("tests_empty"):
        listen(memory, "tests_empty.nothing")
        listen(memory, calls.minimal)
        carry_out(plan(deleted(Order())))
    assert len(calls) == 1
    assert "invalidator 'tests_empty.nothing' cannot be imported" in caplog.text


def fail(wrapper: Any, instance: Any) -> None:
    """Raise."""
    raise KeyError("from the invalidator")


def test_invalidator_when_it_fails_then_nobody_who_saves_is_harmed(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback, and other rules act."""
    calls = Calls()
    listen(memory, fail)
    listen(memory, calls.minimal)
    with caplog.at_level(logging.ERROR):
        carry_out(plan(deleted(Order())))
    assert len(calls) == 1
    assert "from the invalidator" in caplog.text
    assert "by rule '#0' of tests:" in caplog.text


def test_invalidator_when_the_row_has_no_snapshot_then_that_is_logged(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Planning never raises into a save."""

    class Unreadable:
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise ConfigurationError("no")

    listen(memory, fail)
    row: Any = Unreadable()
    assert plan(deleted(Order())) != ()
    plan(structs.replace(deleted(Order()), old=row))
    assert "cannot be applied to a change of" in caplog.text
