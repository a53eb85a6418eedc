"""`rewarm=True`: what was live of a partition is dropped, then computed again, whoever else is."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from packages.core.tests.ruled import Order, Surroundings, deleted, updated
from packages.core.tests.stages import Stage, Way, until, wait_until
from tiercel import ArgsKeyField, Cache, InvalidationRule, disabled
from tiercel.spi import BackendRefused, carry_out, plan
from tiercel.testing import SimulatedBackend, VirtualClock

pytestmark = pytest.mark.usefixtures("own_rules")

PAGES = {"user": ArgsKeyField("user_id", partition=True), "page": ArgsKeyField("page")}
USER = {"user": ArgsKeyField("user_id", partition=True)}


def rewarming(**options: Any) -> list[InvalidationRule]:
    """Return a rule that rewarms by owner."""
    mapping = {"user_id": "owner"}
    return [InvalidationRule(Order, **{"field_mapping": mapping, "rewarm": True, **options})]


class Source:
    """A database of one text, and who read it how often."""

    def __init__(self) -> None:
        self.text = "old"
        self.reads: Counter[tuple[int, int]] = Counter()
        self.broken: set[int] = set()

    def page(self, user_id: int, page: int = 1) -> str:
        self.reads[user_id, page] += 1
        if page in self.broken:
            raise ConnectionError("no database")
        return f"{self.text} {user_id}/{page}"


def change(owner: int = 1) -> None:
    """Report a change of a row of this owner."""
    carry_out(plan(updated(Order(owner=owner), Order(owner=owner))))


async def test_partition_when_rewarmed_then_all_that_was_live_is_new(
    stage: Stage, way: Way
) -> None:
    """Each live page once; what was not cached, and other partitions, are left alone."""
    source = Source()
    function = stage.cached(key=PAGES, invalidates_on=rewarming())(way.function(source.page))
    for call in [(1, 1), (1, 2), (2, 1)]:
        await way.call(function, *call)
    source.text = "new"
    await asyncio.to_thread(change)
    cached = {
        call: await way.do(function, "get_cache_only", *call) for call in [(1, 1), (1, 2), (2, 1)]
    }
    if stage.kind == "dict":  # a store without an index: they are dropped, and computed when read
        assert source.reads[1, 1] in (1, 2)
        assert not {"old 1/1", "old 1/2"} & set(map(str, cached.values()))
        return
    assert cached == {(1, 1): "new 1/1", (1, 2): "new 1/2", (2, 1): "old 2/1"}
    assert source.reads == {(1, 1): 2, (1, 2): 2, (2, 1): 1}


def test_call_when_the_mapping_says_it_then_is_computed_without_an_index(stage: Stage) -> None:
    """Also when it was not live: its reader will find it warm."""
    reads: list[int] = []

    def name(user_id: int) -> str:
        reads.append(user_id)
        return f"name {len(reads)}"

    function = stage.cached(key=USER, invalidates_on=rewarming())(name)
    change()
    assert function.get_cache_only(1) == "name 1"
    change()
    assert function(1) == "name 2"
    assert reads == [1, 1]


def test_function_when_it_has_no_parameters_then_is_computed(memory: Stage) -> None:
    """There is only one call of it."""
    reads: list[int] = []
    rules = [InvalidationRule(Order, rewarm=True)]
    function = memory.cached(invalidates_on=rules)(lambda: reads.append(1))
    change()
    assert reads == [1]
    assert function.get_cached_metadata() is not None


def test_refresh_when_it_fails_then_the_partition_is_dropped_nevertheless(
    tiers: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Its siblings are computed, and the trouble is reported."""
    source = Source()
    function = tiers.cached(key=PAGES, invalidates_on=rewarming())(source.page)
    for page in (1, 2, 3):
        function(1, page)
    source.text, source.broken = "new", {2}
    change()
    assert function.get_cached_metadata(1, 2) is None
    assert (function(1, 1), function(1, 3)) == ("new 1/1", "new 1/3")
    assert source.reads[1, 1] == source.reads[1, 3] == 2
    assert "a dropped entry could not be computed again" in caplog.text
    assert "no database" in caplog.text


def test_refresh_when_it_fails_and_raising_is_wanted_then_raised_after_all(tiers: Stage) -> None:
    """The drop has happened, and the other pages are warm."""
    source = Source()
    function = tiers.cached(key=PAGES, invalidates_on=rewarming(raise_exception=True))(source.page)
    for page in (1, 2, 3):
        function(1, page)
    source.text, source.broken = "new", {1, 2}
    with pytest.raises(ExceptionGroup) as caught:
        change()
    assert [type(each) for each in caught.value.exceptions] == [ConnectionError] * 2
    assert function.get_cached_metadata(1, 1) is None
    assert source.reads[1, 3] == 2
    assert function.get_cache_only(1, 3) == "new 1/3"


def test_result_when_the_predicate_rejects_it_then_nothing_old_is_left(tiers: Stage) -> None:
    """The next call computes; the old value never comes back."""
    answers = ["good", "bad", "good again"]
    function = tiers.cached(
        key=USER, invalidates_on=rewarming(), cache_if=lambda result: "bad" not in result
    )(lambda user_id: answers.pop(0))
    assert function(1) == "good"
    change()
    assert function.get_cached_metadata(1) is None
    assert function(1) == "good again"


