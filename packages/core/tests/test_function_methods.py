"""Every method of a cached function, on every kind of cache, plain, awaited and on coroutines."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from packages.core.tests.stages import WAYS, Stage, Way
from tiercel import CACHE_MISSING, ArgsKeyField, Cause, KeyConstructor, Status, Tier
from tiercel.contracts.backend import Read, ReadMany, ReadThenBegin

METADATA = {"cache_status", "cached_at", "cache_reset_at", "tier", "age", "key", "cause"}


class UserPage(KeyConstructor):
    user = ArgsKeyField("user_id", partition=True)
    page = ArgsKeyField("page")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Every way to use a cached function, one after the other."""
    return Way(request.param)


def counter() -> tuple[Callable[..., Any], list[Any]]:
    """Return a function that returns how often it was called, and the list of its calls."""
    calls: list[Any] = []

    def compute(user_id: int, page: int = 0) -> int:
        calls.append((user_id, page))
        return len(calls)

    return compute, calls


async def test_call_when_repeated_computes_once(stage: Stage, way: Way) -> None:
    """The second call of the same arguments gets the first one's value."""
    compute, calls = counter()
    cached = stage.cached(way.function(compute))
    assert [await way.call(cached, 1) for _ in range(3)] == [1, 1, 1]
    assert await way.call(cached, 2) == 2
    assert calls == [(1, 0), (2, 0)]


async def test_call_when_spelt_differently_finds_the_same_entry(stage: Stage, way: Way) -> None:
    """Positional and keyword arguments and omitted defaults are one entry."""
    compute, calls = counter()
    cached = stage.cached(way.function(compute))
    await way.call(cached, 1)
    await way.call(cached, 1, 0)
    await way.call(cached, page=0, user_id=1)
    assert len(calls) == 1


@pytest.mark.parametrize("value", [None, 0, "", [], False])
async def test_call_when_result_is_empty_is_cached(stage: Stage, value: Any) -> None:
    """None and other false values are results like any other."""
    calls: list[int] = []

    @stage.cached
    def find(key: int) -> Any:
        calls.append(key)
        return value

    assert [find(1), find(1)] == [value, value]
    assert calls == [1]


async def test_call_when_function_raises_is_not_cached(stage: Stage, way: Way) -> None:
    """An error reaches the caller, and the next call computes again."""
    calls: list[int] = []

    def fail(key: int) -> int:
        calls.append(key)
        if len(calls) == 1:
            raise ValueError("not now")
        return key

    cached = stage.cached(way.function(fail))
    with pytest.raises(ValueError, match="not now"):
        await way.call(cached, 1)
    assert await way.call(cached, 1) == 1
    assert calls == [1, 1]


async def test_call_when_arguments_do_not_fit_raises_as_the_function_would(stage: Stage) -> None:
    """A call with a wrong number of arguments is a TypeError."""
    compute, _ = counter()
    cached = stage.cached(compute)
    with pytest.raises(TypeError):
        cached()
    with pytest.raises(TypeError):
        cached(1, nobody=2)


async def test_get_with_metadata_when_missing_then_present_says_miss_then_hit(
    stage: Stage, way: Way
) -> None:
    """Metadata tells how this call was served, with all its keys."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), ttl=300)
    value, missed = await way.do(cached, "get_with_metadata", 1)
    assert (value, missed["cache_status"], missed["cause"]) == (1, "MISS", Cause.ABSENT)
    assert missed["tier"] is Tier.FUNCTION
    value, hit = await way.do(cached, "get_with_metadata", 1)
    assert (value, hit["cache_status"], hit["cause"]) == (1, Status.HIT, None)
    assert hit["tier"] is (Tier.SHARED if stage.kind == "shared" else Tier.MEMORY)
    assert missed.keys() == hit.keys() == METADATA
    assert missed["key"] == hit["key"] == cached.get_cache_key(1)


async def test_get_with_metadata_when_time_passes_tells_age_and_end(stage: Stage, way: Way) -> None:
    """`cached_at`, `cache_reset_at` and `age` agree with the clock."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), ttl=300, stale=60)
    begin = stage.clock.time()
    await way.call(cached, 1)
    stage.advance(100)
    _, hit = await way.do(cached, "get_with_metadata", 1)
    assert hit["age"] == pytest.approx(100, abs=0.01)
    written = datetime.fromisoformat(hit["cached_at"])
    assert written.timestamp() == pytest.approx(begin, abs=0.01)
    assert written.utcoffset() == timedelta(0)
    ends = datetime.fromisoformat(hit["cache_reset_at"])
    assert ends.timestamp() == pytest.approx(begin + 300, abs=0.01)


