"""Caches of every kind on a virtual clock, and the ways in which cached functions are used."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from tiercel import Cache
from tiercel.engine import sync
from tiercel.testing import DictBackend, SimulatedBackend, VirtualClock

KINDS = ("memory", "two_tiers", "shared", "dict")
WAYS = ("plain", "twins", "coroutine")
MAX_LAG = 0.01
PATIENCE = 60.0
"""Real seconds after which something that happens in the background counts as missing."""

_serial = count(1)


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for something that another thread does; fail if it does not happen."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"still waiting after {patience} s"
        time.sleep(0.001)


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Do the same on an event loop, which goes on; the condition may be one to be awaited."""
    async with asyncio.timeout(patience):
        while True:
            holds = condition()
            if await holds if inspect.isawaitable(holds) else holds:
                return
            await asyncio.sleep(0.001)


class Stage:
    """A cache under test, the clock that its time follows, and the store that it shares.

    Its memory tiers follow the store when `settle` or `advance` is called, or all the time with
    `threads`.

    Attributes:
        kind: One of `KINDS`.
        store: What the shared tier keeps its entries in; None for memory only.
        cache: The cache; more of them on the same store stand for other processes.
    """

    def __init__(self, kind: str, *, threads: bool = False) -> None:
        self.kind = kind
        self._threads = threads
        self.clock = VirtualClock()
        self.store: Any = None
        self._made: list[Cache] = []
        if kind == "dict":
            self.store = DictBackend(self.clock)
        elif kind != "memory":
            self.store = SimulatedBackend(self.clock)
        self.cache = self.process()

    @property
    def shares(self) -> bool:
        """Whether there is a shared tier."""
        return self.store is not None

    @property
    def fenced(self) -> bool:
        """Whether the shared tier is atomic, so that leases are exact."""
        return self.kind in ("two_tiers", "shared")

    def process(self, **options: Any) -> Cache:
        """Return another cache on the same store, as another process would have it."""
        if self.shares:
            options = {"backend": self.store, "max_lag": MAX_LAG, **options}
        if self.kind == "shared":
            options = {"memory": 0, **options}
        cache = Cache(clock=self.clock, name=f"{self.kind}{len(self._made)}", **options)
        self._made.append(cache)
        self._follow(cache)
        return cache

    def cached(self, function: Any = None, /, **options: Any) -> Any:
        """Decorate for the cache, under a name that no other test uses."""
        options.setdefault("name", f"tests:f{next(_serial)}")
        return self.cache.cached(function, **options) if function else self.cache.cached(**options)

    def pair(self, function: Any, **options: Any) -> tuple[Any, Any]:
        """Cache a function in two processes."""
        options.setdefault("name", f"tests:f{next(_serial)}")
        there = self.process()
        return self.cache.cached(**options)(function), there.cached(**options)(function)

    def advance(self, seconds: float) -> None:
        """Let time pass; memory is trusted again when this returns."""
        self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Wait until every memory tier knows what was dropped elsewhere."""
        for cache in self._made:
            self._follow(cache)

    def close(self) -> None:
        """Let the background threads of all caches end."""
        for cache in self._made:
            cache.close()

    def _follow(self, cache: Cache) -> None:
        engine = cache.engine
        if engine.channel is None:
            return
        if self._threads and engine.follower is not None:
            engine.follower.start()
            wait_until(engine.channel.trusted)
            return
        engine.follower = None
        while not (sync.run(engine, engine.channel.poll()) and engine.channel.trusted()):
            pass


class Way:
    """One of the ways in which a cached function is used.

    `plain`: a plain function and its plain methods. `twins`: a plain function and the methods to
    be awaited. `coroutine`: a coroutine function and the methods to be awaited.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def function(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Return what is to be cached: `plain`, or a coroutine function that does the same."""
        if self.name != "coroutine":
            return plain

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return plain(*args, **kwargs)

        coroutine.__signature__ = inspect.signature(plain)  # type: ignore[attr-defined]
        return coroutine

    async def call(self, cached: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the cached function."""
        result = cached(*args, **kwargs)
        return await result if self.name == "coroutine" else result

    async def do(self, cached: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the cached function, or its twin."""
        if self.name == "plain":
            return getattr(cached, method)(*args, **kwargs)
        return await getattr(cached, f"a{method}")(*args, **kwargs)
