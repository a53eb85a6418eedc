"""Commands of tiercel-redis beside redis-py's, interleaved in one run on a server of its own.

Prints the ratio of the medians, and both in microseconds. Run it as a script.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import msgspec
import redis
import redis.asyncio

from tiercel.spi import (
    STAMPS_OFFSET,
    BackendLocation,
    Begin,
    Fill,
    Granted,
    Key,
    Read,
    ReadThenBegin,
)
from tiercel.testing.servers import RedisServer
from tiercel_redis.backend import RedisBackend

SIZES = (100, 10_000, 100_000)
KEY = Key("bench:users:get_user:v1:{17}:42", ("bench:users:get_user", "bench:users:{17}"), "17")
END = STAMPS_OFFSET + 32
TASKS = 50

decode = msgspec.msgpack.Decoder().decode
encode = msgspec.msgpack.Encoder().encode


def value(size: int) -> dict[str, Any]:
    """Return something of about `size` bytes that looks like a row."""
    return {"id": 42, "name": "x" * size, "tags": ["a", "b"], "active": True}


def check(payload: bytes | None, stamps: Any) -> Any:
    """Do what the engine does with a hit: compare the stamps and decode."""
    if payload is None or not payload.startswith(b"".join(stamps), STAMPS_OFFSET):
        raise AssertionError("the benchmark expects a hit")
    return decode(memoryview(payload)[END:])


def fill(backend: RedisBackend, size: int) -> None:
    """Store a value under current stamps."""
    granted = backend.execute(Begin(KEY, 5.0, 600.0, force=True))
    assert isinstance(granted, Granted)
    payload = bytes(STAMPS_OFFSET) + b"".join(granted.stamps) + encode(value(size))
    assert backend.execute(Fill(KEY, granted.token, payload, 600.0))


def begin(key: Key) -> Begin:
    """Ask for a lease as the engine does."""
    return Begin(key, 5.0, 600.0, token=os.urandom(16))


Contest = dict[str, tuple[float, float]]
"""Microseconds of ours and of redis-py's, by what was measured."""


def interleave(
    ours: Callable[[], object], theirs: Callable[[], object], n: int
) -> tuple[float, float]:
    """Time both in turns; returns the medians in microseconds."""
    spent: tuple[list[int], list[int]] = ([], [])
    for _ in range(n):
        for function, times in zip((ours, theirs), spent, strict=True):
            start = time.perf_counter_ns()
            function()
            times.append(time.perf_counter_ns() - start)
    return median(spent[0]) / 1000, median(spent[1]) / 1000


async def ainterleave(
    ours: Callable[[], Awaitable[object]], theirs: Callable[[], Awaitable[object]], n: int
) -> tuple[float, float]:
    """Time both coroutines in turns; returns the medians in microseconds."""
    spent: tuple[list[int], list[int]] = ([], [])
    for _ in range(n):
        for function, times in zip((ours, theirs), spent, strict=True):
            start = time.perf_counter_ns()
            await function()
            times.append(time.perf_counter_ns() - start)
    return median(spent[0]) / 1000, median(spent[1]) / 1000


def hits(server: RedisServer, n: int = 3000) -> Contest:
    """Read, compare stamps, decode; against `get` and `pickle.loads`."""
    backend, client = open_both(server)
    found: Contest = {}
    command = Read(KEY, life=False)
    for size in SIZES:
        fill(backend, size)
        client.set("bench", pickle.dumps(value(size)))

        def ours() -> Any:
            reading = backend.execute(command)
            return check(reading.payload, reading.stamps)

        def theirs() -> Any:
            return pickle.loads(client.get("bench"))  # type: ignore[arg-type]

        found[f"hit, {size} bytes"] = interleave(ours, theirs, n)
    backend.close()
    client.close()
    return found


def misses(server: RedisServer, n: int = 2000) -> Contest:
    """Miss, lease and fill; against `get` and `set`."""
    found: Contest = {}
    for size in SIZES[:2]:
        found |= misses_of_size(server, size, n)
    return found


def misses_of_size(server: RedisServer, size: int, n: int) -> Contest:
    """Take both ways of missing, with values of one size."""
    backend, client = open_both(server)
    body, pickled = encode(value(size)), pickle.dumps(value(size))
    numbers = itertools.count()

    def new_key() -> Key:
        return Key(f"bench:miss:{size}:{next(numbers)}", KEY.scopes, "17")

    def separate() -> None:
        key = new_key()
        backend.execute(Read(key))
        store(key, backend.execute(begin(key)))

    def together() -> None:
        key = new_key()
        store(key, backend.execute(ReadThenBegin(begin(key)))[1])

    def store(key: Key, granted: Any) -> None:
        payload = bytes(STAMPS_OFFSET) + b"".join(granted.stamps) + body
        assert backend.execute(Fill(key, granted.token, payload, 600.0))

    def theirs() -> None:
        name = f"bench:{size}:{next(numbers)}"
        client.get(name)
        client.set(name, pickled, px=600_000)

    found = {
        f"miss in 3 round trips, {size} bytes": interleave(separate, theirs, n),
        f"miss in 2 round trips, {size} bytes": interleave(together, theirs, n),
    }
    backend.close()
    client.close()
    return found


async def concurrent(function: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Return microseconds per call with many tasks at once."""

    async def work() -> None:
        for _ in range(rounds):
            await function()

    start = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(TASKS)])
    return (time.perf_counter() - start) / (TASKS * rounds) * 1e6


async def async_hits(server: RedisServer, n: int = 2000) -> Contest:
    """The same as `hits` on one event loop, one at a time and with 50 tasks."""
    backend, plain = open_both(server)
    plain.set("bench", pickle.dumps(value(100)))
    plain.close()
    fill(backend, 100)
    backend.close()
    client = redis.asyncio.Redis(host="127.0.0.1", port=server.port)
    command = Read(KEY, life=False)

    async def ours() -> Any:
        reading = await backend.aexecute(command)
        return check(reading.payload, reading.stamps)

    async def theirs() -> Any:
        return pickle.loads(await client.get("bench"))  # type: ignore[arg-type]

    found = {"async hit, one at a time": await ainterleave(ours, theirs, n)}
    together: tuple[list[float], list[float]] = ([], [])
    for _ in range(15):
        together[0].append(await concurrent(ours, 20))
        together[1].append(await concurrent(theirs, 20))
    found[f"async hit, {TASKS} tasks"] = median(together[0]), median(together[1])
    await backend.aclose()
    await client.aclose()
    return found


def open_both(server: RedisServer) -> tuple[RedisBackend, redis.Redis]:
    """Return a backend and a plain client for a server."""
    backend = RedisBackend(BackendLocation(server.url, prefix="bench", timeout=5.0))
    return backend, redis.Redis(host="127.0.0.1", port=server.port)


def main() -> None:
    """Run everything and print it."""
    with RedisServer() as server:
        contests = hits(server) | misses(server) | asyncio.run(async_hits(server))
    for name, (ours, theirs) in contests.items():
        print(f"{name:36} {ours / theirs:5.2f} x   {ours:8.1f} us / {theirs:8.1f} us")


if __name__ == "__main__":
    main()
