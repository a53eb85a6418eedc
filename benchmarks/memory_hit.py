"""The memory tier beside functools.lru_cache and cachetools.TTLCache, interleaved in one run.

`rows()` returns what was measured; `python benchmarks/memory_hit.py` prints it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import statistics
import time
import timeit
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

from cachetools import TTLCache
from measure import Row, table

from tiercel import Cache
from tiercel.hitpath import BoundMethod, compile_hit_path
from tiercel.memory import FunctionTable, MemoryTier
from tiercel.testing.servers import RedisServer

ENTRIES = 100_000
Case = Callable[[int], float]
"""Runs something so many times and returns the seconds it took."""


def medians(cases: Mapping[str, Case], rounds: int = 31, number: int = 10_000) -> dict[str, float]:
    """Run all cases in turn, many times over; return microseconds per call, the median of each.

    Other than `measure.medians`, it adds no call of its own: hits take less than that.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            times[name].append(case(number) / number * 1e6)
    return {name: statistics.median(taken) for name, taken in times.items()}


def call(statement: str, function: Callable[..., Any]) -> Case:
    """A case that times one statement in which the function is called `f`."""
    return timeit.Timer(statement, globals={"f": function}).timeit


def target(a: int, b: int) -> int:
    """Return an argument, as cheap as a function can be."""
    return a


def one(a: int) -> int:
    """Take one argument."""
    return a


async def coroutine(a: int, b: int) -> int:
    """Do the same asynchronously."""
    return a


def filled(partitions: int = 0) -> FunctionTable:
    """A table of a thousand entries for each target."""
    filling = MemoryTier(10_000).table("f", partitions)
    scopes = ("f", *(f"part{level}" for level in range(partitions)))
    end = time.monotonic() + 3600
    for number in range(1000):
        for key in (number, str(number), (int, number, int, number + 1)):
            filling.commit(filling.reserve(key, scopes=scopes), number, end)
    return filling


def missed(*args: Any) -> Any:
    """Stand in for the slow path, which no benchmark of hits should take."""
    raise AssertionError(args)


def hits() -> list[Row]:
    """Measure functions called with positional arguments."""
    tables: list[FunctionTable] = []

    def made(function: Callable[..., Any], partitions: int = 0, **options: Any) -> Any:
        names = ["a"] if function is one else ["a", "b"]
        tables.append(filled(partitions))
        return compile_hit_path(
            function, arguments=names, table=tables[-1], slow=missed, **options
        ).function

    two, single = functools.lru_cache(None)(target), functools.lru_cache(None)(one)
    asynchronous = made(coroutine, 1)

    def awaited(number: int) -> float:
        async def loop() -> float:
            start = time.perf_counter()
            for _ in itertools.repeat(None, number):
                await asynchronous(500, 501)
            return time.perf_counter() - start

        return asyncio.run(loop())

    cases = {
        "lru_cache": call("f(500, 501)", two),
        "lru_cache, one": call("f(500)", single),
        "all": call("f(500, 501)", made(target, 1)),
        "plain": call("f(500, 501)", made(target, count=False)),
        "no ttl": call("f(500, 501)", made(target, count=False, ttl=False)),
        "one": call("f(500)", made(one, 1)),
        "lru_cache, str": call("f('500')", single),
        "str": call("f('500')", made(one, 1)),
        "async": awaited,
    }
    took = medians(cases)
    lru = took["lru_cache"]
    return [
        Row("two arguments, all features", took["all"], lru, "lru_cache", 3.3),
        Row("no partitions, no statistics", took["plain"], lru, "lru_cache", 3.0),
        Row("no TTL either", took["no ttl"], lru, "lru_cache", 2.3),
        Row("one argument", took["one"], took["lru_cache, one"], "lru_cache", 4.0),
        Row("one str", took["str"], took["lru_cache, str"], "lru_cache", 4.0),
        Row("async def", took["async"], lru, "lru_cache", 4.5),
    ]


