"""Refreshes in another process: once for many readers, and never against a drop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker, plugged
from packages.core.tests.stages import Way
from tiercel import CACHE_MISSING, Cache, CachedFunction, cache_result, configure
from tiercel.dispatch import refresh_task, warm_task
from tiercel.engine.refresh import QUEUED_LEASE
from tiercel.spi import ConfigurationError, aperform_message, perform_message
from tiercel.testing import SimulatedBackend, VirtualClock

TTL, STALE = 10.0, 1000.0

_serial = count(1)


class Web:
    """Two web processes and a worker that share a tier and a broker."""

    def __init__(self, broker: ListBroker, way: Way) -> None:
        self.broker = broker
        self.way = way
        self.clock = VirtualClock()
        self.store = SimulatedBackend(self.clock)
        self.numbers = count(1)
        self.name = f"shop:price{next(_serial)}"
        self.computed: list[str] = []
        self.caches = [self._cache(name) for name in ("web0", "web1", "worker")]
        self.first, self.second, self.worker = (self._function(each) for each in self.caches)

    def _cache(self, name: str) -> Cache:
        return Cache(backend=self.store, clock=self.clock, name=name, memory=0)

    def _function(self, cache: Cache) -> CachedFunction[..., Any, Any]:
        def price(product: int) -> int:
            self.computed.append(cache.name)
            return next(self.numbers)

        options: Any = {"name": self.name, "ttl": TTL, "stale": STALE, "dispatcher": "list"}
        cached: Any = cache.cached(**options)(self.way.function(price))
        function: CachedFunction[..., Any, Any] = cached.cached_function
        return function

    async def read(self, function: CachedFunction[..., Any, Any]) -> tuple[int, str]:
        value, metadata = await function.aget_with_metadata(1)
        return value, metadata["cache_status"]

    async def make_stale(self) -> None:
        """Fill the entry, and let it become stale."""
        await self.read(self.first)
        self.clock.advance(TTL + 1)

    def drop(self, scope: str) -> None:
        """Drop, as a fourth process would."""
        cache = self._cache("x")
        other: Any = cache.cached(name=self.name)(lambda product: product)
        if scope == "key":
            other.delete_cache(1)
        else:
            other.invalidate_all()

    def close(self) -> None:
        for cache in self.caches:
            cache.close()


@pytest.fixture
def broker() -> Iterator[ListBroker]:
    """Give a broker, known as dispatcher `list`."""
    broker = ListBroker()
    with plugged(broker):
        yield broker


@pytest.fixture(params=["plain", "coroutine"])
def web(request: pytest.FixtureRequest, broker: ListBroker) -> Iterator[Web]:
    """Give processes with a plain, then with a coroutine function."""
    web = Web(broker, Way(request.param))
    yield web
    web.close()


async def test_stale_when_read_by_many_processes_is_enqueued_once(web: Web) -> None:
    """Everybody gets the stale value at once, and one message goes to the broker."""
    await web.make_stale()
    for _ in range(3):
        assert await web.read(web.first) == (1, "STALE")
        assert await web.read(web.second) == (1, "STALE")
    assert len(web.broker.messages) == 1


async def test_stale_when_the_worker_performs_is_fresh_everywhere(web: Web) -> None:
    """The worker computes under the right that the reader took, and everybody sees the value."""
    await web.make_stale()
    await web.read(web.first)
    await aperform_message(web.broker.take(web.caches[2]))
    assert web.computed == ["web0", "worker"]
    assert await web.read(web.first) == (2, "HIT")
    assert await web.read(web.second) == (2, "HIT")
    assert web.broker.messages == []


def test_message_when_performed_by_a_plain_worker_may_be_for_a_coroutine_function(
    web: Web,
) -> None:
    """A worker without an event loop makes one where the function needs it."""
    call = web.worker.call((1,), {})
    perform_message(refresh_task(web.worker.subject, call).to_json())
    assert web.computed == ["worker"]


async def test_stale_when_the_worker_is_late_takes_a_right_of_its_own(web: Web) -> None:
    """A task that waited longer than its lease lived is done nevertheless."""
    await web.make_stale()
    await web.read(web.first)
    web.clock.advance(QUEUED_LEASE + 1)
    await aperform_message(web.broker.take(web.caches[2]))
    assert await web.read(web.second) == (2, "HIT")


async def test_stale_when_the_lease_lives_nobody_else_enqueues(web: Web) -> None:
    """For as long as the task may wait, other readers leave it at that."""
    await web.make_stale()
    await web.read(web.first)
    web.clock.advance(QUEUED_LEASE - 1)
    await web.read(web.second)
    assert len(web.broker.messages) == 1
    web.clock.advance(2)
    await web.read(web.second)
    assert len(web.broker.messages) == 2


async def test_stale_when_somebody_was_faster_is_not_computed_again(web: Web) -> None:
    """A late task finds a fresh entry and does nothing."""
    await web.make_stale()
    await web.read(web.first)
    web.clock.advance(QUEUED_LEASE + 1)
    text = web.broker.take(web.caches[2])
    await web.second.arefresh(1)
    await aperform_message(text)
    assert web.computed == ["web0", "web1"]


async def test_stale_when_a_message_comes_twice_is_computed_once(web: Web) -> None:
    """Brokers deliver at least once; the second time there is nothing to do."""
    await web.make_stale()
    await web.read(web.first)
    text = web.broker.take(web.caches[2])
    await aperform_message(text)
    await aperform_message(text)
    assert web.computed == ["web0", "worker"]


@pytest.mark.parametrize("scope", ["key", "function"])
async def test_stale_when_dropped_meanwhile_is_not_brought_back(web: Web, scope: str) -> None:
    """What the task stores was computed after the drop."""
    await web.make_stale()
    await web.read(web.first)
    text = web.broker.take(web.caches[2])
    web.drop(scope)
    assert await web.first.aget_cache_only(1) is CACHE_MISSING
    await aperform_message(text)
    assert await web.read(web.second) == (2, "HIT")


async def test_stale_when_it_ends_before_the_worker_comes_nobody_waits(web: Web) -> None:
    """The right of a task that nobody performs ends with the stale entry, not after it."""
    await web.make_stale()
    web.clock.advance(STALE - 12.0)
    assert await web.read(web.first) == (1, "STALE")
    web.clock.advance(11.0)
    assert await web.read(web.second) == (2, "MISS")


async def test_stale_when_the_broker_is_down_gives_the_right_back(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """The refresh is given up and said so; the next reader tries again at once."""
    await web.make_stale()
    web.broker.down = True
    with caplog.at_level(logging.WARNING):
        assert await web.read(web.first) == (1, "STALE")
    assert "a stale entry could not be refreshed: no broker" in caplog.text
    web.broker.down = False
    assert await web.read(web.second) == (1, "STALE")
    assert len(web.broker.messages) == 1


async def test_function_when_it_fails_in_the_worker_raises_for_the_broker(web: Web) -> None:
    """The broker can retry; the right is free at once."""
    await web.make_stale()
    await web.read(web.first)
    text = web.broker.take(web.caches[2])

    def fail() -> Any:
        raise ValueError("no stock")

    numbers, web.numbers = web.numbers, iter(fail, 0)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no stock"):
        await aperform_message(text)
    web.numbers = numbers
    await aperform_message(text)
    assert await web.read(web.first) == (2, "HIT")


async def test_warm_task_when_the_entry_is_fresh_does_nothing(web: Web) -> None:
    """A refresh computes in any case, a warm-up only what is not there."""
    call = web.worker.call((1,), {})
    warm = warm_task(web.worker.subject, call).to_json()
    await aperform_message(warm)
    await aperform_message(warm)
    assert len(web.computed) == 1
    await aperform_message(refresh_task(web.worker.subject, call).to_json())
    assert await web.read(web.first) == (2, "HIT")


async def test_argument_when_it_cannot_be_carried_costs_the_refresh_only(
    broker: ListBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets the stale value, and the log names the argument."""

    class Odd:
        def __cache_key__(self) -> str:
            return "odd"

    clock = VirtualClock()
    cache = Cache(backend=SimulatedBackend(clock), clock=clock, memory=0)
    options: Any = {"name": "shop:odd", "ttl": 1, "stale": 100, "dispatcher": "list"}
    cached: Any = cache.cached(**options)(lambda what: "value")
    assert cached(Odd()) == "value"
    clock.advance(2)
    with caplog.at_level(logging.WARNING):
        assert cached(Odd()) == "value"
    assert "argument 'what' of shop:odd cannot be carried by a task" in caplog.text
    assert broker.messages == []
    cache.close()


