"""Values that are set by hand: every operation, plain and awaited, on every kind of cache."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from packages.core.tests.stages import Stage
from tiercel import Cache, ConfigurationError, TiercelError, UnkeyableValue


class Hand:
    """Calls the operations of a cache, or their twins."""

    def __init__(self, awaited: bool) -> None:
        self.awaited = awaited

    async def __call__(self, cache: Cache, operation: str, *args: Any, **kwargs: Any) -> Any:
        if self.awaited:
            return await getattr(cache, f"a{operation}")(*args, **kwargs)
        return getattr(cache, operation)(*args, **kwargs)


@pytest.fixture(params=[False, True], ids=["plain", "twins"])
def do(request: pytest.FixtureRequest) -> Hand:
    return Hand(request.param)


async def test_get_when_set_returns_the_value(stage: Stage, do: Hand) -> None:
    """A value comes back; a missing one is None or the default."""
    assert await do(stage.cache, "get", "a") is None
    assert await do(stage.cache, "get", "a", 5) == 5
    assert await do(stage.cache, "set", "a", [1, 2]) is True
    assert await do(stage.cache, "get", "a") == [1, 2]
    assert await do(stage.cache, "set", "a", None) is True
    assert await do(stage.cache, "get", "a", 5) is None
    assert await do(stage.cache, "has", "a") is True


async def test_keys_may_be_any_value_that_functions_may_have_as_argument(
    stage: Stage, do: Hand
) -> None:
    """Keys of different types do not meet; what cannot be a key is named."""
    keys = ["1", 1, True, None, (1, 2), frozenset({1}), b"1", "", "a b:c*{}"]
    for number, key in enumerate(keys):
        await do(stage.cache, "set", key, number)
    assert [await do(stage.cache, "get", key) for key in keys] == list(range(len(keys)))
    with pytest.raises(UnkeyableValue, match="key"):
        await do(stage.cache, "get", object())


@pytest.mark.parametrize("ttl", [10, 10.0, timedelta(seconds=10)])
@pytest.mark.parametrize("operation", ["set", "add", "get_or_set"])
async def test_set_when_ttl_is_third_ends_after_it(
    stage: Stage, do: Hand, operation: str, ttl: Any
) -> None:
    """The life is the third positional argument, or `ttl=`."""
    await do(stage.cache, operation, "a", 1, ttl)
    await do(stage.cache, operation, "b", 2, ttl=ttl)
    stage.advance(9)
    assert await do(stage.cache, "get_many", ["a", "b"]) == {"a": 1, "b": 2}
    stage.advance(2)
    assert await do(stage.cache, "get_many", ["a", "b"]) == {}


async def test_set_when_ttl_is_left_out_or_none(stage: Stage, do: Hand) -> None:
    """The default is an hour; None is no expiry."""
    await do(stage.cache, "set", "hour", 1)
    await do(stage.cache, "set", "ever", 2, None)
    stage.advance(3599)
    assert await do(stage.cache, "get", "hour") == 1
    stage.advance(2)
    assert await do(stage.cache, "get", "hour") is None
    stage.advance(100 * 86_400)
    assert await do(stage.cache, "get", "ever") == 2


@pytest.mark.parametrize("ttl", [0, -1, "soon", True, float("nan"), lambda value: 5])
@pytest.mark.parametrize("operation", ["set", "add", "touch", "get_or_set", "set_many"])
def test_set_when_ttl_is_no_life_refuses_it(tiers: Stage, operation: str, ttl: Any) -> None:
    """A life that cannot be is an error that names it, and changes nothing."""
    tiers.cache.set("a", 1)
    arguments = {"touch": ("a",), "set_many": ({"b": 2},)}.get(operation, ("b", 2))
    with pytest.raises(ConfigurationError, match="a value set by hand: ttl="):
        getattr(tiers.cache, operation)(*arguments, ttl=ttl)
    assert tiers.cache.get_many(["a", "b"]) == {"a": 1}


async def test_add_when_present_changes_nothing(stage: Stage, do: Hand) -> None:
    """Only what is absent is added, what has ended included."""
    assert await do(stage.cache, "add", "a", 1, 10) is True
    assert await do(stage.cache, "add", "a", 2) is False
    assert await do(stage.cache, "get", "a") == 1
    stage.advance(11)
    assert await do(stage.cache, "add", "a", 3) is True
    assert await do(stage.cache, "get", "a") == 3


async def test_delete_removes_one_value(stage: Stage, do: Hand) -> None:
    """It tells whether there was one."""
    await do(stage.cache, "set_many", {"a": 1, "b": 2})
    assert await do(stage.cache, "delete", "a") is True
    assert await do(stage.cache, "delete", "a") is False
    assert await do(stage.cache, "has", "a") is False
    assert await do(stage.cache, "get_many", ["a", "b"]) == {"b": 2}


async def test_delete_many_removes_several_values(stage: Stage, do: Hand) -> None:
    """Missing ones do not matter."""
    await do(stage.cache, "set_many", {"a": 1, "b": 2, "c": 3})
    await do(stage.cache, "delete_many", ["a", "c", "d"])
    assert await do(stage.cache, "get_many", ["a", "b", "c", "d"]) == {"b": 2}


async def test_touch_gives_a_new_life_from_now_on(stage: Stage, do: Hand) -> None:
    """A longer, a shorter or an endless one; without a value it says so."""
    assert await do(stage.cache, "touch", "a", 5) is False
    await do(stage.cache, "set", "a", 1, 10)
    stage.advance(5)
    assert await do(stage.cache, "touch", "a", 100) is True
    stage.advance(90)
    assert await do(stage.cache, "get", "a") == 1
    assert await do(stage.cache, "touch", "a", timedelta(seconds=1)) is True
    stage.advance(2)
    assert await do(stage.cache, "get", "a") is None
    await do(stage.cache, "set", "b", 1, 10)
    assert await do(stage.cache, "touch", "b", None) is True
    stage.advance(10**6)
    assert await do(stage.cache, "get", "b") == 1


async def test_incr_adds_and_keeps_the_life(stage: Stage, do: Hand) -> None:
    """The sum is returned; the end of the value stays where it was."""
    with pytest.raises(KeyError, match="n"):
        await do(stage.cache, "incr", "n")
    await do(stage.cache, "set", "n", 5, 100)
    assert await do(stage.cache, "incr", "n") == 6
    stage.advance(60)
    assert await do(stage.cache, "incr", "n", -10) == -4
    assert await do(stage.cache, "get", "n") == -4
    stage.advance(39)
    assert await do(stage.cache, "has", "n") is True
    stage.advance(2)
    assert await do(stage.cache, "has", "n") is False


async def test_incr_when_value_is_no_number_says_so(stage: Stage, do: Hand) -> None:
    """The value stays as it is, and nobody waits for a lease that was left behind."""
    await do(stage.cache, "set", "n", "text")
    with pytest.raises(TypeError):
        await do(stage.cache, "incr", "n")
    assert await do(stage.cache, "set", "n", 1) is True
    assert await do(stage.cache, "incr", "n") == 2


def test_incr_when_threads_meet_loses_nothing(stage: Stage) -> None:
    """On one process's memory and on an atomic backend every increment counts."""
    if stage.kind == "dict":
        return
    caches = [stage.cache, stage.process()] if stage.shares else [stage.cache]
    caches[0].set("n", 0)
    failures: list[BaseException] = []

    def work(cache: Cache) -> None:
        try:
            for _ in range(20):
                cache.incr("n")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(cache,)) for cache in caches * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stage.settle()
    assert not failures
    stage.advance(1)
    assert caches[-1].get("n") == 20 * len(threads)


