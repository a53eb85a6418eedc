"""What observers are told: every operation with its outcome, and everything that goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import ArgsKeyField, Cache, Cause, Status, Tier
from tiercel.events import Event, EventKind, Operation, OperationKind
from tiercel.plugins import Registry, hookimpl, set_default_registry
from tiercel.spi import SPI_VERSION, Observer, ObserverSpec

BY_USER = {"user": ArgsKeyField("user", partition=True)}


class Recorder(Observer):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.open: list[Operation] = []
        self.events: list[Event] = []

    def on_start(self, operation: Operation) -> str:
        self.open.append(operation)
        return f"started {operation.kind}"

    def on_end(self, operation: Operation, started: Any) -> None:
        assert started == f"started {operation.kind}"
        self.open.remove(operation)
        self.operations.append(operation)

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[OperationKind]:
        told = [operation.kind for operation in self.operations]
        self.operations.clear()
        return told


class Broken(Observer):
    """Fails at everything."""

    def on_start(self, operation: Operation) -> None:
        raise ZeroDivisionError

    def on_event(self, event: Event) -> None:
        raise ZeroDivisionError


class Plugin:
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    @hookimpl
    def tiercel_observers(self) -> list[ObserverSpec]:
        return [
            ObserverSpec("recorder", lambda: self.recorder, SPI_VERSION),
            ObserverSpec("broken", Broken, SPI_VERSION),
        ]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """What caches that are made in this test tell."""
    recorder = Recorder()
    registry = Registry()
    registry.register(Plugin(recorder))
    set_default_registry(registry)
    yield recorder
    set_default_registry(None)


async def test_operations_when_missed_hit_and_dropped_are_told(
    recorder: Recorder, shared: Stage, way: Way
) -> None:
    """A miss reads, computes and fills; a hit reads; a drop drops; all end."""
    cached = shared.cached(way.function(lambda user: [user]), key=BY_USER)
    await way.call(cached, 1)
    read, compute, fill = recorder.operations
    assert [read.kind, compute.kind, fill.kind] == ["read", "compute", "fill"]
    assert (read.status, read.cause) == (Status.MISS, Cause.ABSENT)
    assert {each.cache for each in recorder.operations} == {shared.cache.name}
    assert {each.function for each in recorder.operations} == {cached.cached_function.name}
    assert {each.key for each in recorder.operations} == {cached.get_cache_key(1)}
    assert fill.size is not None
    recorder.operations.clear()
    shared.advance(5)
    await way.call(cached, 1)
    (hit,) = recorder.operations
    assert (hit.kind, hit.status, hit.tier, hit.cause) == ("read", "HIT", Tier.SHARED, None)
    assert hit.age == pytest.approx(5, abs=0.01)
    assert hit.size == fill.size
    recorder.operations.clear()
    await way.do(cached, "delete_cache", 1)
    await way.do(cached, "delete_by_prefix", user=1)
    one, scopes = recorder.operations
    assert [one.kind, scopes.kind] == ["drop", "drop"]
    assert one.key == cached.get_cache_key(1)
    assert scopes.attributes is not None
    assert len(scopes.attributes["scopes"]) == 1
    assert recorder.open == []


async def test_hit_when_its_age_matters_to_nobody_is_told_as_fully(
    recorder: Recorder, shared: Stage, way: Way
) -> None:
    """A plain call does less than one that returns metadata, and observers learn the same."""
    cached = shared.cached(way.function(lambda user: [user] * 2000), key=BY_USER, ttl=60)
    await way.call(cached, 1)
    shared.advance(5)
    recorder.operations.clear()
    await way.call(cached, 1)
    await way.do(cached, "get_with_metadata", 1)
    plain, described = recorder.operations
    assert plain.stamps
    assert [plain.age, described.age] == pytest.approx([5, 5], abs=0.01)
    plain.age = described.age
    assert plain == described


async def test_operations_when_memory_serves_are_none(
    recorder: Recorder, memory: Stage, way: Way
) -> None:
    """A hit in memory is no operation."""
    cached = memory.cached(way.function(lambda user: user))
    await way.call(cached, 1)
    assert recorder.kinds() == ["compute"]
    await way.call(cached, 1)
    assert recorder.kinds() == []


async def test_operations_when_the_function_fails_carry_the_error(
    recorder: Recorder, shared: Stage, way: Way
) -> None:
    """The end of a computation says what it ended with, and every operation ends."""

    def fail(user: int) -> int:
        raise ValueError("broken")

    cached = shared.cached(way.function(fail))
    with pytest.raises(ValueError):
        await way.call(cached, 1)
    errors = [each.error for each in recorder.operations if each.kind == "compute"]
    assert [str(error) for error in errors] == ["broken"]
    assert recorder.open == []


async def test_causes_when_an_entry_is_gone_tell_why(
    recorder: Recorder, shared: Stage, way: Way
) -> None:
    """Every miss is explained."""
    cached = shared.cached(way.function(lambda user: user), key=BY_USER, ttl=10)
    causes = []

    async def miss() -> None:
        _, metadata = await way.do(cached, "get_with_metadata", 1)
        causes.append(metadata["cause"])

    await miss()
    shared.advance(11)
    await miss()
    await way.do(cached, "delete_by_prefix", user=1)
    await miss()
    shared.store.unreachable = True
    await miss()
    assert causes[0] is Cause.ABSENT
    assert causes[1] in (Cause.EXPIRED, Cause.ABSENT)
    assert causes[2:] == [Cause.DROPPED, Cause.UNAVAILABLE]


def test_events_when_the_tier_goes_away_and_comes_back_are_told(
    recorder: Recorder, shared: Stage
) -> None:
    """The breaker's opening and closing, and every error that no caller sees."""
    cached = shared.cached(lambda user: user)
    cached(1)
    shared.store.unreachable = True
    for user in range(2, 10):
        cached(user)
    shared.store.unreachable = False
    shared.advance(2)
    cached(1)
    kinds = [event.kind for event in recorder.events]
    assert kinds.count(EventKind.BREAKER_OPENED) == kinds.count(EventKind.BREAKER_CLOSED) == 1
    assert EventKind.SWALLOWED_ERROR in kinds
    swallowed = next(e for e in recorder.events if e.kind is EventKind.SWALLOWED_ERROR)
    assert swallowed.error is not None
    assert swallowed.cache == shared.cache.name


