"""What a hit path does where no fast key is possible: it glances before the long way."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tiercel.hitpath import compile_hit_path
from tiercel.memory import FunctionTable, MemoryTier


def table() -> FunctionTable:
    return MemoryTier(100).table("f", 0)


def known_evens(number: int, /, *rest: int, double: bool = False) -> int | None:
    """What a glance finds: twice, or once, an even number."""
    return (number + number * double if number % 2 == 0 else None) if not rest else None


def computed(number: int, /, *rest: int, double: bool = False) -> str:
    return f"computed {number} {rest} {double}"


def test_glance_when_it_finds_something_then_nothing_else_is_asked() -> None:
    def slow(*args: Any, **kwargs: Any) -> Any:
        return computed(*args, **kwargs)

    path = compile_hit_path(
        computed, arguments=None, table=table(), slow=slow, glance=known_evens
    ).function
    assert [path(2), path(2, double=True), path(0)] == [2, 4, 0]
    assert path(3, double=True) == "computed 3 () True"
    assert path(2, 4) == "computed 2 (4,) False"


async def test_glance_of_a_coroutine_function_is_not_awaited() -> None:
    async def slow(*args: Any, **kwargs: Any) -> Any:
        return computed(*args, **kwargs)

    path = compile_hit_path(
        computed, arguments=None, table=table(), slow=slow, glance=known_evens, asynchronous=True
    ).function
    assert inspect.iscoroutinefunction(path)
    assert [await path(2), await path(3)] == [2, "computed 3 () False"]


def test_glance_of_a_method_gets_the_object() -> None:
    class Owner:
        def method(self, number: int) -> str:
            return f"computed {number}"

    def glance(self: Owner, number: int) -> Any:
        return (self, number) if number == 1 else None

    owner = Owner()
    path = compile_hit_path(
        Owner.method,
        arguments=None,
        table=table(),
        slow=Owner.method,
        glance=glance,
        method="shared",
    )
    assert path.bound is not None
    bound: Callable[..., Any] = path.bound(owner)
    assert bound(1) == path.function(owner, 1) == (owner, 1)
    assert bound(2) == path.function(owner, 2) == "computed 2"
