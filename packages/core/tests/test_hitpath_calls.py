from __future__ import annotations

import gc
import inspect
import linecache
import traceback
import weakref
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID, uuid4

import pytest

from tiercel.errors import ConfigurationError
from tiercel.hitpath import HitPath, compile_hit_path, is_vetted
from tiercel.memory import FunctionTable, MemoryTier

INF = float("inf")


def table(partitions: int = 0) -> FunctionTable:
    return MemoryTier(100).table("f", partitions)


def compiled(
    target: Callable[..., Any], arguments: list[str] | None, **more: Any
) -> tuple[HitPath, FunctionTable]:
    """A hit path whose slow path stores what the target returns under its fast key."""
    where = more.pop("table", None) or table()

    def slow(*args: Any, **kwargs: Any) -> Any:
        key = path.key(*args, **kwargs)
        value = target(*args, **kwargs)
        if key is not None:
            scopes = ("f", *(f"p{level}" for level in range(where.partitions)))
            where.commit(where.reserve(key, scopes=scopes), value, INF)
        return value

    path = compile_hit_path(target, arguments=arguments, table=where, slow=slow, **more)
    return path, where


def calls_of(target: Callable[..., Any], *calls: Callable[[Callable[..., Any]], Any]) -> int:
    """How often a function is really called by these calls of its hit path."""
    count = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        return target(*args, **kwargs)

    counted.__wrapped__ = target  # type: ignore[attr-defined]
    names = [p.name for p in inspect.signature(target).parameters.values()]
    path, _ = compiled(counted, names)
    for call in calls:
        assert call(path.function) == call(target)
    return count


def test_call_when_spelt_differently_then_one_entry() -> None:
    """Positions, names and omitted defaults make one key."""

    def f(a: int, b: int = 2) -> tuple[int, int]:
        return a, b

    assert calls_of(f, lambda f: f(1), lambda f: f(1, 2), lambda f: f(b=2, a=1)) == 1


def test_call_when_parameters_are_of_all_kinds_then_forwarded_exactly() -> None:
    """Positional-only, keyword-only and variadic parameters reach the target unchanged."""

    def f(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> Any:
        return a, b, rest, c, more

    assert calls_of(f, lambda f: f(1), lambda f: f(1, 2, c=3), lambda f: f(1, b=2)) == 1
    assert calls_of(f, lambda f: f(1, 2, 9), lambda f: f(1, x=1)) == 2

    def g(a: int, *, c: int) -> Any:
        return a, c

    assert calls_of(g, lambda f: f(1, c=2), lambda f: f(c=2, a=1)) == 1

    def h(a: int, b: int, /) -> Any:
        return a, b

    assert calls_of(h, lambda f: f(1, 2), lambda f: f(1, 2)) == 1
    assert calls_of(lambda: 5, lambda f: f(), lambda f: f()) == 1


def test_call_when_values_are_equal_but_of_other_types_then_separate() -> None:
    """`1`, `True`, `1.0` and `"1"` are four arguments."""
    values = [1, True, "1", b"1", None, 0, False]
    path, _ = compiled(lambda a: (type(a), a), ["a"])
    for _ in range(2):
        assert [path.function(value) for value in values] == [(type(v), v) for v in values]
    assert path.hits() == len(values)
    assert path.key(1.0) is None


def test_call_when_tuples_compare_equal_then_never_confused() -> None:
    """Containers and floats have no fast key, as `(1,)` equals `(True,)` and `0.0` `-0.0`."""
    path, where = compiled(repr, ["obj"])
    for value in [(1,), (True,), 0.0, -0.0, Decimal("1.0"), Decimal("1.00")]:
        assert path.function(value) == repr(value)
    assert len(where) == 0


def test_call_when_argument_is_unhashable_or_hostile_then_slow_path() -> None:
    """Whatever building or comparing the key raises, the slow path decides."""

    class Hostile:
        def __hash__(self) -> int:
            raise RuntimeError("no hash")

    path, where = compiled(lambda a: "computed", ["a"])
    assert path.function([1]) == path.function(Hostile()) == "computed"
    assert len(where) == 0


def test_call_when_argument_is_a_proxy_then_not_taken_for_what_it_proxies() -> None:
    """`__class__` may lie, `type` does not."""

    class Proxy:
        __class__ = int  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return other == 1

        def __hash__(self) -> int:
            return hash(1)

    path, _ = compiled(lambda a: type(a).__name__, ["a"])
    assert path.function(1) == "int"
    assert path.function(Proxy()) == "Proxy"
    assert path.function(1) == "int"


def test_call_when_wrong_then_the_usual_type_error() -> None:
    """Errors of a call name the target, as without a cache."""

    def f(a: int) -> int:
        return a

    path, _ = compiled(f, ["a"])
    with pytest.raises(TypeError, match=r"f\(\) missing 1 required positional argument: 'a'"):
        path.function()
    with pytest.raises(TypeError, match="unexpected keyword argument 'b'"):
        path.function(1, b=2)


def test_error_when_target_raises_then_no_trace_of_the_lookup() -> None:
    """The slow path runs outside any handler, so its exceptions have no context."""

    def f(a: list[int]) -> int:
        raise ValueError("mine")

    path, _ = compiled(f, ["a"])
    with pytest.raises(ValueError, match="mine") as caught:
        path.function([1])
    assert caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value))
    assert "return _slow(a)" in shown