def two_tiers() -> list[Row]:
    """Measure a hit through `Cache.cached` above a shared tier, beside one without."""
    with RedisServer() as server:
        caches = {"two tiers": Cache(server.url, timeout=2.0), "memory": Cache(name="memory")}
        cached = {name: cache.cached(ttl=600)(target) for name, cache in caches.items()}
        for function in cached.values():
            assert function(500, 501) == function(500, 501) == 500
        took = medians({name: call("f(500, 501)", each) for name, each in cached.items()})
        for cache in caches.values():
            cache.close()
    return [Row("hit in two tiers", took["two tiers"], took["memory"], "memory only", 1.1)]


def methods() -> list[Row]:
    """Measure a method, taken from its object at every call."""

    class Descriptor:
        def __init__(self, bound: type[BoundMethod] | None) -> None:
            assert bound is not None
            self._bound = bound

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            return self if instance is None else self._bound(instance)

    def method(self: Any, a: int) -> int:
        return a

    entries = filled(1)
    path = compile_hit_path(method, arguments=["a"], table=entries, slow=missed, method="shared")

    class Holder:
        ours = Descriptor(path.bound)

        @functools.lru_cache(None)  # noqa: B019
        def theirs(self, a: int) -> int:
            return a

    holder: Any = Holder()
    holder.theirs(500)
    cases = {"ours": call("f.ours(500)", holder), "theirs": call("f.theirs(500)", holder)}
    took = medians(cases)
    return [Row("method", took["ours"], took["theirs"], "lru_cache method", 7.5)]


def writes() -> list[Row]:
    """Measure storing a new key in a full cache, which evicts another."""
    size = 10_000
    ours = MemoryTier(size).table("f")
    theirs: TTLCache[tuple[int, int], int] = TTLCache(size, 3600)
    numbers = itertools.count()

    def ours_once() -> None:
        number = next(numbers)
        reservation = ours.reserve((int, number, int, number))
        ours.commit(reservation, number, time.monotonic() + 3600)

    def theirs_once() -> None:
        number = next(numbers)
        theirs[number, number] = number

    for _ in range(2 * size):
        ours_once()
        theirs_once()
    cases = {"ours": call("f()", ours_once), "theirs": call("f()", theirs_once)}
    took = medians(cases, number=2000)
    return [Row("store and evict", took["ours"], took["theirs"], "TTLCache", 0.6)]


def allocated(fill: Callable[[], object]) -> float:
    """Return the bytes that what `fill` returns takes up, per entry."""
    gc.collect()
    tracemalloc.start()
    kept = fill()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return taken / ENTRIES


def memory(churn: int = 2) -> list[Row]:
    """Measure bytes per entry once `churn` times as many keys were stored as there is room for."""

    def theirs() -> object:
        cache: TTLCache[tuple[int, int], int] = TTLCache(ENTRIES, 3600)
        for number in range(churn * ENTRIES):
            cache[number, number + 1] = number
        return cache

    def ours(partitions: int) -> object:
        filling = MemoryTier(ENTRIES).table("f", partitions)
        for number in range(churn * ENTRIES):
            scopes = ("f", f"app:users:get_user:v1:{{{number}}}") if partitions else ()
            reservation = filling.reserve((int, number, int, number + 1), scopes=scopes)
            filling.commit(reservation, number, time.monotonic() + 3600)
        return filling

    base = allocated(theirs)
    plain, parted = allocated(lambda: ours(0)), allocated(lambda: ours(1))
    label = f"bytes per entry after {churn} x {ENTRIES:,} keys"
    return [
        Row(label, plain, base, "TTLCache", 0.9),
        Row(f"{label}, partitions", parted, base, "TTLCache", 1.4),
    ]


def rows() -> list[Row]:
    """Return all comparisons; the columns of those that say so are bytes, not times."""
    return [*hits(), *two_tiers(), *methods(), *writes(), *memory(1), *memory(2)]


if __name__ == "__main__":
    print(table(rows()))
