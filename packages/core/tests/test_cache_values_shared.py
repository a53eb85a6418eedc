"""Values that are set by hand, where processes share them."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from packages.core.tests.stages import Stage, wait_until
from tiercel import Cache
from tiercel.contracts.backend import Begin, Fill, Granted, Read
from tiercel.testing import SimulatedBackend


@pytest.mark.parametrize("kind", ["two_tiers", "shared"])
def test_incr_when_many_threads_of_two_processes_meet_loses_nothing(kind: str) -> None:
    """They take turns, however many there are."""
    stage = Stage(kind, threads=True)
    caches, sums = [stage.cache, stage.process()], list[int]()
    stage.cache.set("n", 0)

    def count(number: int) -> None:
        sums.extend(caches[number % 2].incr("n") for _ in range(10))

    threads = [threading.Thread(target=count, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stage.close()
    assert sorted(sums) == list(range(1, 161))


def test_incr_when_a_holder_is_silent_goes_on_without_it(tiers: Stage) -> None:
    """A process that died in the middle delays others by a second, not until its lease ends."""
    tiers.cache.set("n", 1)
    taken = next(each for each in tiers.store.commands if type(each) is Begin)
    held = tiers.store.execute(Begin(taken.key, 1000.0, 1000.0, floor=math.inf))
    assert isinstance(held, Granted)
    assert tiers.cache.incr("n") == 2
    assert tiers.store.execute(Fill(taken.key, held.token, b"late", 10.0)) is False


@pytest.mark.parametrize("operation", ["get", "get_many", "get_or_set", "incr", "set"])
def test_values_when_used_first_have_the_prefix_of_their_cache(operation: str) -> None:
    """Whichever operation comes first; another application on the store is never read."""
    store = SimulatedBackend()
    cache = Cache(backend=store, prefix="mine", memory=0)
    arguments = {"get_many": (["a"],), "get_or_set": ("a", 1), "set": ("a", 1)}
    try:
        getattr(cache, operation)(*arguments.get(operation, ("a",)))
    except KeyError:
        assert operation == "incr"
    texts = {key.text for each in store.commands for key in _keys(each)}
    assert texts == {"mine:values:v1:key='a"}


def _keys(command: Any) -> list[Any]:
    return list(getattr(command, "keys", ())) or [command.key]


def test_values_when_only_read_by_hand_are_served_from_memory() -> None:
    """Memory follows the shared tier although no function was called."""
    store = SimulatedBackend()
    cache = Cache(backend=store, max_lag=0.2)
    cache.set("a", 1)
    assert cache.get("b") is None
    assert cache.engine.channel is not None
    wait_until(cache.engine.channel.trusted)
    cache.clear_local()
    assert cache.get("a") == 1
    time.sleep(0.3)

    def is_read_from_memory() -> bool:
        before = sum(type(each) is Read for each in store.commands)
        assert cache.get("a") == 1
        return sum(type(each) is Read for each in store.commands) == before

    wait_until(is_read_from_memory)
    cache.close()


def asked_by(cache: Cache, *values: tuple[str, Any]) -> list[str]:
    """Set values; return the names of the commands which that took."""
    backend: Any = cache.engine.backend
    before = len(backend.commands)
    for key, value in values:
        cache.set(key, value)
    kinds = [type(each).__name__ for each in backend.commands[before:]]
    return [kind for kind in kinds if kind != "Poll"]


def test_set_when_the_stamps_are_known_takes_one_command(tiers: Stage) -> None:
    """The first value that is set brings them, for any key."""
    assert asked_by(tiers.cache, ("a", 1)) == ["Begin", "Fill"]
    assert asked_by(tiers.cache, ("a", 2), ("b", 3)) == ["Overwrite", "Overwrite"]
    assert tiers.process().get_many(["a", "b"]) == {"a": 2, "b": 3}


def test_set_when_all_was_cleared_elsewhere_is_stored_nevertheless(tiers: Stage) -> None:
    """It learns of the new stamps by the way, and once."""
    other = tiers.process()
    tiers.cache.set("a", 1)
    other.clear()
    assert asked_by(tiers.cache, ("a", 2)) == ["Overwrite", "Begin", "Fill"]
    assert asked_by(tiers.cache, ("a", 3)) == ["Overwrite"]
    assert other.get("a") == 3


def test_set_when_the_value_is_computed_meanwhile_stays(tiers: Stage) -> None:
    """Whoever began earlier brings an older value, which is not stored."""
    other = tiers.process()
    tiers.cache.set("b", 0)

    def compute() -> str:
        assert asked_by(tiers.cache, ("a", "set")) == ["Overwrite"]
        return "computed"

    assert other.get_or_set("a", compute) == "computed"
    assert [cache.get("a") for cache in (tiers.cache, tiers.process())] == ["set", "set"]


def test_set_when_the_shared_tier_fails_says_so(tiers: Stage) -> None:
    """Nobody is served what was not stored, and no error reaches the caller."""
    tiers.cache.set("a", 1)
    tiers.store.unreachable = True
    assert tiers.cache.set("a", 2) is False
