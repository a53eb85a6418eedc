"""While the shared tier is away, full or damaged callers get values, and no drop is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec.structs import replace

from packages.core.tests.stages import MAX_LAG, Stage, Way, wait_until
from tiercel import CACHE_MISSING, ArgsKeyField, Cause
from tiercel.contracts.backend import DropKey, DropScopes, Fill, Read, ReadThenBegin
from tiercel.testing import DictBackend

BY_USER = {"user": ArgsKeyField("user", partition=True)}


@pytest.fixture(params=["two_tiers", "shared"])
def stage(request: pytest.FixtureRequest) -> Any:
    made = Stage(request.param)
    yield made
    made.store.unreachable = False
    made.close()


def numbered(stage: Stage, way: Way, **options: Any) -> tuple[Any, list[int]]:
    calls: list[int] = []

    def compute(user: int = 1) -> int:
        calls.append(user)
        return len(calls)

    return stage.cached(way.function(compute), key=BY_USER, **options), calls


async def test_call_when_the_tier_is_away_computes(stage: Stage, way: Way) -> None:
    """A caller gets the function's value at once, and metadata says why it was computed."""
    cached, calls = numbered(stage, way)
    stage.store.unreachable = True
    began = time.monotonic()
    value, metadata = await way.do(cached, "get_with_metadata")
    assert (value, metadata["cache_status"], metadata["cause"]) == (1, "MISS", Cause.UNAVAILABLE)
    for _ in range(20):
        await way.call(cached, 2)
    assert time.monotonic() - began < 10
    assert calls[0] == 1


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("get_cache_only", CACHE_MISSING),
        ("get_cached_metadata", None),
        ("refresh", 1),
        ("bypass_cache", 1),
        ("delete_cache", True),
        ("delete_by_prefix", None),
        ("invalidate_all", None),
        ("many", [1]),
    ],
)
async def test_methods_when_the_tier_is_away_raise_nothing(
    stage: Stage, way: Way, method: str, expected: Any
) -> None:
    """Run-time trouble is reported, never raised."""
    cached, _ = numbered(stage, way)
    stage.store.unreachable = True
    arguments = {"invalidate_all": (), "many": ([1],)}.get(method, (1,))
    assert await way.do(cached, method, *arguments) == expected


async def test_memory_when_the_tier_is_away_serves_within_max_lag(way: Way) -> None:
    """Memory may be trusted until a drop elsewhere would have had to show, and no longer."""
    stage = Stage("two_tiers")
    cached, _ = numbered(stage, way)
    assert await way.call(cached) == 1
    stage.settle()
    stage.store.unreachable = True
    stage.clock.advance(MAX_LAG * 0.3)
    assert await way.call(cached) == 1
    stage.clock.advance(MAX_LAG)
    assert await way.call(cached) == 2
    stage.close()


@pytest.mark.parametrize("method", ["delete_cache", "delete_by_prefix", "invalidate_all"])
async def test_drop_when_the_tier_is_away_is_repeated_before_anything_is_read(
    stage: Stage, way: Way, method: str
) -> None:
    """This process never again reads what it dropped, and the others neither, once it is back."""
    calls: list[int] = []

    def compute(user: int = 1) -> int:
        calls.append(user)
        return len(calls)

    cached, theirs = stage.pair(way.function(compute), key=BY_USER)
    arguments: dict[str, Any] = {} if method == "invalidate_all" else {"user": 1}
    assert await way.call(cached) == 1
    stage.store.unreachable = True
    await way.do(cached, method, **arguments)
    assert await way.call(cached) == 2
    stage.store.commands.clear()
    stage.store.unreachable = False
    stage.advance(5)
    assert [await way.call(each) for each in (cached, theirs)] == [3, 3]
    kinds = [type(command) for command in stage.store.commands]
    dropped = DropKey if method == "delete_cache" else DropScopes
    read = min(kinds.index(kind) for kind in (Read, ReadThenBegin) if kind in kinds)
    assert dropped in kinds[:read]
    assert calls == [1, 1, 1]


async def test_drop_when_its_acknowledgement_is_lost_is_repeated(stage: Stage, way: Way) -> None:
    """A time-out may hide that the drop took place; to repeat it does no harm."""
    cached, _ = numbered(stage, way)
    assert await way.call(cached) == 1
    stage.store.lose_replies(1)
    await way.do(cached, "delete_cache")
    assert await way.call(cached) == 2
    assert await way.call(cached) == 2


async def test_drop_when_refused_is_repeated(stage: Stage, way: Way) -> None:
    """A server that is out of memory refuses the drop, and gets it again."""
    cached, _ = numbered(stage, way)
    assert await way.call(cached) == 1
    stage.store.refuse(1)
    await way.do(cached, "delete_cache")
    assert await way.call(cached) == 2