async def test_get_with_metadata_when_entry_has_no_end_says_so(stage: Stage, way: Way) -> None:
    """Without expiry there is no `cache_reset_at`."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), ttl=None)
    _, missed = await way.do(cached, "get_with_metadata", 1)
    stage.advance(10 * 365 * 86_400 / 4)
    _, hit = await way.do(cached, "get_with_metadata", 1)
    assert hit["cache_status"] == "HIT"
    assert missed["cache_reset_at"] is hit["cache_reset_at"] is None
    assert missed["cached_at"] is not None


async def test_get_with_metadata_when_result_is_not_kept_has_no_times(
    stage: Stage, way: Way
) -> None:
    """What a predicate rejects was not cached, and metadata does not claim it was."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), cache_if=lambda result: False)
    _, missed = await way.do(cached, "get_with_metadata", 1)
    assert missed["cache_status"] == "MISS"
    assert missed["cached_at"] is missed["cache_reset_at"] is None


async def test_get_cache_only_when_missing_returns_the_sentinel(stage: Stage, way: Way) -> None:
    """Nothing is computed; a cached None is told from a miss."""
    calls: list[int] = []
    cached = stage.cached(way.function(lambda key: calls.append(key)))
    assert await way.do(cached, "get_cache_only", 1) is CACHE_MISSING
    assert calls == []
    assert await way.call(cached, 1) is None
    assert await way.do(cached, "get_cache_only", 1) is None
    assert calls == [1]


def test_cache_missing_when_pickled_or_copied_stays_itself() -> None:
    """The sentinel can cross processes and still be compared with `is`."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(CACHE_MISSING, protocol)) is CACHE_MISSING
    assert copy.copy(CACHE_MISSING) is copy.deepcopy([CACHE_MISSING])[0] is CACHE_MISSING
    assert not CACHE_MISSING
    assert repr(CACHE_MISSING) == "CACHE_MISSING"


async def test_get_cached_metadata_says_how_the_entry_was_written(stage: Stage, way: Way) -> None:
    """None without an entry; MISS after a call; REFRESH after a refresh; nothing is computed."""
    compute, calls = counter()
    cached = stage.cached(way.function(compute))
    assert await way.do(cached, "get_cached_metadata", 1) is None
    await way.call(cached, 1)
    written = await way.do(cached, "get_cached_metadata", 1)
    assert written["cache_status"] is Status.MISS
    assert written.keys() == METADATA
    await way.do(cached, "refresh", 1)
    assert (await way.do(cached, "get_cached_metadata", 1))["cache_status"] is Status.REFRESH
    _, served = await way.do(cached, "get_with_metadata", 1)
    assert served["cache_status"] is Status.HIT
    assert len(calls) == 2


async def test_refresh_when_present_overwrites_the_entry(stage: Stage, way: Way) -> None:
    """The function runs although there is an entry, and later calls get the new value."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute))
    assert await way.call(cached, 1) == 1
    assert await way.do(cached, "refresh", 1) == 2
    assert await way.call(cached, 1) == 2
    assert await way.call(cached, 2) == 3


