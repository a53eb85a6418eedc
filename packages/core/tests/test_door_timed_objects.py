"""`cached_for(expire_when="object_is_destroyed")`: results that belong to one object."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any

import pytest

from tiercel import ConfigurationError, UnkeyableValue, cached_for

pytestmark = pytest.mark.tiercel_isolate


class Order:
    """An object that is keyed by what it is, not by what it says."""

    def __init__(self) -> None:
        self.calls = 0

    @cached_for(minutes=30, expire_when="object_is_destroyed")
    def get_computed_property(self, factor: int = 1) -> list[int]:
        self.calls += 1
        return [factor]


def test_results_belong_to_their_object() -> None:
    """Pattern 8: two objects never share a result; one object keeps its own."""
    one, other = Order(), Order()
    assert one.get_computed_property() is one.get_computed_property(1)
    assert one.get_computed_property() is not other.get_computed_property()
    assert (one.calls, other.calls) == (1, 1)


def test_results_end_with_their_object(tiercel_caches: Any) -> None:
    """Pattern 8: nothing keeps the object alive, and a new one at its address finds nothing."""
    memory = tiercel_caches["default"].engine.memory
    for _ in range(200):
        order = Order()
        order.get_computed_property()
        assert order.calls == 1
        gone = weakref.ref(order)
        del order
        assert gone() is None
    assert len(memory) < 100


def test_objects_that_are_equal_are_not_the_same() -> None:
    """A frozen dataclass compares by value; its results still belong to one object."""

    @dataclass(frozen=True)
    class Point:
        x: int

        @cached_for(minutes=1, expire_when="object_is_destroyed")
        def norm(self) -> list[int]:
            return [self.x]

    one, other = Point(1), Point(1)
    assert one == other
    assert one.norm() is not other.norm()


def test_object_nobody_can_watch_is_refused() -> None:
    """An object with slots and no `__weakref__` says what to add, at the first call."""

    class Slotted:
        __slots__ = ("x",)

        @cached_for(minutes=1, expire_when="object_is_destroyed")
        def load(self) -> int:
            return 1

    class Watched(Slotted):
        __slots__ = ("__weakref__",)

    with pytest.raises(UnkeyableValue, match="__weakref__"):
        Slotted().load()
    assert Watched().load() == 1


def test_arguments_besides_the_object_can_be_left_out_but_not_the_object() -> None:
    """The object is the key, so to ignore it makes no sense; the others are told apart."""

    class Ledger:
        @cached_for(minutes=1, expire_when="object_is_destroyed", args_to_ignore=["reason"])
        def lines(self, page: int, reason: str) -> list[int]:
            return [page]

    ledger = Ledger()
    assert ledger.lines(1, "audit") is ledger.lines(1, "curiosity")
    assert ledger.lines(2, "audit") is not ledger.lines(1, "audit")
    with pytest.raises(ConfigurationError, match="args_to_ignore names 'self'"):
        cached_for(expire_when="object_is_destroyed", args_to_ignore=["self"])(lambda self: self)


@pytest.mark.parametrize("watched", [True, False])
def test_dataclass_with_slots_says_what_it_needs(watched: bool) -> None:
    """A frozen dataclass with slots works if it makes room for weak references."""

    @dataclass(frozen=True, slots=True, weakref_slot=watched)
    class Point:
        x: int

        @cached_for(minutes=1, expire_when="object_is_destroyed")
        def norm(self) -> int:
            return self.x

    if watched:
        assert Point(3).norm() == 3
    else:
        with pytest.raises(UnkeyableValue, match="__weakref__"):
            Point(3).norm()


async def test_coroutine_functions_are_cached_per_object() -> None:
    """The destruction of an object drops what a coroutine function returned, too."""

    class Account:
        @cached_for(seconds=30, expire_when="object_is_destroyed")
        async def rights(self) -> list[str]:
            return ["read"]

    account = Account()
    assert await account.rights() is await account.rights()
    del account
    gc.collect()
    assert await Account().rights() == ["read"]