async def test_fill_when_refused_serves_the_value(
    stage: Stage, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """A result that the server does not take is the caller's; nobody waits for its lease."""
    cached, _ = numbered(stage, way)
    refuse_fills(stage)
    assert await way.call(cached) == 1
    assert "could not be stored in the shared tier" in caplog.text
    stage.clock.advance(MAX_LAG * 2)
    assert await way.call(cached) == 2
    assert await way.call(cached) == 2


def refuse_fills(stage: Stage) -> None:
    """Refuse the next fill only."""
    execute = stage.store.execute

    def refusing(command: Any) -> Any:
        if isinstance(command, Fill):
            stage.store.execute = execute
            stage.store.refuse(1)
        return execute(command)

    stage.store.execute = refusing


def test_breaker_when_failures_repeat_asks_no_more_until_a_pause_is_over(shared: Stage) -> None:
    """A dead server costs a comparison per call; after a second one caller tries again."""
    cached, _ = numbered(shared, Way("plain"))
    assert cached() == 1
    asked = []
    execute = shared.store.execute

    def counting(command: Any) -> Any:
        if isinstance(command, (Read, ReadThenBegin)):
            asked.append(command)
        return execute(command)

    shared.store.execute = counting
    shared.store.unreachable = True
    for user in range(100, 150):
        cached(user)
    breaker = shared.cache.engine.breaker
    assert breaker.is_open
    assert len(asked) <= 3
    asked.clear()
    shared.clock.advance(1.5)
    cached(200)
    cached(201)
    assert len(asked) <= 1
    shared.store.unreachable = False
    shared.advance(1.5)
    assert cached(202) == cached(202)
    assert not breaker.is_open
    assert cached.get_cache_only(202) is not CACHE_MISSING


def test_breaker_when_a_backend_fails_unexpectedly_counts_as_a_refusal(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A backend that breaks its promises raises nothing into the caller either."""
    cached, _ = numbered(stage, Way("plain"))
    execute = stage.store.execute

    def broken(command: Any) -> Any:
        if isinstance(command, (Read, ReadThenBegin)):
            raise ZeroDivisionError("a bug in the backend")
        return execute(command)

    stage.store.execute = broken
    assert cached() == 1
    assert "ZeroDivisionError: a bug in the backend" in caplog.text


@pytest.mark.parametrize("damage", ["truncated", "other_key", "noise", "version", "payload"])
async def test_entry_when_undecodable_is_computed_anew_and_heals(
    shared: Stage, way: Way, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged or foreign payload is a miss that is reported, and the next fill replaces it."""
    cached, calls = numbered(shared, way)
    assert [await way.call(cached, user) for user in (1, 2)] == [1, 2]
    first, second = (f"value/{cached.get_cache_key(user)}" for user in (1, 2))
    snapshot = shared.store.snapshot()
    cell, other = snapshot.cells[first], snapshot.cells[second]
    stamps = slice(48, 48 + 32)
    whole: bytes = cell.data
    swapped = {
        "truncated": whole[:-1],
        "other_key": other.data[:48] + whole[stamps] + other.data[80:],
        "noise": whole[:-1] + b"\xc1",
        "version": b"\x09" + whole[1:],
        "payload": whole[:80] + b"\xff\xff\xff",
    }[damage]
    cells = {**snapshot.cells, first: replace(cell, data=swapped)}
    shared.store.rollback(replace(snapshot, cells=cells))
    value, metadata = await way.do(cached, "get_with_metadata", 1)
    assert (value, metadata["cache_status"]) == (3, "MISS")
    assert metadata["cause"] in (Cause.UNDECODABLE, Cause.DROPPED)
    assert await way.call(cached, 1) == 3
    assert calls == [1, 2, 1]
    assert metadata["cause"] is Cause.DROPPED or "could not be decoded" in caplog.text


async def test_object_store_when_it_raises_is_away(way: Way) -> None:
    """An object of the user's may raise whatever it likes."""

    class Moody(DictBackend):
        raises = False

        def get(self, key: str) -> bytes | None:
            if self.raises:
                raise OSError("not today")
            return super().get(key)

    stage = Stage("dict")
    store = Moody(stage.clock)
    cache = stage.process(backend=store)
    calls: list[int] = []
    cached = cache.cached(name="tests:moody")(way.function(lambda user=1: calls.append(user)))
    await way.call(cached)
    Moody.raises = True
    stage.clock.advance(1)
    await way.call(cached)
    await way.do(cached, "delete_cache")
    Moody.raises = False
    stage.clock.advance(5)
    await way.call(cached)
    await way.call(cached)
    assert calls == [1, 1, 1]


def test_outage_when_over_stale_entries_are_served_again(stage: Stage) -> None:
    """What the shared tier kept through the outage counts as before."""
    cached, calls = numbered(stage, Way("plain"), ttl=10, stale=100, dispatcher="inline")
    assert cached() == 1
    stage.store.unreachable = True
    stage.clock.advance(11)
    assert cached() == 2
    stage.store.unreachable = False
    stage.advance(5)
    wait_until(lambda: cached.get_cache_only() in (1, 2))
    assert cached() in (1, 2)
    assert len(calls) <= 3
