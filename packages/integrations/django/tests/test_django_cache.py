"""`TiercelCache` in `CACHES` keeps the contract of Django's cache API, plain and awaited."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.core.cache import BaseCache
from django.utils.safestring import SafeString, mark_safe
from pytest_django import Settings

from packages.integrations.django.tests.caching import KINDS, Caches, Hand, opened_caches
from packages.integrations.django.tests.shop.models import Owner
from tiercel.testing.servers import RedisServer
from tiercel_django.cache import TiercelCache

PUBLIC = sorted(
    name
    for name, method in inspect.getmembers(BaseCache, inspect.isfunction)
    if not name.startswith("_") or name == "__contains__"
)


class Unpicklable:
    def __getstate__(self) -> Any:
        raise TypeError("not to be stored")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(params=KINDS)
def aliases(
    request: pytest.FixtureRequest, settings: Settings, server: RedisServer
) -> Iterator[Caches]:
    with opened_caches():
        yield Caches(settings, request.param, server.url)


@pytest.fixture
def cache(aliases: Caches) -> BaseCache:
    return aliases.cache


@pytest.fixture(params=[False, True], ids=["plain", "twins"])
def do(request: pytest.FixtureRequest) -> Hand:
    return Hand(request.param)


@pytest.mark.parametrize("name", PUBLIC)
def test_methods_take_what_those_of_django_take(name: str) -> None:
    """The same parameters in the same order, with the same defaults."""
    theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (BaseCache, TiercelCache))
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize("name", ["aadd", "aget", "aset", "atouch", "adelete", "aclear"])
def test_methods_to_be_awaited_are_no_threads(name: str) -> None:
    """Django's own would run the plain method in a thread."""
    assert getattr(TiercelCache, name) is not getattr(BaseCache, name)


async def test_get_returns_what_was_set(cache: BaseCache, do: Hand) -> None:
    """A missing value is None or the default; a stored None is a value."""
    assert await do(cache, "get", "key") is None
    assert await do(cache, "get", "key", "none") == "none"
    assert await do(cache, "set", "key", "value") is None
    assert await do(cache, "get", "key") == "value"
    await do(cache, "set", "nothing", None)
    assert await do(cache, "get", "nothing", "default") is None
    assert await do(cache, "has_key", "nothing") is True


