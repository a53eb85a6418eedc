"""What becomes of work that fails: who hears of it, and who does it again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from packages.core.tests.ruled import USER, Order, Surroundings, fail, fill, listen, live, save
from packages.core.tests.stages import Stage
from tiercel import Cache, InvalidationRule
from tiercel.spi import BackendUnavailable, acarry_out, carry_out
from tiercel.testing import SimulatedBackend, VirtualClock

pytestmark = pytest.mark.usefixtures("own_rules")


@pytest.fixture
def stage(around: Surroundings) -> Iterator[Stage]:
    """A shared tier without memory, made among the plugins of the test."""
    made = Stage("shared")
    yield made
    made.close()


# raise_exception


@pytest.mark.parametrize("chosen", [None, False])
def test_raise_exception_when_not_true_then_inline_failures_are_logged(
    stage: Stage, chosen: bool | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A cache never takes down who saves; what failed is told to who keeps an outbox."""
    broken = listen(stage, invalidator=fail, raise_exception=chosen)
    function = listen(stage)
    works = save(1)
    undone = carry_out(works)
    assert [work.function for work in undone] == [broken.cached_function.name]
    assert live(function) == [2, 3, 4, 5]
    assert "from the invalidator" in caplog.text


async def test_raise_exception_when_true_then_inline_failures_are_raised_after_everything(
    stage: Stage,
) -> None:
    """Rules that come later act first; several failures come together."""
    one = listen(stage, invalidator=fail, raise_exception=True)
    function = listen(stage)
    with pytest.raises(KeyError, match="from the invalidator"):
        carry_out(save(1))
    assert live(function) == [2, 3, 4, 5]
    two = listen(stage, invalidator=fail, raise_exception=True)
    with pytest.raises(ExceptionGroup, match="several rules"):
        await acarry_out(save(2))
    assert live(function) == [3, 4, 5]
    assert one is not two


def test_raise_exception_when_true_then_failures_elsewhere_do_not_reach_who_saves(
    around: Surroundings, stage: Stage
) -> None:
    """A pool of threads logs; a worker's broker hears of it."""
    failed = threading.Event()

    def note(wrapper: Any, instance: Any) -> None:
        failed.set()
        raise KeyError("elsewhere")

    pooled = listen(stage, invalidator=note, raise_exception=True, dispatcher="threadpool")
    queued = listen(stage, invalidator=fail, raise_exception=True, dispatcher="desk")
    assert carry_out(save(1)) == ()
    assert failed.wait(60)
    with pytest.raises(KeyError, match="from the invalidator"):
        around.desk.work()
    assert pooled is not queued


@pytest.mark.parametrize(
    ("rule", "configured", "raised"),
    [
        (None, None, True),
        (None, True, True),
        (None, False, False),
        (True, False, True),
        (False, True, False),
        (False, None, False),
    ],
)
def test_raise_exception_when_in_a_worker_then_the_rule_comes_before_the_framework(
    around: Surroundings,
    stage: Stage,
    rule: bool | None,
    configured: bool | None,
    raised: bool,
) -> None:
    """Without either the broker hears of failures, so that it tries again."""
    asked: list[str] = []

    def raises(dispatcher: str) -> bool | None:
        asked.append(dispatcher)
        return configured

    around.integration.raises = raises  # type: ignore[method-assign]
    function = listen(stage, invalidator=fail, raise_exception=rule, dispatcher="desk")
    carry_out(save(1))
    if raised:
        with pytest.raises(KeyError):
            around.desk.work()
    else:
        around.desk.work()
    assert set(asked) <= {"desk"}
    assert function is not None


def test_raise_exception_when_a_framework_is_configured_to_it_then_inline_raises(
    around: Surroundings, stage: Stage
) -> None:
    """For every rule that does not say otherwise."""
    around.integration.raises = lambda dispatcher: dispatcher == "inline"  # type: ignore[method-assign]
    quiet = listen(stage, invalidator=fail, raise_exception=False)
    assert [work.function for work in carry_out(save(1))] == [quiet.cached_function.name]
    loud = listen(stage, invalidator=fail)
    with pytest.raises(KeyError):
        carry_out(save(1))
    assert loud is not quiet


# A shared tier that does not acknowledge


class Refusing(SimulatedBackend):
    """Takes commands, or is not to be reached."""

    down = False

    def execute(self, command: Any) -> Any:
        if self.down:
            raise BackendUnavailable("down")
        return super().execute(command)


@pytest.fixture
def refusing(around: Surroundings) -> Iterator[Any]:
    clock = VirtualClock()
    store = Refusing(clock)
    cache = Cache(backend=store, memory=0, clock=clock, name="refusing")
    yield cache, store
    cache.close()


def test_drop_when_not_acknowledged_then_it_is_owed_and_reported_to_an_outbox(
    refusing: Any,
) -> None:
    """This process repeats it; whoever wants it done even if this process ends keeps the work."""
    cache, store = refusing
    rules = [InvalidationRule(Order, field_mapping={"user_id": "owner"})]
    function = cache.cached(key=USER, name="tests:owed", invalidates_on=rules)(lambda user_id: 0)
    fill(function)
    store.down = True
    works = save(1)
    assert carry_out(works) == works
    assert carry_out(works) == works
    store.down = False
    assert carry_out(works) == ()
    assert live(function) == [2, 3, 4, 5]


def test_drop_when_not_acknowledged_in_a_worker_then_the_broker_has_it_repeated(
    around: Surroundings, refusing: Any
) -> None:
    """A worker may end right after its task, so it must not owe anything."""
    cache, store = refusing
    rules = [
        InvalidationRule(Order, field_mapping={"user_id": "owner"}, dispatcher="desk", name="a")
    ]
    function = cache.cached(key=USER, name="tests:worker", invalidates_on=rules)(lambda user_id: 0)
    fill(function)
    works = save(1)
    carry_out(works)
    store.down = True
    with pytest.raises(BackendUnavailable, match="did not acknowledge a drop by rule 'a'"):
        around.desk.work()
    store.down = False
    carry_out(works)
    around.desk.work()
    assert live(function) == [2, 3, 4, 5]


def test_drop_when_not_acknowledged_and_raising_is_wanted_then_raised(refusing: Any) -> None:
    """Also inline."""
    cache, store = refusing
    rules = [InvalidationRule(Order, field_mapping={"user_id": "owner"}, raise_exception=True)]
    function = cache.cached(key=USER, name="tests:loud", invalidates_on=rules)(lambda user_id: 0)
    fill(function)
    store.down = True
    with pytest.raises(BackendUnavailable, match="did not acknowledge"):
        carry_out(save(1))
