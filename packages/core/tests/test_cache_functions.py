"""What a cache does with functions: dropping their entries by arguments, and statistics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker, plugged
from packages.core.tests.stages import Stage, Way, wait_until
from tiercel import (
    Cache,
    ConfigurationError,
    alan_cache,
    cached_for,
    default_cache,
    request_cached,
)
from tiercel.spi import BackendUnavailable, perform_message
from tiercel.testing import SimulatedBackend

_serial = count(1)


class Orders:
    """The documented function: summaries of orders, by user and order."""

    def __init__(self, cache: Cache, way: str = "plain", **options: Any) -> None:
        self.computed: list[tuple[int, int]] = []

        def get_order_summary(user_id: int, order_id: int = 0) -> tuple[int, int]:
            self.computed.append((user_id, order_id))
            return (user_id, order_id)

        options = {"hours": 2, "name": f"tests:orders{next(_serial)}", **options}
        function = Way(way).function(get_order_summary)
        self.cached: Any = cached_for(cache=cache, **options)(function)

    def fill(self) -> None:
        """Compute four summaries of two users."""
        for user in (1, 2):
            for order in (1, 2):
                self.cached(user, order)

    def again(self) -> list[tuple[int, int]]:
        """Return which of them are computed again."""
        self.computed.clear()
        self.fill()
        return self.computed


@pytest.fixture
def orders(stage: Stage) -> Orders:
    """Summaries with full arguments, in a cache of every kind."""
    orders = Orders(stage.cache, cache_key_with_full_args=True)
    orders.fill()
    return orders


def test_one_entry_is_dropped(stage: Stage, orders: Orders) -> None:
    """The arguments of a call drop its entry, in any spelling."""
    assert stage.cache.clear_cached_func(orders.cached, 1, order_id=2) is True
    assert orders.again() == [(1, 2)]


def test_all_entries_are_dropped(stage: Stage, orders: Orders) -> None:
    """A function without arguments stands for all of its entries."""
    stage.cache.clear_cached_func_all(orders.cached)
    assert len(orders.again()) == 4


def test_leading_arguments_drop_in_one_write(stage: Stage, orders: Orders) -> None:
    """The orders of one user are dropped, and counted where they are known."""
    counted, is_running = stage.cache.clear_cached_func_some(orders.cached, 1)
    assert (counted, is_running) == (0 if stage.kind == "shared" else 2, False)
    assert orders.again() == [(1, 1), (1, 2)]


def test_leading_arguments_can_be_named(stage: Stage, orders: Orders) -> None:
    """What counts is which arguments are said, not how."""
    stage.cache.clear_cached_func_some(orders.cached, user_id=2)
    assert orders.again() == [(2, 1), (2, 2)]


def test_dropping_again_finds_nothing(stage: Stage, orders: Orders) -> None:
    """The same drop may be asked for as often as one likes."""
    stage.cache.clear_cached_func_some(orders.cached, 1)
    assert stage.cache.clear_cached_func_some(orders.cached, 1) == (0, False)


def test_default_does_not_count_as_said(stage: Stage, orders: Orders) -> None:
    """`f(1)` is a whole call, but as leading argument 1 means all orders of the user."""
    orders.cached(1)
    stage.cache.clear_cached_func_some(orders.cached, 1)
    assert orders.again() == [(1, 1), (1, 2)]
    orders.computed.clear()
    orders.cached(1)
    assert orders.computed == [(1, 0)]


def test_any_argument_is_looked_for_in_the_index(stage: Stage) -> None:
    """With an index, entries are found by an argument that is no leading one."""
    orders = Orders(stage.cache, index=True)
    orders.fill()
    counted, is_running = stage.cache.clear_cached_func_some(orders.cached, order_id=2)
    assert not is_running
    assert counted == (0 if stage.kind == "dict" else 2)
    gone = orders.again()
    assert {(1, 2), (2, 2)} <= set(gone)
    if stage.kind != "dict":
        assert len(gone) == 2


def test_index_counts_what_others_hold(tiers: Stage) -> None:
    """Leading arguments count all listed entries, not only those in memory here."""
    orders = Orders(tiers.cache, cache_key_with_full_args=True, index=True)
    orders.fill()
    tiers.cache.clear_local()
    assert tiers.cache.clear_cached_func_some(orders.cached, 1) == (2, False)


def test_long_search_goes_on_in_the_background(memory: Stage) -> None:
    """A caller does not wait for a task that takes long, and is told so."""
    orders = Orders(memory.cache, index=True, dispatcher="threadpool")
    orders.fill()
    dispatcher = orders.cached.cached_function.subject.dispatcher()
    occupied, go_on = threading.Event(), threading.Event()

    def occupy() -> bool:
        occupied.set()
        return go_on.wait(60)

    busy = [memory.cached(ttl=5, async_compute=True)(occupy) for _ in range(64)]
    for each in busy:
        with pytest.raises(Exception, match="being built"):
            each()
    assert occupied.wait(60)
    assert memory.cache.clear_cached_func_some(orders.cached, order_id=2) == (0, True)
    go_on.set()
    wait_until(lambda: len(orders.cached.live_calls()) == 2)
    dispatcher.close(5)
    memory.cache._dispatchers.clear()


async def test_twins(stage: Stage) -> None:
    """Each method can be awaited, for coroutine functions and plain ones."""
    orders = Orders(stage.cache, "coroutine", cache_key_with_full_args=True)
    await orders.cached(1, 1)
    await stage.cache.aclear_cached_func(orders.cached, 1, 1)
    await orders.cached(1, 1)
    await stage.cache.aclear_cached_func_some(orders.cached, 1)
    await orders.cached(1, 1)
    await stage.cache.aclear_cached_func_all(orders.cached)
    await orders.cached(1, 1)
    await stage.cache.aclear_all_cache()
    await orders.cached(1, 1)
    assert len(orders.computed) == 5
    plain = Orders(stage.cache, cache_key_with_full_args=True)
    plain.fill()
    await stage.cache.aclear_cached_func_some(plain.cached, 2)
    assert plain.again() == [(2, 1), (2, 2)]


def test_coroutine_functions_are_cleared_from_plain_code(memory: Stage) -> None:
    """The plain methods need no event loop."""
    orders = Orders(memory.cache, "coroutine", cache_key_with_full_args=True)
    memory.cache.clear_cached_func_all(orders.cached)
    assert memory.cache.clear_cached_func(orders.cached, 1, 1) is False
    assert memory.cache.clear_cached_func_some(orders.cached, 1) == (0, False)


class Account:
    """Methods of every kind."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __cache_key__(self) -> int:
        return self.number

    @cached_for(minutes=5, cache_key_with_full_args=True, name="tests:account.orders")
    def orders(self, year: int) -> list[int]:
        return [self.number, year]

    @classmethod
    @cached_for(minutes=5)
    def tariffs(cls, year: int) -> list[int]:
        return [year]

    @cached_for(minutes=5)
    @staticmethod
    def taxes(year: int) -> list[int]:
        return [year]

    @cached_for(minutes=5, expire_when="object_is_destroyed")
    def rights(self, year: int) -> list[int]:
        return [year]


