"""Which rules hear of a change, for how long they live, and what a change without rules costs."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest

from packages.core.tests.ruled import Order, deleted, updated
from packages.core.tests.stages import Stage
from tiercel import ArgsKeyField, Cache, InvalidationRule, cache_result
from tiercel.configuration import use_caches
from tiercel.invalidation import registry
from tiercel.spi import carry_out, has_rules, plan, rules

pytestmark = pytest.mark.usefixtures("own_rules")

USER = {"user": ArgsKeyField("user_id", partition=True)}
MAPPED = InvalidationRule(Order, field_mapping={"user_id": "owner"})


def decorated(cache: Cache | None = None, *given: InvalidationRule, name: str = "app:f") -> Any:
    """Return a cached function with these rules."""
    invalidates_on = given or (MAPPED,)
    return (cache or Cache()).cached(key=USER, name=name, invalidates_on=invalidates_on)(
        lambda user_id: user_id
    )


class Special(Order):
    """A row of a child."""


class Other:
    """A row that nothing listens to."""


def test_rules_when_a_child_changes_then_those_on_its_parent_hear_of_it() -> None:
    """Not the other way round, and strangers are nobody's business."""
    parent = decorated()
    child = decorated(None, InvalidationRule(Special, field_mapping={"user_id": "owner"}), name="g")
    assert [work.function for work in plan(deleted(Special()))] == ["app:f", "g"]
    assert [work.function for work in plan(deleted(Order()))] == ["app:f"]
    assert plan(deleted(Other())) == ()
    assert (has_rules(Special), has_rules(Order), has_rules(Other)) == (True, True, False)
    assert parent is not child


@pytest.mark.parametrize("source", ["unheard", Other, Other(), 42, None, [], {}])
def test_changed_when_nothing_listens_then_nothing_happens(source: Any) -> None:
    """Whatever the source is."""
    assert not has_rules(source)
    Cache().changed(source, new=Order())


def test_rules_when_added_later_then_they_hear_too() -> None:
    """What was looked up before is looked up again."""
    assert not has_rules(Order)
    first = decorated()
    assert len(plan(deleted(Order()))) == 1
    second = decorated(name="g")
    assert len(plan(deleted(Order()))) == 2
    assert first is not second


def test_functions_when_decorated_in_a_function_then_neither_they_nor_their_rules_stay() -> None:
    """A factory that decorates at each call leaks nothing."""
    cache = Cache()
    for _ in range(10):
        decorated(cache)(1)
    gc.collect()
    assert rules() == []
    assert registry._registry._all == {}
    assert not has_rules(Order)


def test_rule_when_several_functions_have_it_then_each_is_dropped() -> None:
    """It holds nothing of any of them."""
    cache = Cache()
    one, two = decorated(cache), decorated(cache, name="g")
    for function in (one, two):
        function(1)
    cache.changed(Order, old=Order(owner=1))
    assert one.get_cached_metadata(1) is None
    assert two.get_cached_metadata(1) is None


def test_rules_when_listed_then_name_function_rule_and_model() -> None:
    """In the order of decoration, for people."""
    first = decorated(None, MAPPED, InvalidationRule("prices", field_mapping=InvalidationRule.ALL))
    second = decorated(
        None, InvalidationRule(Order, invalidator=print, name="printing"), name="app:g"
    )
    label = "packages.core.tests.ruled:Order"
    assert [tuple(each) for each in rules()] == [
        ("app:f", "#0", label, "partition"),
        ("app:f", "#1", "prices", "function"),
        ("app:g", "printing", label, "builtins.print"),
    ]
    assert first is not second


def test_lookup_when_functions_come_and_go_meanwhile_then_none_is_missed() -> None:
    """A lookup never keeps what it found before a rule was added."""
    cache = Cache()
    kept: list[Any] = []
    failures: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            known = len(kept)
            found = len(plan(deleted(Order())))
            if found < known:
                failures.append(known - found)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    kept.extend(decorated(cache, name=f"app:f{number}") for number in range(60))
    stop.set()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(plan(deleted(Order()))) == 60


def test_change_when_nothing_listens_then_it_costs_next_to_nothing() -> None:
    """Every save of every model asks; a hundred rules on others do not make it slower."""
    change = deleted(Other())
    plan(change)
    alone = min(_seconds(change) for _ in range(10))
    functions = [decorated(name=f"app:f{number}") for number in range(100)]
    plan(change)
    among_many = min(_seconds(change) for _ in range(10))
    assert among_many < 5 * alone
    assert len(functions) == 100


def _seconds(change: Any) -> float:
    start = time.perf_counter()
    for _ in range(1000):
        plan(change)
    return time.perf_counter() - start


def test_change_when_a_source_fails_then_other_rules_hear_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever saves is not harmed by an integration that is wrong."""
    broken, sound = decorated(), decorated(name="g")

    def covers(changed: Any) -> bool:
        raise RuntimeError("not set up")

    broken.cached_function.rules[0].source.covers = covers
    assert [work.function for work in plan(deleted(Order()))] == ["g"]
    assert "rule '#0' of app:f cannot tell whether it listens to" in caplog.text
    assert sound is not broken


# Which cache


def test_changed_when_reported_to_a_cache_then_only_its_functions_hear_of_it() -> None:
    """Two applications in one process may have the same models."""
    one, two = Cache(name="one"), Cache(name="two")
    here, there = decorated(one), decorated(two, name="g")
    for function in (here, there):
        function(1)
    one.changed(Order, new=Order(owner=1))
    assert here.get_cached_metadata(1) is None
    assert there.get_cached_metadata(1) is not None


def test_changed_when_the_configuration_is_another_then_entries_of_the_new_cache_are_dropped() -> (
    None
):
    """A function follows the configuration, and its rules follow it."""
    decorate: Any = cache_result(key_constructor=USER, name="app:f", invalidates_on=[MAPPED])
    function = decorate(lambda user_id: user_id)
    former = use_caches({"default": Cache()})
    try:
        function(1)
        use_caches({"default": Cache()})
        function(1)
        carry_out(plan(updated(None, Order(owner=1))))
        assert function.get_cached_metadata(1) is None
    finally:
        use_caches(former)


def test_functions_when_several_in_memory_have_one_name_then_each_is_told_apart(
    memory: Stage,
) -> None:
    """Closures made by the same factory, each with entries of its own."""

    def factory() -> Any:
        @memory.cache.cached(key=USER, invalidates_on=[MAPPED])
        def function(user_id: int) -> int:
            return user_id

        return function

    functions = [factory() for _ in range(3)]
    for function in functions:
        function(1)
        function(2)
    memory.cache.changed(Order, old=Order(owner=1))
    for function in functions:
        assert function.get_cached_metadata(1) is None
        assert function.get_cached_metadata(2) is not None
