"""What can be cached, and how a key may be given: functions, methods, classes, dicts, instances."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, cast

import pytest

from packages.core.tests.stages import Stage
from tiercel import (
    CACHE_MISSING,
    ArgsKeyField,
    ConfigurationError,
    ConstantKeyField,
    InlineKeyConstructor,
    KeyConstructor,
    UnkeyableValue,
    cache_result,
    cacheback,
    cached_for,
)


class UserKey(KeyConstructor):
    user = ArgsKeyField("user_id", partition=True)
    version = ConstantKeyField("v", "1")

    class Meta:  # noqa: D106
        namespace = "users"


def test_decorator_with_and_without_parentheses_does_the_same(memory: Stage) -> None:
    """`@cached`, `@cached()` and `@cached(ttl=...)` all leave a cached function."""
    for decorator in (
        memory.cache.cached,
        memory.cache.cached(),
        memory.cache.cached(ttl=5),
        cache_result,
        cache_result(),
        cache_result(cache=memory.cache),
    ):
        serial = count(1)

        cached: Any = decorator(lambda key, serial=serial: next(serial))
        assert [cached(1), cached(1), cached(2)] == [1, 1, 2]
        assert cached.get_cache_only(1) == 1


@pytest.mark.parametrize(
    "key",
    [
        UserKey,
        UserKey(),
        InlineKeyConstructor({"user": ArgsKeyField("user_id", partition=True)}),
        {"user": ArgsKeyField("user_id", partition=True)},
        {"fields": {"user": ArgsKeyField("user_id", partition=True)}, "namespace": "users"},
    ],
    ids=["class", "instance", "inline", "fields", "options"],
)
@pytest.mark.parametrize("option", ["key", "key_constructor"])
def test_key_when_given_in_any_form_builds_keys(stage: Stage, key: Any, option: str) -> None:
    """A class, an instance, a dict of fields: all say the same."""
    serial = count(1)
    cached = stage.cached(lambda user_id, noise: next(serial), **{option: key})
    assert [cached(1, "a"), cached(1, "b"), cached(2, "a")] == [1, 1, 2]
    cached.delete_by_prefix(user_id=1)
    assert [cached(1, "a"), cached(2, "a")] == [3, 2]
    assert "user_id=1" in cached.get_cache_key(1, None)


def test_key_when_constructor_is_wiped_drops_all_its_functions(stage: Stage) -> None:
    """`KeyConstructor.wipe` drops the partition in every function that uses the class."""

    class OwnKey(KeyConstructor):
        user = ArgsKeyField("user_id", partition=True)

    serial = count(1)
    one, two = (stage.cached(lambda user_id: next(serial), key=OwnKey) for _ in range(2))
    assert [one(1), two(1), one(2)] == [1, 2, 3]
    assert OwnKey.wipe(user_id=1) == 2
    assert [one(1), two(1), one(2)] == [4, 5, 3]
    assert OwnKey.wipe() == 2
    assert one(2) == 6


def test_keys_when_types_differ_do_not_meet(stage: Stage) -> None:
    """Values that compare equal or read alike are different arguments."""
    serial = count(1)
    cached = stage.cached(lambda *arguments: next(serial))
    calls: list[tuple[Any, ...]] = [
        (1,), ("1",), (True,), (1.0,), (None,), ("None",), ("a:b", "c"), ("a", "b:c"), ("",), (),
        ((1, 2),), ([1, 2],), (1, 2), ("1,2",), (0.0,), (-0.0,), (b"1",),
    ]  # fmt: skip
    first = [cached(*call) for call in calls]
    assert first == list(range(1, len(calls) + 1))
    assert [cached(*call) for call in calls] == first


def test_keys_when_function_has_every_kind_of_parameter_tell_all_apart(stage: Stage) -> None:
    """Positional-only, keyword-only, `*args` and `**kwargs` all count."""
    serial = count(1)

    def compute(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> int:
        return next(serial)

    cached = stage.cached(compute)
    assert cached(1) == cached(1, 2) == cached(1, c=3) == cached(1, b=2) == 1
    assert [cached(1, 2, 3), cached(1, c=4), cached(1, d=3), cached(1, 2, 3, 4)] == [2, 3, 4, 5]
    assert cached(1, e=1, d=3) == cached(1, d=3, e=1) == 6


_banks = count(1)


class Account:
    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0

    def __cache_key__(self) -> int:
        return self.number


def make_methods(stage: Stage) -> Any:
    """Return a class with a cached method of every kind."""

    class Bank(Account):
        @stage.cached
        def balance(self, day: int = 0) -> tuple[int, int]:
            self.calls += 1
            return (self.number, self.calls)

        @stage.cached
        async def abalance(self, day: int = 0) -> tuple[int, int]:
            self.calls += 1
            return (self.number, self.calls)

        @classmethod
        @stage.cached
        def rate(cls, day: int) -> tuple[str, int]:
            return (cls.__name__, next(serial))

        @stage.cached
        @classmethod
        def tax(cls, day: int) -> int:
            return next(serial)

        @staticmethod
        @stage.cached
        def holiday(day: int) -> int:
            return next(serial)

        @stage.cached
        @staticmethod
        def weekday(day: int) -> int:
            return next(serial)

    serial = count(1)
    Bank.__qualname__ = f"Bank{next(_banks)}"  # classes of one name cannot be told apart in keys
    return Bank


def test_method_when_called_is_cached_per_object(stage: Stage) -> None:
    """`self` is in the key by `__cache_key__`: equal objects share, others do not."""
    bank = make_methods(stage)
    first, twin, other = bank(1), bank(1), bank(2)
    assert [each.balance() for each in (first, first, twin, other)] == [
        (1, 1), (1, 1), (1, 1), (2, 1),
    ]  # fmt: skip
    assert first.balance(day=1) == (1, 2)


def test_method_when_fields_tell_objects_apart_is_cached_per_object(stage: Stage) -> None:
    """A dataclass needs no `__cache_key__`: all its fields are known."""
    serial = count(1)

    @dataclass(frozen=True)
    class Point:
        x: int

        @stage.cached
        def seen(self, day: int = 0) -> tuple[int, int]:
            return self.x, next(serial)

    Point.__qualname__ = f"Point{next(_banks)}"
    assert [Point(x).seen() for x in (1, 1, 2)] == [(1, 1), (1, 1), (2, 2)]
    assert Point(1).seen.delete_cache()
    assert [Point(1).seen(), Point(1).seen(day=0), Point(2).seen()] == [(1, 3), (1, 3), (2, 2)]


def test_method_when_taken_from_an_object_has_every_method(stage: Stage) -> None:
    """The bound object carries `refresh` and the rest, without naming the object again."""
    bank = make_methods(stage)
    one, two = bank(1), bank(2)
    assert one.balance.get_cache_only() is CACHE_MISSING
    assert [one.balance(), two.balance()] == [(1, 1), (2, 1)]
    assert one.balance.refresh() == (1, 2)
    assert one.balance.get_with_metadata()[1]["cache_status"] == "HIT"
    assert one.balance.get_cached_metadata(0)["cache_status"] == "REFRESH"
    assert one.balance.bypass_cache() == (1, 3)
    assert one.balance.delete_cache() is True
    assert [one.balance(), two.balance()] == [(1, 4), (2, 1)]
    assert one.balance.get_cache_key() != two.balance.get_cache_key()
    one.balance.invalidate_all()
    assert two.balance() == (2, 2)


def test_method_when_taken_from_the_class_takes_the_object(stage: Stage) -> None:
    """`Class.method` works on the function, as an undecorated one does."""
    bank = make_methods(stage)
    one = bank(1)
    assert bank.balance(one) == (1, 1)
    assert bank.balance.refresh(one) == (1, 2)
    assert one.balance() == (1, 2)
    assert bank.balance.many([(one,), (one, 1)]) == [(1, 2), (1, 3)]
    bank.balance.invalidate_all()
    assert one.balance() == (1, 4)


async def test_method_when_a_coroutine_function_is_awaited(stage: Stage) -> None:
    """Coroutine methods have the twins on the bound object and look like what they are."""
    bank = make_methods(stage)
    one = bank(1)
    assert inspect.iscoroutinefunction(one.abalance)
    assert inspect.iscoroutinefunction(bank.abalance)
    assert [await one.abalance(), await one.abalance()] == [(1, 1), (1, 1)]
    assert await one.abalance.arefresh() == (1, 2)
    assert await one.abalance.aget_cache_only() == (1, 2)
    with pytest.raises(TypeError, match=r"await its arefresh\(\)"):
        one.abalance.refresh()
    await one.abalance.adelete_cache()
    assert await one.abalance.aget_cache_only() is CACHE_MISSING


def test_classmethod_and_staticmethod_when_cached_work_either_way_round(stage: Stage) -> None:
    """The cache may stand above or below `@classmethod` and `@staticmethod`.

    Python 3.13 took from `classmethod` that it binds what it wraps (python/cpython#89519): of a
    cache that stands below one, the methods want the class, and say so.
    """
    bank = make_methods(stage)
    named = {"rate": (bank,)} if sys.version_info >= (3, 13) else {}
    assert bank.rate(1) == bank.rate(1) == bank(5).rate(1)
    assert bank.rate(1)[0] == "Bank"
    for name in ("rate", "tax", "holiday", "weekday"):
        method = getattr(bank, name)
        value = method(1)
        assert getattr(bank(5), name)(1) == value
        owner = named.get(name, ())
        assert method.get_cache_only(*owner, 1) == value
        assert method.refresh(*owner, 1) == method(1) != value
        if owner:
            with pytest.raises(TypeError, match=r"refresh\(\) .* put the decorator above it"):
                method.refresh(1)


def test_classmethod_when_inherited_is_cached_per_class(stage: Stage) -> None:
    """A subclass does not get its base's results."""
    bank = make_methods(stage)

    branch: Any = type("Branch", (bank,), {"__qualname__": f"Branch{next(_banks)}"})
    assert bank.rate(1)[0] == "Bank"
    assert branch.rate(1)[0] == "Branch"


@pytest.mark.parametrize("door", [partial(cached_for, minutes=5), partial(cacheback, lifetime=300)])
def test_classmethod_when_a_door_stands_above_then_methods_get_the_class(
    stage: Stage, door: Callable[..., Any]
) -> None:
    """Also that of a subclass, as calls do."""

    class Shelf:
        @door(cache=stage.cache)  # type: ignore[untyped-decorator]
        @classmethod
        def label(cls, number: int = 0) -> str:
            return f"{cls.__name__} {number}"

    Shelf.__qualname__ = f"Shelf{next(_banks)}"
    lower: Any = type("Lower", (Shelf,), {"__qualname__": f"Lower{next(_banks)}"})
    assert [Shelf.label(1), lower.label(1), lower().label(1)] == ["Shelf 1", "Lower 1", "Lower 1"]
    assert lower.label.refresh(2) == lower.label.get_cache_only(2) == "Lower 2"
    assert lower.label.delete_cache(1)
    assert lower.label.get_cache_only(1) is CACHE_MISSING
    assert cast("Any", Shelf).label.get_cache_only(1) == "Shelf 1"


def test_method_when_object_has_no_identity_is_refused_by_name(stage: Stage) -> None:
    """An object that is known by its address only names the argument and says what to do."""

    class Plain:
        @stage.cached
        def compute(self, key: int) -> int:
            return key

    with pytest.raises(UnkeyableValue, match=r"self.*__cache_key__"):
        Plain().compute(1)


def test_method_when_self_is_no_part_of_the_key_needs_no_identity(stage: Stage) -> None:
    """With a key of its own a method may be shared by all objects."""
    calls: list[int] = []

    class Plain:
        def record(self, key: int) -> int:
            calls.append(key)
            return key

        compute = stage.cached(record, key={"key": ArgsKeyField("key")})

    assert [Plain().compute(1), Plain().compute(1)] == [1, 1]
    assert calls == [1]


def test_function_when_forgotten_is_freed_with_its_entries(memory: Stage) -> None:
    """Decorators inside functions leak nothing."""

    def define() -> Any:
        class Value:
            pass

        value = Value()
        cached: Any = memory.cache.cached(lambda key: value)
        assert cached(1) is value
        return weakref.ref(value), weakref.ref(cached.cached_function)

    for reference in define():
        gc.collect()
        assert reference() is None
    assert len(memory.cache.engine.memory or ()) <= 1


def test_plain_methods_when_an_event_loop_runs_work(stage: Stage) -> None:
    """A plain function may be used from a coroutine; it blocks, as it would uncached."""
    cached = stage.cached(lambda key: key)

    async def main() -> list[int]:
        return [cached(1), cached.refresh(1), cached(1)]

    assert asyncio.run(main()) == [1, 1, 1]


async def test_cached_function_when_inspected_looks_like_the_original(stage: Stage) -> None:
    """Name, docstring, signature and kind are those of the function."""

    @stage.cached
    def plain(key: int, *, flag: bool = False) -> int:
        """Say something."""
        return key

    @stage.cached
    async def coroutine(key: int) -> int:
        return key

    assert (plain.__name__, plain.__doc__) == ("plain", "Say something.")
    assert list(inspect.signature(plain).parameters) == ["key", "flag"]
    assert not inspect.iscoroutinefunction(plain)
    assert inspect.iscoroutinefunction(coroutine)
    assert plain.__wrapped__(3) == 3


def test_callable_without_a_name_when_given_one_then_cached(memory: Stage) -> None:
    """As the error says that it is refused with otherwise."""
    powers = partial(pow, 2)
    with pytest.raises(ConfigurationError, match="has no name of its own: give it one with name="):
        memory.cache.cached(powers)
    cached = memory.cache.cached(name="app:powers")(powers)
    assert cached(3) == cached(3) == 8
    assert cached.stats().memory_hits == 1