@pytest.mark.tiercel_isolate
def test_methods_are_cleared_through_their_object() -> None:
    """A bound method brings its object along as the first argument."""
    one, other = Account(1), Account(2)
    first, second, third = one.orders(2023), one.orders(2024), other.orders(2023)
    assert default_cache.clear_cached_func(one.orders, 2023) is True
    assert one.orders(2023) is not first
    assert one.orders(2024) is second
    assert default_cache.clear_cached_func_some(one.orders) == (2, False)
    assert one.orders(2024) is not second
    assert other.orders(2023) is third
    assert default_cache.clear_cached_func(Account.orders, other, 2023) is True
    third = other.orders(2023)
    default_cache.clear_cached_func_all(one.orders)
    assert other.orders(2023) is not third


@pytest.mark.tiercel_isolate
@pytest.mark.parametrize("name", ["tariffs", "taxes", "rights"])
def test_other_methods_are_cleared_likewise(name: str) -> None:
    """Class methods, static methods, and results that belong to an object."""
    account, other = Account(1), Account(2)
    method = getattr(account, name)
    first, kept = method(2023), getattr(other, name)(2024)
    assert alan_cache.clear_cached_func(method, 2023) is True
    assert method(2023) is not first
    assert getattr(other, name)(2024) is kept
    alan_cache.clear_cached_func_all(method)
    assert getattr(other, name)(2024) is not kept


@pytest.mark.parametrize(
    ("options", "args", "kwargs", "error", "says"),
    [
        ({}, (1,), {}, ConfigurationError, "cache_key_with_full_args=True"),
        ({"cache_key_with_full_args": True}, (), {"order_id": 1}, ConfigurationError, "index=True"),
        ({"cache_key_with_full_args": True}, (), {}, TypeError, "at least one argument"),
        ({"cache_key_with_full_args": True}, (), {"shop": 1}, TypeError, "shop"),
        ({"index": True}, (1, 2, 3), {}, TypeError, "too many"),
        ({"args_to_ignore": ["user_id"], "index": True}, (1,), {}, TypeError, "its key depends on"),
    ],
)
def test_arguments_that_say_no_entries(
    options: Any, args: Any, kwargs: Any, error: type[Exception], says: str
) -> None:
    """What cannot be found without looking at everything is refused, and says what is missing."""
    cache = Cache()
    orders = Orders(cache, **options)
    with pytest.raises(error, match=says):
        cache.clear_cached_func_some(orders.cached, *args, **kwargs)