def test_events_when_a_fill_is_refused_are_told(recorder: Recorder, shared: Stage) -> None:
    """A drop of the key during the computation refuses the fill."""
    cached: Any = shared.cached(lambda user: cached.delete_cache(user))
    cached(1)
    (refused,) = [event for event in recorder.events if event.kind is EventKind.FILL_REFUSED]
    assert refused.function == cached.cached_function.name
    assert refused.key == cached.get_cache_key(1)


def test_observer_when_it_fails_is_logged_once_and_hurts_nobody(
    recorder: Recorder, memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Another observer, and the caller, notice nothing."""
    cached = memory.cached(lambda user: user)
    assert [cached(user) for user in range(5)] == list(range(5))
    assert len(recorder.operations) == 5
    assert len([r for r in caplog.records if "its failures are not logged again" in r.message]) == 1


def test_evictions_when_memory_is_full_are_told(recorder: Recorder) -> None:
    """Memory is bounded by entries, and says how many had to leave."""
    cache = Cache(memory=10)
    cached: Any = cache.cached(name="tests:evicted")(lambda key: key)
    for key in range(100):
        cached(key)
    assert len(cache.engine.memory or ()) <= 10
    left = sum(event.count for event in recorder.events if event.kind is EventKind.EVICTION)
    assert left >= 80


def test_log_when_debugging_says_hit_or_miss_and_why(
    shared: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """One DEBUG line per call that leaves memory; nothing above it as long as all goes well."""
    caplog.set_level(logging.DEBUG, logger="tiercel")
    cached = shared.cached(lambda user: user)
    cached(1)
    cached(1)
    name = cached.cached_function.name
    said = [record.message for record in caplog.records if name in record.message]
    assert len(said) == 2
    assert "MISS" in said[0]
    assert "absent" in said[0]
    assert "HIT from shared" in said[1]
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
