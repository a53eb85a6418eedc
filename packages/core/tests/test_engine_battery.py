"""The hard cases on which caching libraries differ, all seven of them, on every kind of cache.

A cold stampede, a delete that arrives during the computation, a cancelled first caller, None,
default keys that collide, one call spelt in several ways, and lists that callers change.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import CACHE_MISSING, ArgsKeyField

PARTITIONED = {"user": ArgsKeyField("user", partition=True), "page": ArgsKeyField("page")}

DROPS: dict[str, Callable[[Any], Any]] = {
    "delete_cache": lambda cached: ("delete_cache", (1,), {}),
    "delete_by_prefix": lambda cached: ("delete_by_prefix", (), {"user": 1}),
    "invalidate_all": lambda cached: ("invalidate_all", (), {}),
}


def source(stage: Stage, way: Way, drop: Callable[[Any], Any]) -> tuple[Any, Any, dict[str, str]]:
    """Cache a read of a database whose row changes, and is dropped, during the first read."""
    row = {"value": "old"}
    dropped: list[str] = []

    def change(cached: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]] | None:
        if dropped:
            return None
        row["value"] = "new"
        method, args, kwargs = drop(cached)
        dropped.append(method)
        return method, args, kwargs

    if way.name == "coroutine":

        async def aread(user: int, page: int = 0) -> str:
            value = row["value"]
            if (todo := change(cached)) is not None:
                await way.do(cached, todo[0], *todo[1], **todo[2])
            return value

        cached = stage.cached(aread, key=PARTITIONED)
    else:

        def read(user: int, page: int = 0) -> str:
            value = row["value"]
            if (todo := change(cached)) is not None:
                getattr(cached, todo[0])(*todo[1], **todo[2])
            return value

        cached = stage.cached(read, key=PARTITIONED)
    return cached, dropped, row


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS.keys())
@pytest.mark.parametrize("begin", ["call", "refresh", "many"])
async def test_drop_when_it_arrives_during_the_computation_is_not_lost(
    stage: Stage, way: Way, begin: str, drop: Callable[[Any], Any]
) -> None:
    """What was computed before the drop is never served after it."""
    cached, dropped, _ = source(stage, way, drop)
    if begin == "call":
        await way.call(cached, 1)
    else:
        await way.do(cached, begin, *([[1]] if begin == "many" else [1]))
    assert dropped
    assert await way.do(cached, "get_cache_only", 1) in (CACHE_MISSING, "new")
    assert await way.call(cached, 1) == "new"
    assert await way.do(cached, "many", [1]) == ["new"]


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS.keys())
def test_drop_when_another_process_does_it_during_the_computation_is_not_lost(
    stage: Stage, drop: Callable[[Any], Any]
) -> None:
    """The same, with the drop in another process."""
    if not stage.shares:
        return
    row = {"value": "old"}

    def read(user: int, page: int = 0) -> str:
        value = row["value"]
        if value == "old":
            row["value"] = "new"
            method, args, kwargs = drop(theirs)
            getattr(theirs, method)(*args, **kwargs)
        return value

    mine, theirs = stage.pair(read, key=PARTITIONED)
    assert mine(1) == "old"
    stage.advance(1)
    assert [mine(1), theirs(1), mine.get_cache_only(1)] == ["new", "new", "new"]


def test_drop_when_everything_happens_at_once_nothing_old_is_served(stage: Stage) -> None:
    """Writers change rows and drop; no reader that starts afterwards sees the row before."""
    version, acknowledged = [0], [0]
    cached = stage.cached(lambda user, page=0: version[0], key=PARTITIONED)
    drops = list(DROPS.values())
    stale: list[tuple[int, int]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen = acknowledged[0]
            value = cached(1)
            if value < seen:
                stale.append((value, seen))

    def write() -> None:
        try:
            for number in range(60):
                version[0] += 1
                method, args, kwargs = drops[number % 3](cached)
                getattr(cached, method)(*args, **kwargs)
                acknowledged[0] = version[0]
        finally:
            done.set()

    threads = [threading.Thread(target=read) for _ in range(3)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done.is_set()
    assert not stale
    assert cached(1) == version[0]


async def test_stampede_when_cold_computes_once(stage: Stage) -> None:
    """32 tasks on one cold key."""
    calls: list[int] = []

    @stage.cached
    async def compute(key: int) -> int:
        calls.append(key)
        await asyncio.sleep(0.01)
        return key

    if stage.kind == "dict":  # its stamps are not made atomically: have them made before
        await compute.adelete_cache(1)
        await compute.ainvalidate_all()
    assert await asyncio.gather(*(compute(1) for _ in range(32))) == [1] * 32
    assert len(calls) == 1


async def test_default_keys_when_arguments_look_alike_do_not_collide(stage: Stage) -> None:
    """Delimiters, types and None are told apart without a key constructor."""
    cached = stage.cached(lambda *arguments: list(map(repr, arguments)))
    alike: list[tuple[Any, ...]] = [
        ("a:b", "c"), ("a", "b:c"), (1,), ("1",), (True,), (None,), ("None",), ("a b",),
        ("a", "b"), ("a,b",), ("x::",), ("x",), ("*",), ("?",),
    ]  # fmt: skip
    for arguments in alike:
        assert cached(*arguments) == list(map(repr, arguments))


def test_partition_when_named_like_a_pattern_is_one_partition(stage: Stage) -> None:
    """No argument can wipe, shield or reach another partition."""
    calls: list[str] = []
    cached = stage.cached(lambda user, page=0: calls.append(user), key=PARTITIONED)
    users = ["*", "bob", "b?b", "[x]", "a:b", ""]
    for user in users:
        cached(user)
    for user in users:
        calls.clear()
        cached.delete_by_prefix(user=user)
        for each in users:
            cached(each)
        assert calls == [user]


async def test_list_when_a_caller_changes_it_is_isolated_on_request(stage: Stage) -> None:
    """With `copy=True` nobody sees what another caller did to the value."""
    cached = stage.cached(lambda key: [key], copy=True)
    cached(1).append("mine")
    cached(1).append("mine")
    assert cached(1) == [1]