def test_plain_function_is_refused() -> None:
    """Only what a decorator has returned has entries."""
    with pytest.raises(TypeError, match="no cached function"):
        Cache().clear_cached_func(len, [])


def test_everything_is_cleared(stage: Stage) -> None:
    """All tiers, all functions and all values set by hand; no other prefix."""
    orders = Orders(stage.cache)
    orders.fill()
    stage.cache.set("a", 1)
    other = None
    if stage.shares:
        other = stage.process(prefix="other")
        other.set("a", 1)
    stage.cache.clear_all_cache()
    assert stage.cache.get("a") is None
    assert len(orders.again()) == 4
    assert other is None or other.get("a") == 1


def test_functions_only_others_have_called_are_cleared(tiers: Stage) -> None:
    """A process that has not called a function yet still drops what others have of it."""

    @request_cached
    def unrelated() -> int:
        return 1

    one, other = tiers.pair(lambda number: [number])
    first = one(1)
    tiers._made[-1].clear_all_cache()
    tiers.settle()
    assert one(1) is not first
    assert other(1) == [1]
    assert unrelated() == 1


@pytest.fixture
def worker() -> Iterator[tuple[ListBroker, SimulatedBackend, Cache, Cache]]:
    """A web process and a worker, with a broker between them."""
    broker, store = ListBroker(), SimulatedBackend()
    with plugged(broker):
        web, worker = Cache(backend=store, memory=0), Cache(backend=store, memory=0, name="worker")
        yield broker, store, web, worker
        web.close()
        worker.close()


def test_search_is_done_by_a_worker(
    worker: tuple[ListBroker, SimulatedBackend, Cache, Cache],
) -> None:
    """A queue carries the arguments; the caller is told that it is not over."""
    broker, _, web, there = worker
    options: Any = {"index": True, "dispatcher": "list", "name": f"tests:orders{next(_serial)}"}
    orders, theirs = Orders(web, **options), Orders(there, **options)
    orders.fill()
    assert web.clear_cached_func_some(orders.cached, order_id=2) == (0, True)
    assert orders.again() == []
    perform_message(broker.take(there))
    assert orders.again() == [(1, 2), (2, 2)]
    assert theirs.computed == []


def test_search_that_no_broker_takes_is_done_at_once(
    worker: tuple[ListBroker, SimulatedBackend, Cache, Cache],
) -> None:
    """A drop is never lost because a broker is down."""
    broker, _, web, _ = worker
    orders = Orders(web, index=True, dispatcher="list")
    orders.fill()
    broker.down = True
    assert web.clear_cached_func_some(orders.cached, order_id=2) == (2, False)
    assert orders.again() == [(1, 2), (2, 2)]


def test_worker_that_cannot_drop_fails(
    worker: tuple[ListBroker, SimulatedBackend, Cache, Cache],
) -> None:
    """The broker is to try again, for the worker may end before it can repeat the drop."""
    broker, store, web, there = worker
    options: Any = {"index": True, "dispatcher": "list", "name": f"tests:orders{next(_serial)}"}
    orders, theirs = Orders(web, **options), Orders(there, **options)
    orders.fill()
    assert theirs.computed == []
    web.clear_cached_func_some(orders.cached, order_id=2)
    store.unreachable = True
    with pytest.raises(BackendUnavailable):
        perform_message(broker.take(there))


def test_statistics_say_how_calls_were_served(stage: Stage) -> None:
    """Hits by tier, computations, errors; the ratio is that of calls without a computation."""
    cached = stage.cached(ttl=60)(lambda number: 1 // number)
    name = cached.cached_function.name
    assert cached.stats().ratio == 0.0
    for _ in range(4):
        cached(1)
    with pytest.raises(ZeroDivisionError):
        cached(0)
    stats = stage.cache.stats()[name]
    assert stats == cached.stats()
    hits = (0, 3) if stage.kind == "shared" else (3, 0)
    assert (stats.memory_hits, stats.shared_hits) == hits
    assert (stats.computations, stats.errors, stats.stale) == (2, 1, 0)
    assert stats.entries == (0 if stage.kind == "shared" else 1)
    assert stats.ratio == 3 / 5
    stage.cache.clear_local()
    cached(1)
    assert cached.stats().shared_hits == hits[1] + (1 if stage.shares else 0)


def test_statistics_of_methods_and_values() -> None:
    """A bound method says those of its function; values set by hand stand under their own name."""
    cache = Cache()

    class Shop:
        def __cache_key__(self) -> str:
            return "shop"

        @cache.cached(ttl=5)
        def price(self) -> int:
            return 1

    shop = Shop()
    assert [shop.price(), shop.price()] == [1, 1]
    assert shop.price.stats().memory_hits == 1
    cache.set("a", 1)
    cache.get("a")
    assert cache.stats()["values"].memory_hits == 1