async def test_refresh_when_missing_stores_the_entry(stage: Stage, way: Way) -> None:
    """A refresh warms what was never called."""
    compute, calls = counter()
    cached = stage.cached(way.function(compute))
    assert await way.do(cached, "refresh", 1) == 1
    assert await way.call(cached, 1) == 1
    assert len(calls) == 1


async def test_refresh_when_done_by_one_process_reaches_the_memory_of_others(
    stage: Stage, way: Way
) -> None:
    """Another process forgets what it had in memory, within `max_lag` at most."""
    if not stage.shares:
        return
    compute, _ = counter()
    mine, theirs = stage.pair(way.function(compute))
    assert [await way.call(cached, 1) for cached in (mine, theirs, theirs)] == [1, 1, 1]
    assert await way.do(mine, "refresh", 1) == 2
    stage.advance(1)
    assert [await way.call(cached, 1) for cached in (mine, theirs)] == [2, 2]


async def test_bypass_cache_neither_reads_nor_writes(stage: Stage, way: Way) -> None:
    """The function is called as if it were not cached."""
    compute, calls = counter()
    cached = stage.cached(way.function(compute))
    assert await way.do(cached, "bypass_cache", 1) == 1
    assert await way.do(cached, "get_cache_only", 1) is CACHE_MISSING
    assert await way.call(cached, 1) == 2
    assert await way.do(cached, "bypass_cache", 1) == 3
    assert await way.call(cached, 1) == 2
    assert len(calls) == 3


async def test_delete_cache_drops_exactly_one_entry(stage: Stage, way: Way) -> None:
    """Only the entry of these arguments goes, and the method tells whether there was one."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), key=UserPage)
    assert await way.do(cached, "delete_cache", 1) is False
    assert [await way.call(cached, 1, page) for page in (0, 1)] == [1, 2]
    assert await way.do(cached, "delete_cache", 1, page=1) is True
    assert [await way.call(cached, 1, page) for page in (0, 1)] == [1, 3]


async def test_delete_by_prefix_drops_one_partition(stage: Stage, way: Way) -> None:
    """Every entry of the user goes, and no other."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), key=UserPage)
    pages = [(1, 0), (1, 1), (2, 0)]
    assert [await way.call(cached, *page) for page in pages] == [1, 2, 3]
    await way.do(cached, "delete_by_prefix", user_id=1)
    assert [await way.call(cached, *page) for page in pages] == [4, 5, 3]


async def test_delete_by_prefix_when_nothing_is_given_drops_all(stage: Stage, way: Way) -> None:
    """Without arguments no partition is meant in particular."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), key=UserPage)
    assert [await way.call(cached, user) for user in (1, 2)] == [1, 2]
    await way.do(cached, "delete_by_prefix")
    assert [await way.call(cached, user) for user in (1, 2)] == [3, 4]


async def test_delete_by_prefix_when_key_has_no_partition_drops_one_entry(
    stage: Stage, way: Way
) -> None:
    """Where nothing is dropped together, the arguments of a call name one entry."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute))
    assert [await way.call(cached, user) for user in (1, 2)] == [1, 2]
    await way.do(cached, "delete_by_prefix", 1)
    assert [await way.call(cached, user) for user in (1, 2)] == [3, 2]


async def test_delete_by_prefix_when_no_partition_is_named_raises(stage: Stage, way: Way) -> None:
    """Arguments that say no partition are an error that names the field, and drop nothing."""
    compute, _ = counter()
    cached = stage.cached(way.function(compute), key=UserPage)
    assert await way.call(cached, 1, 5) == 1
    with pytest.raises(TypeError, match=r"page .*says no partition.*user \(user_id\).*user_id="):
        await way.do(cached, "delete_by_prefix", page=5)
    with pytest.raises(TypeError, match="nobody"):
        await way.do(cached, "delete_by_prefix", nobody=5)
    assert await way.call(cached, 1, 5) == 1


