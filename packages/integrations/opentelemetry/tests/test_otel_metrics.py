"""What is measured: durations, and figures that are read when somebody collects."""

from __future__ import annotations

from typing import Any

from packages.integrations.opentelemetry.tests.watching import Telemetry
from tiercel import ArgsKeyField, Cache, InvalidationRule, changed
from tiercel.testing import SimulatedBackend, VirtualClock

BY_USER = {"user": ArgsKeyField("user", partition=True)}


def test_durations_when_operations_end_then_are_recorded_by_result(
    telemetry: Telemetry, shared: Cache
) -> None:
    """A miss and two hits; functions are named only where they compute."""
    cached: Any = shared.cached(name="tests:durations")(lambda user: user)
    for _ in range(3):
        cached(1)
    durations = telemetry.points("tiercel.operation.duration")
    assert durations["shop", "read", "miss", "shared"] == 1
    assert durations["shop", "read", "hit", "shared"] == 2
    assert durations["shop", "compute", "done"] == durations["shop", "fill", "done"] == 1
    assert telemetry.points("tiercel.compute.duration") == {
        ("shop", "tests:durations", "done"): 1,
    }


def test_invalidations_when_they_happen_then_are_counted_by_rule_and_reach(
    telemetry: Telemetry, shared: Cache
) -> None:
    """Of one entry, and of scopes."""
    rule = InvalidationRule("tests.Counted", field_mapping={"user": "id"}, name="counted")
    cached: Any = shared.cached(name="tests:drops", key=BY_USER, invalidates_on=[rule])(
        lambda user: user
    )
    cached(1)
    cached.delete_cache(1)
    changed("tests.Counted", old={"id": 1}, new={"id": 1})
    assert telemetry.points("tiercel.invalidations") == {
        ("shop", "tests:drops", "entry"): 1,
        ("shop", "tests:drops", "counted", "scopes"): 1,
    }


def test_memory_when_it_is_full_then_entries_bytes_and_evictions_are_read(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """Plain integers of the core, which cost nothing until they are collected."""
    cache = Cache(memory=50, memory_bytes=1_000_000, name="full", clock=clock)
    cached: Any = cache.cached(name="tests:full")(lambda user: user)
    for user in range(120):
        cached(user)
    assert 40 <= telemetry.points("tiercel.entry.count")["full",] <= 50
    assert telemetry.points("tiercel.memory.size")["full",] > 0
    assert telemetry.points("tiercel.memory.evictions")["full",] >= 70


def test_hits_when_collected_then_are_those_of_both_ways(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """Of the generated code, and of the slow path."""
    cache = Cache(name="hitting", clock=clock)
    fast: Any = cache.cached(name="tests:fast")(lambda user: user)
    slow: Any = cache.cached(name="tests:slow", copy=True)(lambda user: user)
    for function in (fast, slow):
        for _ in range(4):
            function(1)
    hits = telemetry.points("tiercel.memory.hits")
    assert hits["hitting", "tests:fast"] == hits["hitting", "tests:slow"] == 3


def test_lag_when_memory_follows_a_channel_then_is_read(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """How old the last proof is that nothing dropped elsewhere is still here."""
    cache = Cache(backend=SimulatedBackend(clock), name="following", clock=clock, max_lag=5.0)
    cached: Any = cache.cached(name="tests:following")(lambda user: user)
    cached(1)
    channel = cache.engine.channel
    assert channel is not None
    assert cache.engine.follower is not None
    cache.engine.follower.close()
    channel.trusted_until = clock.monotonic() + 5.0
    clock.advance(2)
    assert telemetry.points("tiercel.memory.lag")["following",] == 2.0
    cache.close()