def test_function_when_compiled_then_looks_like_its_target() -> None:
    """Signature, name, docs, annotations and attributes are the target's."""

    def f(a: int, *, b: str = "x") -> str:
        """Doc."""
        return b * a

    f.mark = 1  # type: ignore[attr-defined]
    path, _ = compiled(f, ["a", "b"])
    made: Any = path.function
    assert inspect.signature(made, follow_wrapped=False) == inspect.signature(f)
    assert (made.__name__, made.__qualname__, made.__doc__) == (f.__name__, f.__qualname__, "Doc.")
    assert made.__wrapped__ is f
    assert made.mark == 1
    assert made.__module__ == __name__


def test_arguments_when_a_subset_then_others_do_not_count() -> None:
    """Only the named parameters are in the key."""
    path, where = compiled(lambda a, b: a, ["a"])
    assert path.function(1, [2]) == path.function(1, object()) == 1
    assert path.hits() == 1
    assert len(where) == 1


def test_arguments_when_none_then_always_slow() -> None:
    """Without a fast key the function only forwards."""
    path, where = compiled(lambda a: a, None)
    assert path.function(3) == 3
    assert path.key(3) is None
    assert "try" not in path.source
    assert len(where) == 0


def test_arguments_when_unknown_then_error() -> None:
    """A misspelt parameter is found when compiling."""
    with pytest.raises(ConfigurationError, match="has no parameter 'x'"):
        compiled(lambda a: a, ["x"])


def test_parameters_when_named_like_the_code_then_still_right() -> None:
    """The generated names make way for the target's."""

    def f(type: int, _table: int, _slow: int, Exception: int, _entry: int, _hits: int) -> Any:  # noqa: A002, N803
        return type, _table, _slow, Exception, _entry, _hits

    path, _ = compiled(f, ["type", "_table", "_slow", "Exception", "_entry", "_hits"])
    assert path.function(1, 2, 3, 4, 5, 6) == path.function(1, 2, 3, 4, 5, 6) == (1, 2, 3, 4, 5, 6)
    assert path.hits() == 1


def test_entry_when_expired_or_dropped_then_slow_path() -> None:
    """A hit ends with the deadline, the key, the partition, each parent, the function."""
    now = 0.0
    calls: list[int] = []
    where = table(2)

    def f(a: int) -> int:
        return a

    def slow(a: int) -> int:
        calls.append(a)
        where.commit(where.reserve(path.key(a), scopes=("f", "p", "p.q")), a, now + 10)
        return a

    path = compile_hit_path(f, arguments=["a"], table=where, slow=slow, clock=lambda: now)
    for change in range(6):
        path.function(1)
        path.function(1)
        assert len(calls) == change + 1
        if change == 0:
            now = 10.0
        elif change == 1:
            where.drop_key(path.key(1))
        else:
            where.tier.drop_name(["p", "p.q", "f", "p"][change - 2])
    assert path.hits() == 6