def test_index_when_it_cannot_be_read_then_the_drop_still_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was live cannot be listed, so nothing is rewarmed."""

    class NoIndex(SimulatedBackend):
        def execute(self, command: Any) -> Any:
            if type(command).__name__ == "ListEntries":
                raise BackendRefused("no index today")
            return super().execute(command)

    clock = VirtualClock()
    cache = Cache(backend=NoIndex(clock), memory=0, clock=clock)
    source = Source()
    function = cache.cached(key=PAGES, name="tests:noindex", invalidates_on=rewarming())(
        source.page
    )
    function(1, 1)
    source.text = "new"
    change()
    assert function.get_cached_metadata(1, 1) is None
    assert "could not be listed" in caplog.text
    cache.close()


def test_caching_when_switched_off_then_it_is_dropped_and_not_computed(memory: Stage) -> None:
    """Nobody would read it."""
    source = Source()
    function = memory.cached(key=USER, invalidates_on=rewarming())(
        lambda user_id: source.page(user_id)
    )
    function(1)
    with disabled():
        change()
    assert source.reads == {(1, 1): 1}
    assert function.get_cached_metadata(1) is None


# Races


def test_older_computation_when_it_ends_after_the_rewarm_then_it_is_not_stored(
    shared: Stage,
) -> None:
    """A reader that began before the change holds a lease: the refresh takes it away."""
    source = Source()
    reading, go_on = threading.Event(), threading.Event()

    def name(user_id: int) -> str:
        text = source.page(user_id)
        if not reading.is_set():
            reading.set()
            assert go_on.wait(60)
        return text

    here, there = shared.pair(name, key=USER, invalidates_on=rewarming())
    reader = threading.Thread(target=here, args=(1,))
    reader.start()
    assert reading.wait(60)
    source.text = "new"
    shared.cache.changed(Order, new=Order(owner=1))
    assert there.get_cache_only(1) == "new 1/1"
    go_on.set()
    reader.join(60)
    assert there.get_cache_only(1) == here.get_cache_only(1) == "new 1/1"


def test_value_when_it_is_written_during_the_rewarm_then_the_second_change_wins(
    shared: Stage,
) -> None:
    """A change while a rewarm computes drops what that will store."""
    source = Source()
    during: list[Callable[[], None]] = []

    def name(user_id: int) -> str:
        text = source.page(user_id)
        if during:
            during.pop()()
        return text

    function = shared.cached(key=USER, invalidates_on=rewarming())(name)
    function(1)

    def again() -> None:
        source.text = "newest"
        change()

    source.text = "new"
    during.append(again)
    change()
    assert function(1) == "newest 1/1"


# Where it runs


def test_worker_when_it_rewarms_then_lists_before_it_drops(around: Surroundings) -> None:
    """The caller's thread does nothing; a message sent again does no harm."""
    stage = Stage("shared")
    source = Source()
    function = stage.cached(key=PAGES, invalidates_on=rewarming(dispatcher="desk"))(source.page)
    for page in (1, 2):
        function(1, page)
    source.text = "new"
    change()
    assert source.reads == {(1, 1): 1, (1, 2): 1}
    messages = list(around.desk.messages)
    around.desk.work()
    assert [function.get_cache_only(1, page) for page in (1, 2)] == ["new 1/1", "new 1/2"]
    around.desk.messages[:] = messages
    around.desk.work()
    assert source.reads == {(1, 1): 3, (1, 2): 3}
    stage.close()


def test_worker_when_a_refresh_fails_then_the_broker_does_not_repeat_the_drop(
    around: Surroundings,
) -> None:
    """What was dropped is dropped; the next caller will see what is wrong."""
    stage = Stage("shared")
    source = Source()
    function = stage.cached(key=PAGES, invalidates_on=rewarming(dispatcher="desk"))(source.page)
    function(1, 1)
    source.broken = {1}
    change()
    around.desk.work()
    assert function.get_cached_metadata(1, 1) is None
    stage.close()


@pytest.mark.parametrize("dispatcher", ["threadpool", "asyncio", "inline"])
async def test_coroutine_function_when_rewarmed_then_on_an_event_loop(
    tiers: Stage, dispatcher: str
) -> None:
    """Also where the change is reported by synchronous code on the loop's own thread."""
    source = Source()

    async def page(user_id: int, page: int = 1) -> str:
        await asyncio.sleep(0)
        return source.page(user_id, page)

    rules = rewarming(dispatcher=dispatcher)
    function = tiers.cached(key=PAGES, invalidates_on=rules)(page)
    await function(1)
    source.text = "new"
    change()

    async def is_new() -> bool:
        return bool(await function.aget_cache_only(1) == "new 1/1")

    await until(is_new)
    assert source.reads == {(1, 1): 2}


def test_coroutine_function_when_no_loop_runs_then_rewarmed_inline(tiers: Stage) -> None:
    """By the time the report returns."""
    source = Source()

    async def page(user_id: int) -> str:
        return source.page(user_id)

    function = tiers.cached(key=USER, invalidates_on=rewarming())(page)
    asyncio.run(function(1))
    source.text = "new"
    change()
    assert asyncio.run(function.aget_cache_only(1)) == "new 1/1"


def test_deleted_row_when_its_entry_is_rewarmed_then_what_the_function_says_counts(
    memory: Stage,
) -> None:
    """A function that raises for a row that is gone leaves no entry."""

    def name(user_id: int) -> str:
        if gone:
            raise LookupError(user_id)
        return "Ann"

    gone = False
    function = memory.cached(key=USER, invalidates_on=rewarming())(name)
    function(1)
    gone = True
    carry_out(plan(deleted(Order(owner=1))))
    wait_until(lambda: function.get_cached_metadata(1) is None)
