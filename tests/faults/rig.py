"""A cache on a server that a test breaks, a function on it, and load that notices what is stale."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from tiercel import ArgsKeyField, Cache
from tiercel.testing.servers import wait_until

T = TypeVar("T")

TIMEOUT = 0.2
"""Seconds that one command may take."""

SLACK = 0.25
"""Seconds that a machine may add to any single call, besides those that it held a bystander up."""

PATIENT = 30.0
"""The same as `TIMEOUT` where the server answers, however slowly: a test is not about that."""

PATIENCE = 60.0
"""Seconds after which something that should happen counts as missing."""

_serial = count(1)


class Shape(NamedTuple):
    """How a cache is used."""

    asynchronous: bool
    memory: bool

    def __str__(self) -> str:
        way = "async" if self.asynchronous else "sync"
        return f"{way}-{'two' if self.memory else 'shared'}"


SHAPES = [Shape(asynchronous, memory) for asynchronous in (False, True) for memory in (True, False)]


class Source:
    """The truth that is cached: a version for each item, and who has asked for it.

    Attributes:
        pause: Seconds that it takes to read one.
        promised: For each item the version that no later read may go below.
        asked: How often each item was read.
    """

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.promised: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()
        self._versions: Counter[int] = Counter()
        self._lock = threading.Lock()

    def begin(self, item: int) -> int:
        """Return the version of now; whoever asks takes its time to hand it on."""
        with self._lock:
            self.asked[item] += 1
            return self._versions[item]

    def read(self, item: int) -> int:
        """Read in this thread."""
        version = self.begin(item)
        time.sleep(self.pause)
        return version

    async def aread(self, item: int) -> int:
        """Read in this task."""
        version = self.begin(item)
        await asyncio.sleep(self.pause)
        return version

    def change(self, item: int) -> int:
        """Make a new version and return it; to be promised once the old one is dropped."""
        with self._lock:
            self._versions[item] += 1
            return self._versions[item]


class Rig:
    """A cache of one shape, and one function on it that reads a source.

    Attributes:
        cache: The cache.
        source: What the function reads.
        function: The cached function of an item, its partition.
    """

    def __init__(
        self,
        url: str,
        shape: Shape,
        source: Source | None = None,
        *,
        name: str | None = None,
        timeout: float = TIMEOUT,
        **options: Any,
    ) -> None:
        self.shape = shape
        self.source = source or Source()
        memory = 1000 if shape.memory else 0
        settings = {"memory": memory, "timeout": timeout, "max_lag": 0.2, "name": "faults"}
        self.cache = Cache(url, **settings)
        read: Callable[[int], Any] = self.source.aread if shape.asynchronous else self.source.read
        self.function = self.cached(read, name or f"faults:{next(_serial)}", **options)
        self._runner = asyncio.Runner()

    def cached(self, read: Callable[[int], Any], name: str, **options: Any) -> Any:
        """Cache another function of an item."""
        if self.shape.asynchronous:

            async def arecall(item: int) -> Any:
                return await read(item)

            target: Callable[[int], Any] = arecall
        else:

            def recall(item: int) -> Any:
                return read(item)

            target = recall
        key = {"item": ArgsKeyField("item", partition=True)}
        given: dict[str, Any] = {"key": key, "ttl": 60, "name": name, **options}
        return self.cache.cached(**given)(target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self.aclose())
        self._runner.close()

    async def aclose(self) -> None:
        """Close the cache, on the loop that has used it."""
        assert self.cache.shared is not None
        await self.cache.shared.aclose()
        self.cache.close()

    def run(self, result: Coroutine[Any, Any, T] | T) -> T:
        """Wait for what a twin has returned."""
        return self._runner.run(result) if isinstance(result, Coroutine) else result

    def call(self, item: int) -> Any:
        """Call the function."""
        return self.run(self.function(item))

    def _twin(self, method: str) -> Callable[..., Any]:
        twin: Callable[..., Any] = getattr(
            self.function, f"a{method}" if self.shape.asynchronous else method
        )
        return twin

    def change(self, item: int, how: int = 0) -> None:
        """Change an item and drop what is cached of it."""
        version = self.source.change(item)
        self.run(self.drop(item, how))
        self.source.promised[item] = version

    def drop(self, item: int, how: int) -> Any:
        """Drop what is cached of an item: with the function, with its partition, or alone."""
        if how % 4 == 0:
            return self._twin("invalidate_all")()
        if how % 4 == 1:
            return self._twin("delete_by_prefix")(item=item)
        return self._twin("delete_cache")(item)

    async def achange(self, item: int, how: int) -> None:
        """The twin of `change`, on a loop that runs."""
        version = self.source.change(item)
        await self.drop(item, how)
        self.source.promised[item] = version

    def recovered(self) -> bool:
        """Whether the shared tier is used again and nothing is owed to it."""
        engine = self.cache.engine
        return not engine.breaker.failures and not engine.pending

    def await_recovery(self) -> float:
        """Call until the cache has recovered by itself; return the seconds that took."""
        began = time.monotonic()

        def tried() -> bool:
            self.call(-1)
            return self.recovered()

        wait_until(tried, "the cache to recover", PATIENCE)
        return time.monotonic() - began


class Tally:
    """What callers saw.

    Attributes:
        latencies: Seconds that each call took.
        wrong: What was stale, or no version at all.
        errors: What reached callers.
        held_up: Seconds, at most, for which the machine held up one who only wanted to sleep.
    """

    held_up: float = 0.0

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.wrong: list[Any] = []
        self.errors: list[BaseException] = []

    def add(self, least: int, value: Any, took: float) -> None:
        """Take down one call that began when `least` was promised."""
        self.latencies.append(took)
        if not isinstance(value, int) or value < least:
            self.wrong.append((least, value))

    def __str__(self) -> str:
        return f"{len(self.latencies)} calls, {len(self.wrong)} stale, {quantiles(self.latencies)}"


def note(text: str) -> None:
    """Show a figure to whoever runs these tests with `-s`."""
    sys.stdout.write(f"\n{text}\n")


def quantiles(seconds: Sequence[float]) -> str:
    """Describe durations."""
    ordered = sorted(seconds)
    texts = [f"{ordered[int(len(ordered) * share)] * 1e3:.2f}" for share in (0.5, 0.99)]
    return f"p50 {texts[0]} ms, p99 {texts[1]} ms, most {ordered[-1] * 1e3:.1f} ms"


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return what a call returned, and the seconds it took."""
    began = time.monotonic()
    return call(), time.monotonic() - began


