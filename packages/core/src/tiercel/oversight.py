"""What there is to look after: caches, functions, plugins. For command lines and tests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tiercel.cached import CachedFunction
from tiercel.caches import Cache
from tiercel.clock import SYSTEM_CLOCK, Clock
from tiercel.configuration import DEFAULT, caches, get_cache, use_caches
from tiercel.contracts.backend import Key, Read
from tiercel.dispatch import make_dispatcher
from tiercel.errors import UnknownFunction
from tiercel.function import living_functions
from tiercel.plugins import default_registry
from tiercel.plugins.survey import PluginState, survey


@dataclass(frozen=True, slots=True)
class CacheState:
    """How a cache is doing.

    Attributes:
        name: Its name.
        tiers: What it consists of, for people.
        guarantee: The level that its shared tier can carry; empty if there is none.
        reachable: Whether the shared tier has answered; None if there is none.
        milliseconds: How long that took.
        error: Why it has not.
    """

    name: str
    tiers: str
    guarantee: str = ""
    reachable: bool | None = None
    milliseconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class FunctionState:
    """What this process knows of a cached function.

    Attributes:
        name: Its name across processes.
        cache: The name of its cache; empty if it was not used yet.
        rules: The number of its rules.
        counts: How its calls were served, by kind.
    """

    name: str
    cache: str
    rules: int
    counts: Mapping[str, int]


def plugin_states() -> list[PluginState]:
    """Load every plugin and tell how that went."""
    return survey(default_registry())


def cache_state(name: str | None = None) -> CacheState:
    """Ask the shared tier of a cache whether it is there.

    Args:
        name: The cache; None: the default one.

    Raises:
        ConfigurationError: No cache has this name, or the default one cannot be made.
    """
    return state_of(get_cache(name))


def state_of(cache: Cache) -> CacheState:
    """Ask the shared tier of this cache whether it is there."""
    if cache.shared is None:
        return CacheState(cache.name, repr(cache))
    start = time.perf_counter()
    error = _probe(cache)
    took = (time.perf_counter() - start) * 1000
    return CacheState(cache.name, repr(cache), cache.guarantee, not error, took, error)


def cache_names() -> list[str]:
    """Return the names of the configured caches; `default` is always among them."""
    return sorted({DEFAULT, *caches()})


@contextmanager
def isolated_caches(clock: Clock = SYSTEM_CLOCK) -> Iterator[Mapping[str, Cache]]:
    """Replace every configured cache by an empty one in memory, for the time of a test.

    What would be sent to workers is done inline. A `Cache` that decorates functions by its own
    `cached` is no part of the configuration, and stays as it is.

    Args:
        clock: What tells the time of the caches.

    Yields:
        The caches by name; `default` is always among them.
    """
    names = {DEFAULT, *caches()}
    fresh = {name: Cache(name=f"{name}-{uuid4().hex[:8]}", clock=clock) for name in names}
    for cache in fresh.values():
        cache.stands_in = True
    former = use_caches(fresh)
    try:
        yield fresh
    finally:
        for cache in use_caches(former).values():
            cache.close()


def cached_functions(pattern: str = "") -> list[CachedFunction[Any, Any, Any]]:
    """Return the cached functions of this process whose name contains a text, by name."""
    found = [each for each in living_functions() if isinstance(each, CachedFunction)]
    return sorted((each for each in found if pattern in each.name), key=lambda each: each.name)


def cached_function(name: str) -> CachedFunction[Any, Any, Any]:
    """Return the cached function of a name.

    Raises:
        UnknownFunction: This process has none of that name.
    """
    for function in cached_functions(name):
        if function.name == name:
            return function
    raise UnknownFunction(f"this process has no cached function {name!r}")


def function_states(pattern: str = "") -> Sequence[FunctionState]:
    """Return what this process knows of the functions whose name contains a text."""
    return [_state(each) for each in cached_functions(pattern)]


def check_dispatcher(name: str, options: Mapping[str, Any]) -> None:
    """Check that there is a dispatcher, and that one can be made with these options.

    Raises:
        ConfigurationError: It has no such option, or a value cannot work.
        PluginError: There is no such dispatcher, or it cannot be loaded; says which ones there are.
    """
    make_dispatcher(name, options)


def _probe(cache: Cache) -> str:
    assert cache.shared is not None
    name = f"{cache.prefix}:probe"
    try:
        cache.shared.execute(Read(Key(name, (name,), name)))
    except Exception as error:  # what answers there may be no shared tier at all
        return f"{type(error).__name__}: {error}"
    return ""


def _state(function: CachedFunction[Any, Any, Any]) -> FunctionState:
    subject = function._subject
    rules = len(function.rules)
    if subject is None:
        return FunctionState(function.name, "", rules, {})
    counts = {name: getattr(subject.stats, name) for name in subject.stats.__slots__}
    counts["memory_hits"] += function.hit_path.hits()
    return FunctionState(function.name, subject.engine.name, rules, counts)
