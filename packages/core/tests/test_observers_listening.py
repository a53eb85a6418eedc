"""Observers that may or may not listen, and what caches do for them meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import Cache
from tiercel.events import MemoryHit, Operation, OperationKind, Status
from tiercel.measures import cache_figures, function_figures, observe_anew
from tiercel.plugins import Registry, hookimpl, set_default_registry
from tiercel.spi import SPI_VERSION, Observer, ObserverSpec
from tiercel.testing.servers import wait_until


class Choosy(Observer):
    """Listens when it is told to."""

    def __init__(self) -> None:
        self.listening = self.wanting = False
        self.hits: list[MemoryHit] = []
        self.operations: list[Operation] = []

    def listens(self) -> bool:
        return self.listening

    def wants_memory_hits(self) -> bool:
        return self.wanting

    def on_memory_hit(self, hit: MemoryHit) -> None:
        self.hits.append(hit)

    def on_end(self, operation: Operation, started: Any) -> None:
        self.operations.append(operation)


class Plugin:
    def __init__(self, observer: Choosy) -> None:
        self.observer = observer

    @hookimpl
    def tiercel_observers(self) -> list[ObserverSpec]:
        return [ObserverSpec("choosy", lambda: self.observer, SPI_VERSION)]


@pytest.fixture
def choosy() -> Iterator[Choosy]:
    """The observer of caches that are made in this test."""
    observer = Choosy()
    registry = Registry()
    registry.register(Plugin(observer))
    set_default_registry(registry)
    yield observer
    set_default_registry(None)


async def test_hits_when_wanted_then_each_is_told_on_either_way(
    choosy: Choosy, memory: Stage, way: Way
) -> None:
    """By the generated code, and by the slow path, which copies."""
    choosy.listening = choosy.wanting = True
    for options in ({}, {"copy": True}):
        cached = memory.cached(way.function(lambda user: user), **options)
        for _ in range(3):
            await way.call(cached, 1)
        name = cached.cached_function.name
        assert choosy.hits == [MemoryHit(memory.cache.name, name)] * 2
        figures = {each.function: each.memory_hits for each in function_figures()}
        assert figures[name] == 2
        choosy.hits.clear()


async def test_code_when_nobody_wants_hits_then_is_that_of_no_observer(
    choosy: Choosy, memory: Stage, way: Way
) -> None:
    """The same object with an observer and without; and again once it wants them no more."""
    cached = memory.cached(way.function(lambda user: user))
    code = cached.__code__
    choosy.listening = True
    await way.call(cached, 1)
    assert cached.__code__ is code
    choosy.wanting = True
    observe_anew()
    assert cached.__code__ is not code
    await way.call(cached, 1)
    assert len(choosy.hits) == 1
    choosy.wanting = False
    observe_anew()
    assert cached.__code__ is code
    await way.call(cached, 1)
    assert len(choosy.hits) == 1


async def test_observer_when_it_does_not_listen_then_is_told_nothing(
    choosy: Choosy, shared: Stage, way: Way
) -> None:
    """Until it does, and is asked again."""
    cached: Any = shared.cached(way.function(lambda user: user))
    await way.call(cached, 1)
    assert not shared.cache.engine.observers
    assert choosy.operations == []
    choosy.listening = True
    observe_anew()
    await way.call(cached, 1)
    (read,) = choosy.operations
    assert (read.kind, read.status) == (OperationKind.READ, Status.HIT)


def test_observer_when_it_stops_listening_in_between_then_its_operation_ends(
    choosy: Choosy, memory: Stage
) -> None:
    """What has begun is ended, whoever is asked meanwhile."""
    choosy.listening = True

    def stop(user: int) -> int:
        choosy.listening = False
        observe_anew()
        return user

    memory.cached(stop)(1)
    assert [each.kind for each in choosy.operations] == [OperationKind.COMPUTE]


def test_waiting_when_another_computes_then_is_an_operation(choosy: Choosy, memory: Stage) -> None:
    """It ends with how the one who waited was served."""
    choosy.listening = True
    begun, go_on = threading.Event(), threading.Event()

    def slow(user: int) -> int:
        begun.set()
        go_on.wait(60)
        return user

    cached = memory.cached(slow)
    callers = [threading.Thread(target=cached, args=(1,)) for _ in range(2)]
    callers[0].start()
    assert begun.wait(60)
    callers[1].start()
    flights = cached.cached_function.subject.flights
    wait_until(lambda: any(each._wakers for each in flights._by_key.values()), "the second caller")
    go_on.set()
    for caller in callers:
        caller.join(60)
    (wait,) = [each for each in choosy.operations if each.kind is OperationKind.WAIT]
    assert wait.status is Status.HIT


def test_figures_when_asked_for_then_are_those_of_now(choosy: Choosy) -> None:
    """Entries, evictions and the breaker of each cache, without any observer listening."""
    cache = Cache(memory=10, name="figured")
    cached: Any = cache.cached(name="tests:figured")(lambda key: key)
    for key in range(100):
        cached(key)
    (figures,) = [each for each in cache_figures() if each.cache == "figured"]
    assert figures.entries <= 10
    assert figures.evictions >= 80
    assert figures.breaker_open is None
    assert figures.lag is None
    cache.close()