def under_load(
    rig: Rig, happens: Callable[[], None], *, items: int = 16, callers: int = 4, seed: int = 1
) -> Tally:
    """Have callers read while a changer changes and drops items, as long as `happens` runs."""
    tally, ended = Tally(), threading.Event()
    loads = [Load(rig, tally, ended, Random(seed * 100 + n), items) for n in range(callers + 1)]
    if rig.shape.asynchronous:
        threads = [threading.Thread(target=rig.run, args=(_all_tasks(loads),))]
    else:
        threads = [threading.Thread(target=load.read) for load in loads[1:]]
        threads.append(threading.Thread(target=loads[0].change))
    threads.append(threading.Thread(target=stand_by, args=(tally, ended)))
    for thread in threads:
        thread.start()
    try:
        happens()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    return tally


def stand_by(tally: Tally, ended: threading.Event) -> None:
    """Note how long the machine holds up who is not concerned by what happens."""
    while not ended.is_set():
        began = time.monotonic()
        time.sleep(0.001)
        tally.held_up = max(tally.held_up, time.monotonic() - began)


class Load:
    """One caller, or the changer, of `under_load`."""

    def __init__(
        self, rig: Rig, tally: Tally, ended: threading.Event, random: Random, items: int
    ) -> None:
        self._rig = rig
        self._tally = tally
        self._ended = ended
        self._random = random
        self._items = items

    def _item(self) -> int:
        return self._random.randrange(self._items)

    def read(self) -> None:
        """Read items until the end."""
        promised, function = self._rig.source.promised, self._rig.function
        while not self._ended.is_set():
            item = self._item()
            least = promised[item]
            self._guard(
                lambda item=item, least=least: self._tally.add(  # type: ignore[misc]
                    least, *timed(lambda: function(item))
                )
            )
            time.sleep(0.0005)

    def change(self) -> None:
        """Change items until the end."""
        while not self._ended.wait(0.005):
            item, how = self._item(), self._random.randrange(40)
            self._guard(lambda item=item, how=how: self._rig.change(item, how))  # type: ignore[misc]

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self._tally.errors.append(error)

    async def aread(self) -> None:
        """The twin of `read`."""
        promised, function = self._rig.source.promised, self._rig.function
        while not self._ended.is_set():
            item = self._item()
            least, began = promised[item], time.monotonic()
            try:
                value = await function(item)
                self._tally.add(least, value, time.monotonic() - began)
            except Exception as error:
                self._tally.errors.append(error)
            await asyncio.sleep(0.0005)

    async def achange(self) -> None:
        """The twin of `change`."""
        while not self._ended.is_set():
            await asyncio.sleep(0.005)
            try:
                await self._rig.achange(self._item(), self._random.randrange(40))
            except Exception as error:
                self._tally.errors.append(error)


async def _all_tasks(loads: Sequence[Load]) -> None:
    changer, *readers = loads
    await asyncio.gather(changer.achange(), *(reader.aread() for reader in readers))