def test_entry_when_reserved_only_then_slow_path() -> None:
    """A place without a value is no hit, with or without deadlines."""
    for ttl in (True, False):
        path, where = compiled(lambda a: a, ["a"], ttl=ttl)
        where.reserve(path.key(1))
        assert path.function(1) == 1
        assert path.hits() == 0


def test_hit_when_served_then_the_visited_bit_is_set() -> None:
    """Eviction sees which entries were hit."""
    path, where = compiled(lambda a: a, ["a"])
    path.function(1)
    [entry] = where
    assert not entry.visited
    path.function(1)
    assert entry.visited


def test_source_when_policy_does_not_use_a_feature_then_it_is_not_there() -> None:
    """What is switched off leaves no code behind."""
    plain = compiled(lambda a, b: a, ["a", "b"], ttl=False, count=False)[0].source
    body = plain[plain.index("try") : plain.index("except")]
    assert not any(word in body for word in ("clock", "alive", "hits", "deadline"))
    full = compiled(lambda a, b: a, ["a", "b"], table=table(1))[0].source
    assert all(word in full for word in ("_clock() <", "part.alive", "_hits += 1"))
    assert "_on_hit()" not in full


def test_observer_when_given_then_told_of_hits_only() -> None:
    """The call is in the source only if there is somebody to call."""
    told: list[int] = []
    path, _ = compiled(lambda a: a, ["a"], on_hit=lambda: told.append(1))
    path.function(1)
    path.function(1)
    assert told == [1]
    assert "_on_hit()" in path.source


def test_hits_when_reset_then_counted_from_zero() -> None:
    """The counter can be read and collected."""
    path, _ = compiled(lambda a: a, ["a"])
    for _ in range(4):
        path.function(1)
    assert (path.hits(), path.reset_hits(), path.hits()) == (3, 3, 0)


async def test_coroutine_when_compiled_then_is_one() -> None:
    """An async target becomes an async function that awaits the slow path only."""
    calls: list[int] = []

    async def f(a: int) -> int:
        return a

    where = table()

    async def slow(a: int) -> int:
        calls.append(a)
        where.commit(where.reserve(path.key(a)), a, INF)
        return a

    path = compile_hit_path(f, arguments=["a"], table=where, slow=slow)
    assert inspect.iscoroutinefunction(path.function)
    assert [await path.function(1), await path.function(1)] == [1, 1]
    assert calls == [1]


class Colour(Enum):
    RED = 1


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    A = "a"


class Odd(Enum):
    A = 1

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("kind", "vetted"),
    [
        *((kind, True) for kind in (int, str, bytes, bool, type(None), UUID, date)),
        *((kind, True) for kind in (Colour, Number, Word)),
        *((kind, False) for kind in (float, tuple, Decimal, Text, Odd, object, complex)),
    ],
)
def test_type_when_asked_then_vetted_only_if_equality_is_identity(kind: type, vetted: bool) -> None:
    """Only types whose equal values mean the same stand for themselves."""
    assert is_vetted(kind) is vetted


def test_key_when_arguments_are_vetted_then_typed() -> None:
    """Members, UUIDs and dates stand in the key with their types."""
    path, _ = compiled(lambda a, b, c: None, ["a", "b", "c"])
    uuid, day = uuid4(), date(2024, 1, 2)
    assert path.key(Colour.RED, uuid, day) == (Colour, Colour.RED, UUID, uuid, date, day)
    assert path.key(Odd.A, uuid, day) is None


def test_function_when_collected_then_nothing_of_it_is_left() -> None:
    """Table, values and generated source go with the function."""
    tier = MemoryTier(10)
    path, where = compiled(lambda a: a, ["a"], table=tier.table("g"))
    path.function(1)
    filename = path.function.__code__.co_filename
    assert filename in linecache.cache
    ended = weakref.ref(where)
    del path, where
    gc.collect()
    assert ended() is None
    assert filename not in linecache.cache
