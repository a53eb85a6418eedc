"""Where the work of rules runs, and how much of it there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from packages.core.tests.ruled import (
    BULK,
    USER,
    USERS,
    Order,
    Surroundings,
    deleted,
    fail,
    listen,
    live,
    save,
)
from packages.core.tests.stages import Stage, until, wait_until
from tiercel import InvalidationRule
from tiercel.spi import acarry_out, carry_out, plan

pytestmark = pytest.mark.usefixtures("own_rules")


@pytest.fixture
def stage(around: Surroundings) -> Iterator[Stage]:
    """A shared tier without memory, made among the plugins of the test."""
    made = Stage("shared")
    yield made
    made.close()


# Coalescing


def test_transaction_when_it_saves_a_thousand_rows_then_each_partition_is_dropped_once(
    around: Surroundings, stage: Stage
) -> None:
    """And by as few commands as fit."""
    function = listen(stage)
    works = save(*(owner % 3 + 1 for owner in range(1000)))
    around.recorder.operations.clear()
    carry_out(works)
    assert live(function) == [4, 5]
    assert around.recorder.drops() == [("#0", "packages.core.tests.ruled:Order", 3)]


def test_transaction_when_it_touches_many_partitions_then_its_tasks_stay_small(
    around: Surroundings, stage: Stage
) -> None:
    """A message holds a hundred targets at most."""
    listen(stage, dispatcher="desk")
    carry_out(save(*range(250)))
    works = [json.loads(each.text)["payload"]["works"] for each in around.desk.messages]
    assert [len(work["targets"]) for (work,) in works] == [100, 100, 50]


def test_transaction_when_everything_is_dropped_then_partitions_are_left_out(
    around: Surroundings, stage: Stage
) -> None:
    """What covers all covers each."""
    function = listen(stage)
    works = [*save(1, 2), *plan(BULK)]
    around.recorder.operations.clear()
    carry_out(works)
    assert live(function) == []
    assert [scopes for _, _, scopes in around.recorder.drops()] == [1]


def test_message_when_several_saves_drop_the_same_then_it_is_sent_once_within_a_window(
    around: Surroundings, stage: Stage
) -> None:
    """Tasks for the same targets are the same work; for others they are not."""
    listen(stage, dispatcher="desk")
    for owners in [(1, 2), (2, 1), (1,)]:
        carry_out(save(*owners))
    first, second, third = (each.dedup for each in around.desk.messages)
    assert first == second != third
    assert first
    assert third


# Several rules, one dispatcher


def test_batch_when_asked_for_then_one_message_carries_the_works_of_all(
    around: Surroundings, stage: Stage
) -> None:
    """Those of one transaction, of one dispatcher; other rules keep their own."""
    together = [listen(stage, dispatcher="desk", batch=True) for _ in range(3)]
    alone = listen(stage, dispatcher="desk")
    carry_out(save(1))
    sizes = sorted(len(json.loads(m.text)["payload"]["works"]) for m in around.desk.messages)
    assert sizes == [1, 3]
    around.desk.work()
    for function in [*together, alone]:
        assert live(function) == [2, 3, 4, 5]


def test_batch_when_one_of_it_fails_then_the_others_are_done_before_the_broker_hears(
    around: Surroundings, stage: Stage
) -> None:
    """The first failure does not end the batch, and none gets lost."""
    broken = [
        listen(stage, invalidator=fail, dispatcher="desk", batch=True, name=f"tests:broken{n}")
        for n in range(2)
    ]
    sound = listen(stage, dispatcher="desk", batch=True)
    carry_out(save(1))
    with pytest.raises(ExceptionGroup) as caught:
        around.desk.work()
    assert [str(each) for each in caught.value.exceptions] == ["'from the invalidator'"] * 2
    assert live(sound) == [2, 3, 4, 5]
    assert len(broken) == 2


# Dispatchers


@pytest.mark.parametrize("dispatcher", ["threadpool", "asyncio", "inline", None])
def test_dispatcher_when_it_is_of_this_process_then_the_partition_is_dropped(
    stage: Stage, dispatcher: str | None
) -> None:
    """Wherever it runs."""
    function = listen(stage, dispatcher=dispatcher)
    assert carry_out(save(1)) == ()
    wait_until(lambda: live(function) == [2, 3, 4, 5])


@pytest.mark.parametrize("dispatcher", ["threadpool", "asyncio", "inline", "desk"])
async def test_dispatcher_when_a_loop_runs_then_works_too(
    around: Surroundings, stage: Stage, dispatcher: str
) -> None:
    """Both for what is awaited and for what is not."""
    function = listen(stage, dispatcher=dispatcher)
    await acarry_out(save(1))
    carry_out(save(2))
    if dispatcher == "desk":
        await asyncio.to_thread(around.desk.work)
    await until(lambda: live(function) == [3, 4, 5])


def test_dispatcher_when_a_framework_is_configured_to_one_then_that_is_taken(
    around: Surroundings, stage: Stage
) -> None:
    """Unless the rule names its own."""
    around.integration.default_dispatcher = lambda: "desk"  # type: ignore[method-assign]
    function = listen(stage)
    own = listen(stage, dispatcher="inline")
    carry_out(save(1))
    assert (live(function), live(own)) == (list(USERS), [2, 3, 4, 5])
    around.desk.work()
    assert live(function) == [2, 3, 4, 5]


def test_dispatcher_when_it_has_options_then_they_are_its_own(
    around: Surroundings, stage: Stage
) -> None:
    """Two rules with different queues do not share one."""
    listening = [
        listen(stage, dispatcher="desk", dispatcher_config={"queue": queue}) for queue in "ab"
    ]
    carry_out(save(1))
    used = [desk for desk in around.desks if desk.messages]
    assert sorted(str(desk.queue) for desk in used) == ["a", "b"]
    assert [len(desk.messages) for desk in used] == [1, 1]
    assert len(listening) == 2


def test_dispatcher_when_the_broker_is_down_then_the_drop_is_done_here_once(
    around: Surroundings, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Later rules act, the save is not harmed, and it is said."""
    function = listen(stage, dispatcher="desk")
    later = listen(stage)
    carry_out(save(5))
    around.desk.messages.clear()
    around.desk.broken = True
    around.recorder.operations.clear()
    assert carry_out(save(1)) == ()
    assert live(function) == list(USERS)[1:]
    assert live(later) == [2, 3, 4]
    assert len(around.recorder.drops()) == 2
    assert "was not accepted by dispatcher 'desk' and is done at once" in caplog.text


