"""A function that mostly misses goes a shorter way, and ends where every other function does.

Each test plays with a function that seldom misses and with one that often does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel.contracts.backend import DropKey, DropScopes, Key, ReadThenBegin
from tiercel.engine import read
from tiercel.engine.outright import lead_outright


class Cached:
    """A cached function in a state of mind about its misses."""

    def __init__(self, stage: Stage, way: Way, often: bool, plain: Any, **options: Any) -> None:
        self._way, self._often = way, often
        self._cached = stage.cached(way.function(plain), **options)
        self.subject = self._cached.cached_function.subject

    def key(self, *args: Any) -> Key:
        """Return the identity of a call."""
        key: Key = self._cached.cached_function.call(args, {}).key
        return key

    async def __call__(self, *args: Any) -> Any:
        return (await self.told(*args))[0]

    async def told(self, *args: Any) -> Any:
        """Call it, and return its value and how that came about."""
        self.subject.missing = 1.0 if self._often else 0.0
        return await self._way.do(self._cached, "get_with_metadata", *args)


Make = Callable[..., Cached]


@pytest.fixture(params=["seldom", "often"])
def make(request: pytest.FixtureRequest, shared: Stage, way: Way) -> Make:
    """Cache a function that misses so."""
    often = request.param == "often"
    return lambda plain, **options: Cached(shared, way, often, plain, **options)


def left(stage: Stage, kind: str) -> list[str]:
    """Return what the shared tier holds of a kind."""
    return [name for name in stage.store.names() if name.startswith(kind)]


async def test_miss_when_nothing_is_unusual_is_stored_once(shared: Stage, make: Make) -> None:
    """The value is there for the next caller, and the lease is gone."""
    cached = make(lambda n: {"n": n}, ttl=60)
    value, first = await cached.told(1)
    assert value == {"n": 1}
    assert (first["cache_status"], first["tier"], first["cause"]) == ("MISS", "function", "absent")
    assert left(shared, "value") and not left(shared, "lease")
    shared.advance(20)
    value, second = await cached.told(1)
    assert value == {"n": 1}
    assert (second["cache_status"], second["tier"], second["age"]) == ("HIT", "shared", 20.0)
    counts = cached.subject.stats
    assert (counts.computations, counts.shared_hits, len(cached.subject.flights)) == (1, 1, 0)


async def test_miss_when_often_asks_for_the_lease_with_the_same_request(
    shared: Stage, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shorter way is taken, by functions that it is meant for and by no others."""
    taken: list[str] = []

    def noted(subject: Any, *others: Any) -> Iterator[Any]:
        taken.append(subject.name)
        return lead_outright(subject, *others)

    monkeypatch.setattr(read, "lead_outright", noted)
    usual: dict[str, Any] = {"plain": lambda n: n, "ttl": 60}
    for name, options in {
        "usual": usual,
        "predicate": usual | {"cache_if": lambda value: True},
        "callable": usual | {"ttl": lambda value: 60},
    }.items():
        await Cached(shared, way, True, name=name, **options)(1)
    assert taken == ["usual"]
    assert sum(type(command) is ReadThenBegin for command in shared.store.commands) == 3


async def test_miss_when_the_function_fails_leaves_nothing(shared: Stage, make: Make) -> None:
    """The error reaches the caller, and the next one computes at once."""

    def fail(n: int) -> int:
        raise ValueError(n)

    cached = make(fail, ttl=60)
    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            await cached(1)
    assert not left(shared, "value") and not left(shared, "lease")
    assert (cached.subject.stats.errors, len(cached.subject.flights)) == (2, 0)


async def test_miss_when_a_failure_may_be_cached_stores_it(make: Make) -> None:
    """The exception is raised again without another computation."""
    calls: list[int] = []

    def fail(n: int) -> int:
        calls.append(n)
        raise KeyError(n)

    cached = make(fail, ttl=60, cache_exceptions=(KeyError,))
    for _ in range(2):
        with pytest.raises(KeyError):
            await cached(1)
    assert calls == [1]


async def test_miss_when_the_function_fails_and_an_old_entry_is_left_serves_that(
    shared: Stage, make: Make
) -> None:
    """What a policy lets stand in for an error does so."""
    broken: list[bool] = []

    def sometimes(n: int) -> int:
        if broken:
            raise OSError
        return n

    cached = make(sometimes, ttl=10, stale_on_error=60)
    assert await cached(1) == 1
    shared.advance(20)
    broken.append(True)
    value, metadata = await cached.told(1)
    assert (value, metadata["cache_status"]) == (1, "STALE")


@contextmanager
def opened(n: int) -> Iterator[int]:
    yield n


@pytest.mark.parametrize("result", [lambda n: iter([n]), opened], ids=["iterator", "context"])
async def test_miss_when_a_result_cannot_be_read_twice_says_so(
    shared: Stage, make: Make, result: Callable[[int], Any]
) -> None:
    """An iterator is no value to cache, and its lease is given back."""
    cached = make(lambda n: result(n), ttl=60)
    with pytest.raises(TypeError, match="read only once"):
        await cached(1)
    assert not left(shared, "value") and not left(shared, "lease")


@pytest.mark.parametrize(
    ("what", "refused", "cause"), [("key", 1, "refused"), ("all", 0, "dropped")]
)
async def test_miss_when_dropped_meanwhile_is_not_served_again(
    shared: Stage, make: Make, what: str, refused: int, cause: str
) -> None:
    """The caller gets what it computed, and the next one computes anew and hears why."""
    drops: list[Any] = []

    def compute(n: int) -> int:
        if drops:
            shared.store.execute(drops.pop())
        return n

    cached = make(compute, ttl=60)
    everything = DropScopes((cached.subject.function_scope,), 1e6)
    drops.append(DropKey(cached.key(1)) if what == "key" else everything)
    assert await cached(1) == 1
    assert cached.subject.stats.refused == refused
    value, metadata = await cached.told(1)
    assert (value, metadata["cache_status"], metadata["cause"]) == (1, "MISS", cause)
    assert (await cached.told(1))[1]["cache_status"] == "HIT"


async def test_miss_when_nothing_may_be_stored_gives_the_lease_back(
    shared: Stage, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a function began, such as a transaction, that others do not see yet, stays unstored."""
    begun: list[bool] = []
    for module in ("fill", "outright"):
        monkeypatch.setattr(f"tiercel.engine.{module}.is_isolated", lambda: bool(begun))

    def begin(n: int) -> int:
        begun.append(True)
        return n

    cached = make(begin, ttl=60)
    assert await cached(1) == 1
    assert not left(shared, "value") and not left(shared, "lease")


async def test_miss_when_there_is_no_value_lives_as_the_policy_says(
    shared: Stage, make: Make
) -> None:
    """None has a life of its own."""
    calls: list[int] = []
    cached = make(lambda n: calls.append(n), ttl=60, negative_ttl=5)
    for seconds in (0, 4, 2):
        shared.advance(seconds)
        assert await cached(1) is None
    assert calls == [1, 1]
