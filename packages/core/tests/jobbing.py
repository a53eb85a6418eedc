"""Jobs under test: one that counts its fetches, on caches of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import count
from typing import Any

from packages.core.tests.brokers import ListBroker
from packages.core.tests.stages import wait_until
from tiercel import Cache, Job
from tiercel.spi import perform_message
from tiercel.testing import SimulatedBackend, VirtualClock

LIFETIME, REFRESH_TIMEOUT, CACHE_TTL = 600, 60, 10_000

_serial = count(1)


class Source:
    """What jobs fetch from.

    Attributes:
        fetched: The arguments of every fetch.
        data: What the next fetches return; by default the number of fetches so far.
        fails: Whether fetching raises.
        before: Called before a fetch returns.
    """

    def __init__(self) -> None:
        self.fetched: list[Any] = []
        self.data: Callable[[], Any] = lambda: len(self.fetched)
        self.fails = False
        self.before: Callable[[], object] = lambda: None

    def fetch(self, *call: Any) -> Any:
        self.fetched.append(call)
        data = self.data()
        self.before()
        if self.fails:
            raise ConnectionError("the source is away")
        return data

    def wait_for(self, fetches: int) -> None:
        """Wait until so many fetches have begun, in whatever thread."""
        wait_until(lambda: len(self.fetched) >= fetches)
        assert len(self.fetched) == fetches


def job_class(cache: Cache, source: Source, /, **said: Any) -> Any:
    """Return a class of jobs with attributes and methods; `options` are those of the class."""
    options = {"name": f"tests:job{next(_serial)}", **said.pop("options", {})}

    def fetch(self: Any, what: Any = 1, other: Any = None) -> Any:
        return source.fetch(what, other)

    body = {
        "lifetime": LIFETIME,
        "refresh_timeout": REFRESH_TIMEOUT,
        "cache_ttl": CACHE_TTL,
        "cache_alias": cache,
        "fetch": fetch,
        **said,
    }
    return type("Counted", (Job,), {"__module__": __name__, **body}, **options)


def coroutine(source: Source) -> Callable[..., Any]:
    """Return a coroutine method that fetches."""

    async def fetch(self: Any, what: Any = 1, other: Any = None) -> Any:
        return source.fetch(what, other)

    assert inspect.iscoroutinefunction(fetch)
    return fetch


class Web:
    """Processes with the same class of jobs, on one shared tier and one broker.

    Attributes:
        jobs: The class as each of two web processes and one worker has it.
    """

    def __init__(self, broker: ListBroker, memory: int, **said: Any) -> None:
        self.broker = broker
        self.clock = VirtualClock()
        self.store = SimulatedBackend(self.clock)
        self.source = Source()
        options = {"dispatcher": "list", "name": f"web:job{next(_serial)}"}
        options |= said.pop("options", {})
        self.caches = [
            Cache(backend=self.store, clock=self.clock, name=name, memory=memory)
            for name in ("web0", "web1", "worker")
        ]
        if said.pop("awaited", False):
            said["fetch"] = coroutine(self.source)
        self.jobs = [
            job_class(cache, self.source, options=options, **said) for cache in self.caches
        ]
        self.first, self.second, self.worker = self.jobs

    @property
    def sent(self) -> int:
        """How many messages wait."""
        return len(self.broker.messages)

    def take(self) -> str:
        """Take the only message, as the worker gets it."""
        return self.broker.take(self.caches[2])

    def work(self) -> None:
        """Let the worker perform the only message."""
        perform_message(self.take())

    def make_stale(self, *args: Any) -> None:
        """Fetch, and let the lifetime pass."""
        self.first().get(*args)
        self.clock.advance(LIFETIME + 1)

    def close(self) -> None:
        for cache in self.caches:
            cache.close()