@pytest.mark.parametrize(
    "value",
    [
        "text", "ünïcödé", "", 0, 7, -1.5, True, False, b"bytes", 10**30, Decimal("1.50"),
        [1, [2]], {"a": {"b": 2}}, {1, 2}, (1, 2), timedelta(seconds=5), frozenset({1}), len, dict,
        object, mark_safe("<b>"), {"mixed": [1, "a", None, b"x", mark_safe("y")]},
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
async def test_get_returns_any_value_that_can_be_pickled(
    cache: BaseCache, do: Hand, value: Any
) -> None:
    """With its type, from memory and from the shared tier."""
    await do(cache, "set", "key", value)
    for _ in range(3):
        found = await do(cache, "get", "key")
        assert (found, type(found)) == (value, type(value))


async def test_get_hands_out_an_object_of_its_own(cache: BaseCache, do: Hand) -> None:
    """Neither what was stored nor what another reader got is shared."""
    value: dict[str, list[int]] = {"a": [1]}
    await do(cache, "set", "key", value)
    value["a"].append(2)
    first = await do(cache, "get", "key")
    first["a"].append(3)
    many = await do(cache, "get_many", ["key"])
    many["key"]["a"].append(4)
    made = await do(cache, "get_or_set", "key", None)
    assert made == await do(cache, "get", "key") == {"a": [1]}


@pytest.mark.parametrize("operation", ["set", "add", "get_or_set"])
async def test_set_of_what_cannot_be_pickled_raises(
    cache: BaseCache, do: Hand, operation: str
) -> None:
    """As with every cache of Django, and nothing is stored."""
    with pytest.raises(TypeError, match="not to be stored"):
        await do(cache, operation, "key", Unpicklable())
    assert await do(cache, "has_key", "key") is False


async def test_add_sets_only_what_is_absent(cache: BaseCache, do: Hand) -> None:
    """It tells whether it did."""
    assert await do(cache, "add", "key", [1]) is True
    assert await do(cache, "add", "key", [2]) is False
    assert await do(cache, "get", "key") == [1]
    await do(cache, "delete", "key")
    assert await do(cache, "add", "key", [3]) is True


async def test_delete_tells_whether_there_was_a_value(cache: BaseCache, do: Hand) -> None:
    """A missing one is no error."""
    await do(cache, "set", "key", 1)
    assert await do(cache, "delete", "key") is True
    assert await do(cache, "delete", "key") is False
    assert await do(cache, "get", "key") is None


async def test_has_key_and_in_agree(cache: BaseCache, do: Hand) -> None:
    """Whatever the value is."""
    await do(cache, "set", "key", 0)
    assert await do(cache, "has_key", "key") is True
    assert await do(cache, "has_key", "other") is False
    assert "key" in cache
    assert "other" not in cache


async def test_many_values_at_once(cache: BaseCache, do: Hand) -> None:
    """Keys come back as they were given; only those that have a value."""
    assert await do(cache, "set_many", {"a": 1, "b": [2], 3: "c"}) == []
    found = await do(cache, "get_many", iter(["a", "b", 3, "d"]))
    assert found == {"a": 1, "b": [2], 3: "c"}
    assert await do(cache, "delete_many", ["a", 3, "e"]) is None
    assert await do(cache, "get_many", ["a", "b", 3]) == {"b": [2]}
    assert await do(cache, "get_many", []) == {}
    assert await do(cache, "set_many", {}) == []
    assert await do(cache, "set_many", {"b": 5, "f": 6}, 0) == []
    assert await do(cache, "get_many", ["b", "f"]) == {}


@pytest.mark.parametrize(("start", "delta", "sum_"), [(41, 1, 42), (5, -7, -2), (1.5, 1, 2.5)])
async def test_incr_adds(
    cache: BaseCache, do: Hand, start: float, delta: float, sum_: float
) -> None:
    """The sum is returned and stored; `decr` takes away."""
    await do(cache, "set", "n", start)
    assert await do(cache, "incr", "n", delta) == sum_
    assert await do(cache, "get", "n") == sum_
    assert await do(cache, "decr", "n", delta) == start
    assert await do(cache, "incr", "n") == start + 1
    assert await do(cache, "decr", "n") == start


async def test_incr_of_what_is_no_number(cache: BaseCache, do: Hand) -> None:
    """It adds whatever can be added, and else raises as Python does."""
    await do(cache, "set", "list", [1])
    assert await do(cache, "incr", "list", [2]) == [1, 2]
    assert await do(cache, "get", "list") == [1, 2]
    with pytest.raises(TypeError):
        await do(cache, "incr", "list", 1)
    assert await do(cache, "get", "list") == [1, 2]


@pytest.mark.parametrize("method", ["incr", "decr", "incr_version", "decr_version"])
async def test_incr_when_missing_is_an_error(cache: BaseCache, do: Hand, method: str) -> None:
    """A ValueError that names the key, as Django has it."""
    with pytest.raises(ValueError, match=r"Key 'absent' not found"):
        await do(cache, method, "absent")


async def test_touch_when_missing_says_so(cache: BaseCache, do: Hand) -> None:
    """And makes nothing."""
    assert await do(cache, "touch", "key", 10) is False
    await do(cache, "set", "key", 1)
    assert await do(cache, "touch", "key", 10) is True
    assert await do(cache, "touch", "key", 0) is True
    assert await do(cache, "get", "key") is None


async def test_clear_removes_everything_of_the_location(aliases: Caches, do: Hand) -> None:
    """Other prefixes and versions of it included."""
    other = aliases.add("other", KEY_PREFIX="other", VERSION=2)
    for cache in (aliases.cache, other):
        await do(cache, "set", "key", 1)
        await do(cache, "set", "list", [1])
    await do(aliases.cache, "clear")
    for cache in (aliases.cache, other):
        assert await do(cache, "get_many", ["key", "list"]) == {}
    await do(aliases.cache, "set", "key", 2)
    assert await do(aliases.cache, "get", "key") == 2


async def test_close_keeps_everything(cache: BaseCache, do: Hand) -> None:
    """Django closes after each request."""
    await do(cache, "set", "key", 1)
    await do(cache, "close")
    assert await do(cache, "get", "key") == 1


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
async def test_life_of_nothing_stores_nothing(cache: BaseCache, do: Hand, timeout: float) -> None:
    """What was there is gone; `add` tells whether it could have been added."""
    await do(cache, "set", "key", 1)
    await do(cache, "set", "key", 2, timeout)
    assert await do(cache, "get", "key") is None
    assert await do(cache, "add", "key", 3, timeout) is True
    assert await do(cache, "get_or_set", "key", lambda: 4, timeout) == 4
    assert await do(cache, "get", "key") is None
    await do(cache, "set", "key", 1)
    assert await do(cache, "add", "key", 3, timeout) is False
    assert await do(cache, "get_or_set", "key", 4, timeout) == 1


# Keys and versions


@pytest.mark.parametrize("key", ["a b\n\tc", "ключ", "k" * 1000, "", 5, "a:b:1", "%2F*?[]", None])
async def test_keys_may_be_anything(cache: BaseCache, do: Hand, key: Any) -> None:
    """No warning, no limit: memcached is none of our concern."""
    await do(cache, "set", key, [1])
    assert await do(cache, "get", key) == [1]
    assert await do(cache, "get", f"{key}x") is None
    assert await do(cache, "get_many", [key]) == {key: [1]}


async def test_keys_of_other_prefixes_and_functions_do_not_meet(aliases: Caches, do: Hand) -> None:
    """`KEY_PREFIX` and `KEY_FUNCTION` of `CACHES` are in force."""
    others = [
        aliases.add("prefix", KEY_PREFIX="p"),
        aliases.add("function", KEY_FUNCTION=lambda key, prefix, version: f"own:{key}"),
        aliases.add("path", KEY_FUNCTION=f"{__name__}.reversed_key"),
    ]
    for number, cache in enumerate([aliases.cache, *others]):
        await do(cache, "set", "key", number)
    found = [await do(cache, "get", "key") for cache in [aliases.cache, *others]]
    assert found == [0, 1, 2, 3]


def reversed_key(key: Any, prefix: str, version: int) -> str:
    """A key function that settings name by its path."""
    return f"{prefix}:{version}:{key}"[::-1]


async def test_versions_keep_values_apart(aliases: Caches, do: Hand) -> None:
    """The alias has a version; each call may name another."""
    one, two = aliases.cache, aliases.add("two", VERSION=2)
    await do(one, "set", "key", "one")
    await do(two, "set", "key", "two")
    assert await do(one, "get", "key") == "one"
    assert await do(one, "get", "key", version=2) == "two"
    assert await do(two, "get", "key", None, 1) == "one"
    assert await do(one, "add", "key", 3, version=3) is True
    assert await do(one, "get_many", ["key"], version=3) == {"key": 3}
    assert await do(one, "set_many", {"a": 1, "b": 2}, version=4) == []
    assert await do(one, "has_key", "a") is False
    assert await do(one, "has_key", "a", version=4) is True
    assert await do(one, "incr", "a", 5, version=4) == 6
    assert await do(one, "touch", "a", 60, version=4) is True
    assert await do(one, "get_or_set", "a", 9, version=4) == 6
    assert await do(one, "delete", "key", version=2) is True
    await do(one, "delete_many", ["a"], version=4)
    assert await do(one, "get_many", ["a", "b"], version=4) == {"b": 2}
    assert [await do(one, "get", "key"), await do(two, "get", "key")] == ["one", None]


async def test_version_of_a_value_can_be_raised(aliases: Caches, do: Hand) -> None:
    """It moves; the alias keeps its version."""
    one, two = aliases.cache, aliases.add("two", VERSION=2)
    await do(one, "set", "key", [1])
    assert await do(one, "incr_version", "key") == 2
    assert [await do(one, "get", "key"), await do(two, "get", "key")] == [None, [1]]
    assert await do(two, "decr_version", "key") == 1
    assert [await do(one, "get", "key"), await do(two, "get", "key")] == [[1], None]
    assert await do(one, "incr_version", "key", 4) == 5
    assert await do(one, "get", "key", version=5) == [1]


# Values that are made when they are missing


async def test_get_or_set_makes_what_is_missing(cache: BaseCache, do: Hand) -> None:
    """A value, or what calling it returns; None counts."""
    made = count(1)
    assert await do(cache, "get_or_set", "a", [1]) == [1]
    assert await do(cache, "get_or_set", "a", [2]) == [1]
    assert await do(cache, "get_or_set", "b", lambda: next(made)) == 1
    assert await do(cache, "get_or_set", "b", lambda: next(made)) == 1
    assert await do(cache, "get_or_set", "c", None) is None
    assert await do(cache, "get_or_set", "c", 3) is None
    assert await do(cache, "get", "c", "default") is None
    with pytest.raises(ZeroDivisionError):
        await do(cache, "get_or_set", "d", lambda: 1 // 0)
    assert await do(cache, "has_key", "d") is False


async def test_get_or_set_awaits_what_makes_the_value(cache: BaseCache) -> None:
    """Its twin takes a coroutine function, too."""

    async def make() -> list[int]:
        return [1]

    assert await cache.aget_or_set("key", make) == [1]
    assert await cache.aget("key") == [1]
    assert await cache.aget_or_set("other", make, 0) == [1]


@pytest.mark.django_db
def test_instances_and_querysets_come_back_without_a_query(
    cache: BaseCache, django_assert_num_queries: Any
) -> None:
    """An evaluated queryset, deferred fields and all."""
    Owner.objects.create(name="Ann")
    with django_assert_num_queries(1):
        cache.set("rows", Owner.objects.defer("tenant"))
    with django_assert_num_queries(0):
        (owner,) = cache.get("rows")
        assert owner.name == "Ann"
        assert owner.get_deferred_fields() == {"tenant"}
    cache.set("row", owner)
    with django_assert_num_queries(0):
        assert cache.get("row") == owner
    assert isinstance(cache.get_or_set("safe", mark_safe("<b>")), SafeString)
