"""`cached_for`: results that are computed before anybody asks."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker, plugged
from packages.core.tests.stages import wait_until
from tiercel import (
    CACHE_MISSING,
    Cache,
    ConfigurationError,
    cached_for,
    configure,
    get_cache,
)
from tiercel.configuration import use_caches
from tiercel.dispatch.schedule import Schedule
from tiercel.spi import perform_message
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.warmup import fingerprint

HOUR = 3600.0

_serial = count(1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Time of the caches; of warm-ups it does not matter which deploy they are for."""
    monkeypatch.delenv("TIERCEL_DEPLOY", raising=False)
    return VirtualClock(time=1_800_000_000.0)


@pytest.fixture
def store(clock: VirtualClock) -> SimulatedBackend:
    """A shared tier."""
    return SimulatedBackend(clock)


@pytest.fixture
def schedule(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Schedule:
    """The repetitions of this process, which are looked at when a test says so."""
    schedule = Schedule(clock, threaded=False)
    monkeypatch.setattr("tiercel.cached.SCHEDULE", schedule)
    return schedule


class Configuration:
    """The documented function, in as many processes as a test likes."""

    def __init__(self, clock: VirtualClock, store: SimulatedBackend | None) -> None:
        self.clock = clock
        self.store = store
        self.name = f"tests:configuration{next(_serial)}"
        self.fetched: list[Any] = []
        self.error: Exception | None = None
        self.caches: list[Cache] = []

    def process(self, **options: Any) -> Any:
        """Return the function as another process has it."""
        options = {"hours": 6, "name": self.name, **options}
        return cached_for(cache=self.cache(), **options)(self.function())

    def cache(self) -> Cache:
        """Return the cache of another process."""
        shared: Any = {} if self.store is None else {"backend": self.store, "memory": 0}
        cache = Cache(clock=self.clock, name=f"process{len(self.caches)}", **shared)
        self.caches.append(cache)
        return cache

    def function(self) -> Any:
        """Return what is cached."""

        def get_global_configuration(region: str = "eu") -> int:
            self.fetched.append(region)
            if self.error is not None:
                raise self.error
            return len(self.fetched)

        return get_global_configuration


@pytest.fixture(params=["memory", "shared"])
def configuration(
    request: pytest.FixtureRequest, clock: VirtualClock, store: SimulatedBackend
) -> Iterator[Configuration]:
    """The function in a cache in memory only, then in one with a shared tier."""
    made = Configuration(clock, store if request.param == "shared" else None)
    yield made
    for cache in made.caches:
        cache.close()


@pytest.fixture
def cluster(clock: VirtualClock, store: SimulatedBackend) -> Iterator[Configuration]:
    """The function in processes with a shared tier."""
    made = Configuration(clock, store)
    yield made
    for cache in made.caches:
        cache.close()


def test_results_are_refreshed_before_they_end(
    configuration: Configuration, schedule: Schedule
) -> None:
    """Pattern 6: callers find a result of the last four hours, whenever they ask."""
    cached = configuration.process(async_refresh_every=timedelta(hours=4))
    assert cached() == 1
    for number in range(2, 5):
        configuration.clock.advance(4 * HOUR)
        schedule.tick()
        wait_until(partial(_holds, cached, number))
        assert cached() == number
    assert len(configuration.fetched) == 4


def _holds(cached: Any, value: int) -> bool:
    return bool(cached.get_cache_only() == value)


def test_refresh_that_fails_keeps_the_old_result(
    configuration: Configuration, schedule: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that is down is not asked by callers as long as the old result lives."""
    cached = configuration.process(async_refresh_every=timedelta(hours=4))
    assert cached() == 1
    configuration.error = ConnectionError("service is down")
    configuration.clock.advance(4 * HOUR)
    with caplog.at_level(logging.CRITICAL, "tiercel.dispatch"):
        schedule.tick()
        wait_until(lambda: len(configuration.fetched) == 2)
        wait_until(lambda: cached.stats().errors == 1)
    configuration.clock.advance(0.5 * HOUR)
    assert cached() == 1
    configuration.clock.advance(2 * HOUR)
    with pytest.raises(ConnectionError):
        cached()


def test_listed_calls_are_refreshed(configuration: Configuration, schedule: Schedule) -> None:
    """A list says for which arguments, as tuples or by name."""
    cached = configuration.process(
        async_refresh_every=HOUR, async_refresh_args=[("eu",), {"region": "us"}]
    )
    configuration.clock.advance(HOUR)
    schedule.tick()
    wait_until(lambda: cached.get_cache_only("us") is not CACHE_MISSING)
    wait_until(lambda: cached.get_cache_only() is not CACHE_MISSING)
    assert sorted(configuration.fetched) == ["eu", "us"]


def test_function_that_nobody_holds_is_not_refreshed(
    clock: VirtualClock, schedule: Schedule
) -> None:
    """Decorating inside a function leaks nothing."""
    configuration = Configuration(clock, None)
    gone = weakref.ref(
        configuration.process(async_refresh_every=HOUR, warmup_on_startup=True).cached_function
    )
    gc.collect()
    assert gone() is None
    clock.advance(HOUR)
    schedule.tick()
    assert configuration.fetched == []


def test_warmup_begins_with_the_first_use_of_the_cache(configuration: Configuration) -> None:
    """Any function of the cache will do; nothing runs when the function is decorated."""
    cached = configuration.process(warmup_on_startup=True)
    assert configuration.fetched == []
    other = configuration.caches[0].cached(name=f"{configuration.name}.other")(lambda: 1)
    assert other() == 1
    wait_until(lambda: cached.get_cache_only() == 1)
    assert cached() == 1
    assert configuration.fetched == ["eu"]


def test_warmup_does_not_block_the_start(configuration: Configuration) -> None:
    """Whoever uses the cache first does not wait for what is being warmed up."""
    go_on = threading.Event()

    @cached_for(hours=1, cache=configuration.cache(), warmup_on_startup=True, name="tests:slow")
    def slow() -> bool:
        return go_on.wait(60)

    configuration.caches[0].set("a", 1)
    configuration.caches[0].get("a")
    assert slow.get_cache_only() is CACHE_MISSING
    go_on.set()
    wait_until(lambda: slow.get_cache_only() is True)


def test_warmup_happens_once_for_a_deploy(
    cluster: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the processes of a deploy, one warms up, even if the result is dropped later."""
    first = cluster.process(warmup_on_startup=True)
    cluster.caches[0].in_use()
    wait_until(lambda: first.get_cache_only() == 1)
    first.invalidate_all()
    second = cluster.process(warmup_on_startup=True)
    cluster.caches[1].in_use()
    cluster.caches[1].in_use()
    _settled()
    assert second.get_cache_only() is CACHE_MISSING
    monkeypatch.setenv("TIERCEL_DEPLOY", "2026-11-21")
    third = cluster.process(warmup_on_startup=True)
    cluster.caches[2].in_use()
    wait_until(lambda: third.get_cache_only() == 2)


def _settled() -> None:
    """Wait until no warm-up is being started."""
    for thread in threading.enumerate():
        if thread.name == "tiercel-warmup":
            thread.join(60)


def test_warmup_leaves_what_is_there(cluster: Configuration) -> None:
    """A result that others have stored is not computed again."""
    first = cluster.process()
    assert first() == 1
    cluster.process(warmup_on_startup=True)
    cluster.caches[1].in_use()
    _settled()
    for dispatcher in cluster.caches[1]._dispatchers.values():
        dispatcher.close(5)
    assert cluster.fetched == ["eu"]


def test_warmup_that_fails_prevents_nothing(
    configuration: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """A function that raises, and a tier that is down, are reported; the start goes on."""
    configuration.error = ValueError("no")
    cached = configuration.process(warmup_on_startup=True)
    configuration.caches[0].in_use()
    wait_until(lambda: cached.stats().errors == 1)
    if configuration.store is not None:
        configuration.store.unreachable = True
        configuration.process(warmup_on_startup=True)
        configuration.caches[1].in_use()
        _settled()
        assert "no process could be chosen" in caplog.text
    configuration.error = None
    assert cached() == len(configuration.fetched)


def test_warmup_goes_through_the_queue(cluster: Configuration) -> None:
    """Where a queue is the dispatcher, a worker warms up."""
    broker = ListBroker()
    with plugged(broker):
        web = cluster.process(warmup_on_startup=True, dispatcher="list")
        cluster.process(warmup_on_startup=True, dispatcher="list")
        cluster.caches[0].in_use()
        wait_until(lambda: broker.messages)
        perform_message(broker.take(cluster.caches[1]))
    assert web.get_cache_only() == 1


def test_configuring_the_caches_warms_up(clock: VirtualClock) -> None:
    """Functions of configured caches are warmed up before anything is called."""
    configuration = Configuration(clock, None)

    cached = cached_for(hours=1, warmup_on_startup=True, name=configuration.name)(
        configuration.function()
    )
    former = use_caches({})
    try:
        configure(default={"clock": clock})
        wait_until(lambda: cached.get_cache_only() == 1)
        assert configuration.fetched == ["eu"]
        get_cache().close()
    finally:
        use_caches(former)


def test_deploys_are_told_apart_by_the_code_of_a_function() -> None:
    """The same source has one fingerprint, also with a set in it, and another source another."""

    def made(text: str) -> Any:
        space: dict[str, Any] = {}
        exec(text, space)
        return space["f"]

    one = "def f(x):\n    return x in {'a', 'b', 'c'} or [y for y in x]"
    assert fingerprint(made(one)) == fingerprint(made(one))
    assert fingerprint(made(one)) != fingerprint(made(one.replace("'c'", "'d'")))


def refused(function: Any, says: str, **options: Any) -> None:
    """Decorate with options that cannot work."""
    with pytest.raises(ConfigurationError, match=says):
        cached_for(**options)(function)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hours": 6, "async_refresh_every": timedelta(hours=6)}, "shorter than the lifetime"),
        ({"hours": 6, "async_refresh_every": 7 * HOUR}, "shorter than the lifetime"),
        ({"ttl": timedelta(hours=1), "async_refresh_every": HOUR}, "shorter than the lifetime"),
        ({"hours": 6, "async_refresh_every": 0}, "more than 0"),
        ({"hours": 6, "async_refresh_every": "1h"}, "seconds or a timedelta"),
        ({"hours": 6, "warmup_on_startup": "yes"}, "warmup_on_startup='yes'"),
        ({"hours": 6, "async_refresh_args": [(1,)]}, "needs async_refresh_every="),
        ({"hours": 6, "warmup_on_startup": True, "async_refresh_args": [1]}, "neither a tuple"),
        ({"hours": 6, "warmup_on_startup": True, "async_refresh_args": [(1, 2)]}, "too many"),
        ({"hours": 6, "warmup_on_startup": True, "async_refresh_args": 5}, "a list of calls"),
    ],
)
def test_wrong_options_are_refused(options: Any, says: str) -> None:
    """What cannot work is an error at decoration."""
    refused(lambda number=1: number, says, **options)


@pytest.mark.parametrize("options", [{"async_refresh_every": 60}, {"warmup_on_startup": True}])
def test_arguments_must_be_listed(options: Any) -> None:
    """A function with required arguments cannot be called without knowing them."""
    refused(lambda number: number, "'number'.*async_refresh_args=", minutes=5, **options)