async def test_dispatcher_when_the_caller_is_cancelled_then_nothing_is_lost(stage: Stage) -> None:
    """The change has happened, and nobody else knows of it: what was begun is done again."""
    entered, done = asyncio.Event(), list[str]()

    async def slow_at_first(wrapper: Any, instance: Any) -> None:
        if not entered.is_set():
            entered.set()
            await asyncio.sleep(60)
        done.append("first")

    async def user(user_id: int) -> int:
        return user_id

    rules = [InvalidationRule(Order, invalidator=slow_at_first)]
    first = stage.cached(key=USER, invalidates_on=rules)(user)
    second = listen(stage, invalidator=lambda wrapper, instance: done.append("second"))
    task = asyncio.ensure_future(acarry_out(save(1)))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: len(done) == 2)
    assert sorted(done) == ["first", "second"]
    assert first is not second


# What observers are told


def test_drop_when_by_a_rule_then_observers_hear_which(around: Surroundings, stage: Stage) -> None:
    """Of entries as of partitions, so that a trace can name the rule."""
    listen(stage, name="tests:named")
    rules = [InvalidationRule(Order, field_mapping={"user_id": "owner"}, name="by owner")]
    entry = stage.cached(invalidates_on=rules)(lambda user_id: user_id)
    around.recorder.operations.clear()
    carry_out(plan(deleted(Order(owner=1))))
    label = "packages.core.tests.ruled:Order"
    assert around.recorder.drops() == [("#0", label, 1), ("by owner", label, 0)]
    assert entry is not None
