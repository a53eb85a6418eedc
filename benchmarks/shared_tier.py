"""Calls of cached functions on Redis, beside redis-py's client with pickle."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import time
from typing import Any

import redis
import redis.asyncio
from measure import Row, amedians, medians

from tiercel import ArgsKeyField, Cache
from tiercel.testing.servers import RedisServer

GOALS = {100: 0.65, 10_000: 0.65, 100_000: 0.8}


def _value(size: int) -> dict[str, Any]:
    """Something of about `size` bytes that looks like a row."""
    return {"id": 42, "name": "x" * size, "tags": ["a", "b"], "active": True}


def hits(server: RedisServer) -> list[Row]:
    """A hit on the shared tier, stamps checked, against `GET` and `pickle.loads`."""
    rows = []
    cache = Cache(server.url, timeout=2.0)
    client: Any = redis.Redis(port=server.port)
    for size, goal in GOALS.items():

        @cache.cached(tiers="shared", name=f"hit-{size}")
        def row(number: int, size: int = size) -> dict[str, Any]:
            return _value(size)

        client.set(f"plain-{size}", pickle.dumps(_value(size)))

        def ours(row: Any = row) -> object:
            return row(7)

        def theirs(key: str = f"plain-{size}") -> object:
            return pickle.loads(client.get(key))

        assert ours() == ours() == theirs()
        timed = medians({"ours": ours, "theirs": theirs}, calls=300)
        what = f"shared hit, {size} bytes"
        rows.append(Row(what, timed["ours"], timed["theirs"], "GET + loads", goal))
    return rows


def misses(server: RedisServer) -> list[Row]:
    """A miss that computes and stores, against redis-py's `GET` and `SET`."""
    cache = Cache(server.url, timeout=2.0)
    client: Any = redis.Redis(port=server.port)
    numbers = itertools.count()

    @cache.cached(tiers="shared", name="miss", ttl=600)
    def row(number: int) -> dict[str, Any]:
        return _value(100)

    def ours() -> object:
        return row(next(numbers))

    def theirs() -> object:
        key = f"miss-{next(numbers)}"
        found = client.get(key)
        if found is None:
            client.set(key, pickle.dumps(_value(100)), ex=600)
        return found

    timed = medians({"ours": ours, "theirs": theirs}, calls=200)
    return [Row("miss and fill", timed["ours"], timed["theirs"], "GET + SET", 1.0)]


def indexed(server: RedisServer) -> list[Row]:
    """What a function with an index pays for it at a miss."""
    cache = Cache(server.url, timeout=2.0)
    numbers = itertools.count()

    def row(number: int) -> dict[str, Any]:
        return _value(100)

    plain = cache.cached(tiers="shared", name="unlisted", ttl=600)(row)
    listed = cache.cached(tiers="shared", name="listed", ttl=600, index=True)(row)
    timed = medians(
        {"ours": lambda: listed(next(numbers)), "theirs": lambda: plain(next(numbers))}, calls=200
    )
    return [Row("miss with an index", timed["ours"], timed["theirs"], "without", 1.5)]


def async_hits(server: RedisServer) -> list[Row]:
    """The same from an event loop, one at a time and by 50 tasks at once."""
    return asyncio.run(_async_hits(server))


async def _async_hits(server: RedisServer) -> list[Row]:
    cache = Cache(server.url, timeout=2.0)
    client: Any = redis.asyncio.Redis(port=server.port)

    @cache.cached(tiers="shared", name="ahit")
    async def row(number: int) -> dict[str, Any]:
        return _value(100)

    await client.set("aplain", pickle.dumps(_value(100)))

    async def ours() -> object:
        return await row(7)

    async def theirs() -> object:
        return pickle.loads(await client.get("aplain"))

    assert await ours() == await ours() == await theirs()
    cases = {"ours": ours, "theirs": theirs}
    one = await amedians(cases, calls=200)
    many = await amedians(cases, calls=1000, tasks=50)
    await client.aclose()
    return [
        Row("async shared hit, one at a time", one["ours"], one["theirs"], "GET + loads", 0.75),
        Row("async shared hit, 50 tasks", many["ours"], many["theirs"], "GET + loads", 0.45),
    ]


def async_misses(server: RedisServer) -> list[Row]:
    """A miss that computes and stores, from an event loop."""
    return asyncio.run(_async_misses(server))


async def _async_misses(server: RedisServer) -> list[Row]:
    cache = Cache(server.url, timeout=2.0)
    client: Any = redis.asyncio.Redis(port=server.port)
    numbers = itertools.count()

    @cache.cached(tiers="shared", name="amiss", ttl=600)
    async def row(number: int) -> dict[str, Any]:
        return _value(100)

    async def ours() -> object:
        return await row(next(numbers))

    async def theirs() -> object:
        key = f"amiss-{next(numbers)}"
        found = await client.get(key)
        if found is None:
            await client.set(key, pickle.dumps(_value(100)), ex=600)
        return found

    cases = {"ours": ours, "theirs": theirs}
    one = await amedians(cases, calls=200)
    many = await amedians(cases, calls=1000, tasks=50)
    await client.aclose()
    return [
        Row("async miss, one at a time", one["ours"], one["theirs"], "GET + SET", 1.0),
        Row("async miss, 50 tasks", many["ours"], many["theirs"], "GET + SET", 0.7),
    ]


def drops(server: RedisServer, entries: int) -> list[Row]:
    """Dropping a partition of many entries, against one of 10."""
    cache = Cache(server.url, timeout=2.0)
    key = {"tenant": ArgsKeyField("tenant", partition=True), "item": ArgsKeyField("item")}

    @cache.cached(tiers="shared", name="drop", key=key, codec="safe")
    def row(tenant: str, item: int) -> int:
        return item

    for item in range(10):
        row("small", item)
    fill_fast(server, row.get_cache_key("large", 0), entries)
    times: dict[str, list[float]] = {"small": [], "large": []}
    for _ in range(200):
        for tenant, taken in times.items():
            began = time.perf_counter()
            row.delete_by_prefix(tenant=tenant)
            taken.append((time.perf_counter() - began) * 1e6)
    small, large = (sorted(times[tenant])[100] for tenant in ("small", "large"))
    return [Row(f"drop of a partition of {entries:,}", large, small, "one of 10", 1.2)]


def fill_fast(server: RedisServer, template: str, entries: int) -> None:
    """Put as many entries below one partition, without paying for a computation each."""
    stem, _, _ = template.rpartition("=")
    client: Any = redis.Redis(port=server.port)
    payload = client.get(template) or b"x" * 100
    for start in range(0, entries, 10_000):
        with client.pipeline(transaction=False) as batch:
            for number in range(start, min(start + 10_000, entries)):
                batch.set(f"{stem}={number}", payload, ex=3600)
            batch.execute()


def rows(*, entries: int) -> list[Row]:
    """Everything above, on a server of its own."""
    with RedisServer() as server:
        return [
            *hits(server),
            *misses(server),
            *indexed(server),
            *async_hits(server),
            *async_misses(server),
            *drops(server, entries),
        ]