# Where a queue makes sense at all


def test_queue_on_a_cache_in_memory_is_refused_at_decoration(broker: ListBroker) -> None:
    """A worker could change nothing here; the error names both."""
    with pytest.raises(ConfigurationError, match=r"f: dispatcher 'list' .* cache 'mine' has no"):
        Cache(name="mine").cached(name="f", dispatcher="list")(lambda: 1)
    with pytest.raises(ConfigurationError, match="cache 'mine': dispatcher 'list'"):
        Cache(name="mine", dispatcher="list")


def test_queue_for_a_function_in_memory_is_refused_at_decoration(broker: ListBroker) -> None:
    """The same where only the function does without the shared tier."""
    cache = Cache(backend=SimulatedBackend(VirtualClock()))
    with pytest.raises(ConfigurationError, match="with tiers='memory' nothing is shared"):
        cache.cached(name="f", dispatcher="list", tiers="memory")(lambda: 1)


def test_queue_when_its_common_option_is_wrong_is_refused_at_decoration(
    broker: ListBroker,
) -> None:
    """The value of an option is looked at before the first call."""
    cache = Cache(backend=SimulatedBackend(VirtualClock()))
    with pytest.raises(ConfigurationError, match="max_retries must be an integer"):
        cache.cached(dispatcher="list", dispatcher_config={"max_retries": -2})(lambda: 1)


def test_queue_when_the_cache_is_known_later_is_refused_at_the_first_call(
    broker: ListBroker,
) -> None:
    """A door that follows the configuration finds out when it binds."""
    cached = cache_result(dispatcher="list")(lambda: 1)
    configure(default="memory://")
    try:
        with pytest.raises(ConfigurationError, match="dispatcher 'list' performs tasks in other"):
            cached()
    finally:
        configure()


def test_queue_when_caches_are_isolated_for_a_test_is_inline(
    broker: ListBroker, tiercel_caches: Any, virtual_clock: VirtualClock
) -> None:
    """Tests of a project need no broker: what would be sent is done at once."""
    numbers = count(1)
    cached = cache_result(ttl=1, stale=100, dispatcher="list")(lambda: next(numbers))
    assert cached() == 1
    virtual_clock.advance(2)
    assert cached() == 1
    assert cached() == 2
    assert broker.messages == []