async def test_invalidate_all_drops_every_entry_of_the_function_only(
    stage: Stage, way: Way
) -> None:
    """Another function of the cache keeps what it has."""
    first, second = counter()[0], counter()[0]
    cached = stage.cached(way.function(first), key=UserPage)
    other = stage.cached(way.function(second), key=UserPage)
    for function in (cached, other):
        assert [await way.call(function, user) for user in (1, 2)] == [1, 2]
    await way.do(cached, "invalidate_all")
    assert [await way.call(cached, user) for user in (1, 2)] == [3, 4]
    assert [await way.call(other, user) for user in (1, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("delete_cache", {"user_id": 1}),
        ("delete_by_prefix", {"user_id": 1}),
        ("invalidate_all", {}),
    ],
)
async def test_drops_when_done_by_one_process_reach_the_memory_of_others(
    stage: Stage, way: Way, method: str, arguments: dict[str, int]
) -> None:
    """A key, a partition or a function dropped here is computed anew there."""
    if not stage.shares:
        return
    compute, _ = counter()
    mine, theirs = stage.pair(way.function(compute), key=UserPage)
    assert [await way.call(cached, 1) for cached in (mine, theirs, theirs)] == [1, 1, 1]
    await way.do(mine, method, **arguments)
    stage.advance(1)
    assert [await way.call(cached, 1) for cached in (theirs, mine)] == [2, 2]


async def test_many_returns_the_values_in_order_however_calls_are_given(
    stage: Stage, way: Way
) -> None:
    """A tuple, a dict of keywords or the only argument stand for a call."""
    compute, calls = counter()
    cached = stage.cached(way.function(compute))
    assert await way.call(cached, 2) == 1
    values = await way.do(cached, "many", [2, (3, 1), {"user_id": 4, "page": 2}, (2, 0)])
    assert values[0] == values[3] == 1
    assert sorted(values[1:3]) == [2, 3]
    assert set(calls) == {(2, 0), (3, 1), (4, 2)}
    assert await way.do(cached, "many", [(3, 1)]) == [values[1]]
    assert await way.do(cached, "many", []) == []


async def test_many_when_all_are_shared_takes_one_round_trip(shared: Stage, way: Way) -> None:
    """Bulk reads send one command for all keys together."""
    compute, _ = counter()
    cached = shared.cached(way.function(compute))
    for user in range(20):
        await way.call(cached, user)
    shared.store.commands.clear()
    assert await way.do(cached, "many", range(20)) == list(range(1, 21))
    reads = [c for c in shared.store.commands if isinstance(c, (Read, ReadMany, ReadThenBegin))]
    assert [type(command) for command in reads] == [ReadMany]
    assert len(shared.store.commands) == 1


async def test_get_cache_key_says_the_key_without_touching_the_cache(
    shared: Stage, way: Way
) -> None:
    """It needs no twin, and equal calls have one key."""
    compute, calls = counter()
    cached = shared.cached(way.function(compute))
    assert cached.get_cache_key(1) == cached.get_cache_key(user_id=1, page=0)
    assert cached.get_cache_key(1) != cached.get_cache_key("1")
    assert calls == shared.store.commands == []


@pytest.mark.parametrize(
    "method",
    [
        "get_with_metadata",
        "get_cache_only",
        "get_cached_metadata",
        "refresh",
        "bypass_cache",
        "delete_cache",
        "delete_by_prefix",
        "invalidate_all",
        "many",
    ],
)
async def test_plain_methods_when_function_is_a_coroutine_function_name_the_twin(
    memory: Stage, method: str
) -> None:
    """The error says what to await instead."""
    calls: list[int] = []

    @memory.cached
    async def compute(key: int) -> int:
        calls.append(key)
        return key

    arguments = () if method == "invalidate_all" else ([1],) if method == "many" else (1,)
    with pytest.raises(TypeError, match=rf"coroutine function: await its a{method}\(\)"):
        getattr(compute, method)(*arguments)
    assert calls == []