async def test_get_or_set_when_missing_sets_the_default(stage: Stage, do: Hand) -> None:
    """A value or what a callable returns; a present value is left alone."""
    calls: list[int] = []

    def make() -> str:
        calls.append(1)
        return "made"

    async def amake() -> str:
        return "awaited"

    assert await do(stage.cache, "get_or_set", "a", 1) == 1
    assert await do(stage.cache, "get_or_set", "a", make) == 1
    assert await do(stage.cache, "get_or_set", "b", make, 10) == "made"
    assert await do(stage.cache, "get_or_set", "b", make) == "made"
    assert calls == [1]
    if do.awaited:
        assert await stage.cache.aget_or_set("c", amake) == "awaited"
    stage.advance(11)
    assert await do(stage.cache, "get", "b") is None


def test_get_or_set_when_threads_meet_makes_one_value(stage: Stage) -> None:
    """Whoever asks at once gets the same value, made once."""
    if stage.kind == "dict":
        return
    calls: list[int] = []
    gate = threading.Event()

    def make() -> int:
        calls.append(1)
        value = len(calls)
        gate.wait(60)
        return value

    values: list[int] = []
    threads = [
        threading.Thread(target=lambda: values.append(stage.cache.get_or_set("a", make)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(60)
    assert values == [1] * 8
    assert calls == [1]


def test_get_or_set_when_deleted_meanwhile_leaves_nothing(stage: Stage) -> None:
    """A default that was made before a deletion is not stored after it."""

    def make() -> str:
        stage.cache.delete("a")
        return "outdated"

    assert stage.cache.get_or_set("a", make) == "outdated"
    assert stage.cache.get("a") is None


def test_incr_when_values_meet_in_memory_loses_nothing(memory: Stage) -> None:
    """An increment that was overtaken starts again from the new value."""
    overtaken: list[bool] = []

    class Number:
        def __init__(self, value: int) -> None:
            self.value = value

        def __add__(self, delta: int) -> Number:
            if not overtaken:
                overtaken.append(True)
                memory.cache.incr("n", 10)
            return Number(self.value + delta)

    memory.cache.set("n", Number(0))
    memory.cache.incr("n", 1)
    assert memory.cache.get("n").value == 11


async def test_get_many_returns_what_is_there(stage: Stage, do: Hand) -> None:
    """In the order of the keys; an iterator will do; stored None counts."""
    assert await do(stage.cache, "set_many", {"b": 2, "a": None, 3: "three"}, 50) == []
    found = await do(stage.cache, "get_many", iter(["a", "b", "x", 3]))
    assert found == {"a": None, "b": 2, 3: "three"}
    assert list(found) == ["a", "b", 3]
    assert await do(stage.cache, "get_many", []) == {}


async def test_clear_removes_values_and_entries_of_functions(stage: Stage, do: Hand) -> None:
    """Everything of this cache goes, nothing of another."""
    other = Stage(stage.kind)
    calls: list[int] = []
    cached = stage.cached(lambda key: calls.append(key))
    cached(1)
    for cache in (stage.cache, other.cache):
        await do(cache, "set", "a", 1)
    await do(stage.cache, "clear")
    assert await do(stage.cache, "get", "a") is None
    assert await do(other.cache, "get", "a") == 1
    cached(1)
    assert calls == [1, 1]
    other.close()


def test_clear_local_empties_memory_only(stage: Stage) -> None:
    """What the shared tier has is found there again."""
    stage.cache.set("a", 1)
    stage.cache.clear_local()
    assert stage.cache.get("a") == (1 if stage.shares else None)


async def test_values_when_another_process_sets_or_deletes_them_follow(
    stage: Stage, do: Hand
) -> None:
    """Memory shows what others set and delete, within `max_lag`."""
    if not stage.shares:
        return
    there = stage.process()
    changes: list[tuple[Callable[[], Any], Any]] = [
        (lambda: there.set("a", 1), 1),
        (lambda: there.set("a", 2), 2),
        (lambda: there.incr("a", 5), 7),
        (lambda: there.delete("a"), None),
        (lambda: there.add("a", 3), 3),
        (lambda: there.clear(), None),
    ]
    for change, expected in changes:
        await do(stage.cache, "get", "a")
        change()
        stage.advance(1)
        assert await do(stage.cache, "get", "a") == expected


async def test_values_when_caches_have_other_prefixes_do_not_meet(shared: Stage, do: Hand) -> None:
    """A prefix keeps applications on one store apart."""
    other = shared.process(prefix="elsewhere")
    await do(shared.cache, "set", "a", 1)
    assert await do(other, "get", "a") is None
    await do(other, "clear")
    assert await do(shared.cache, "get", "a") == 1


def test_values_when_shared_tier_is_away_behave(tiers: Stage) -> None:
    """`set` and `add` say that they failed; `get` knows nothing; `incr` raises."""
    tiers.cache.set("a", 1)
    tiers.store.unreachable = True
    assert tiers.cache.set("b", 2) is False
    assert tiers.cache.add("c", 3) is False
    assert tiers.cache.get("zzz") is None
    assert tiers.cache.set_many({"d": 4}) == ["d"]
    with pytest.raises(TiercelError):
        tiers.cache.incr("a")
