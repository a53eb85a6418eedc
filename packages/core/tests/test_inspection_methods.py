"""Calls of methods as people write them: the object is not there, but its key can be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tiercel import CACHE_MISSING, ArgsKeyField, Cache, KeyConstructor, cached_for
from tiercel.configuration import use_caches
from tiercel.inspection import (
    BadArguments,
    call_from_json,
    drop_call,
    explain,
    parse_call,
    peek_value,
    refresh_call,
)
from tiercel.keys.encoding import Encoders
from tiercel.testing import SimulatedBackend

CACHE = Cache(backend=SimulatedBackend(), name="methods")


class ByTenant(KeyConstructor):
    tenant = ArgsKeyField("self", path="tenant.name", partition=True)
    item = ArgsKeyField("item")


class Tenant:
    def __init__(self, name: str) -> None:
        self.name = name


class Shop:
    """Methods of every kind."""

    def __init__(self, number: int, tenant: str = "acme") -> None:
        self.number = number
        self.tenant = Tenant(tenant)

    def __cache_key__(self) -> int:
        return self.number

    @CACHE.cached
    def price(self, item: int, currency: str = "EUR") -> str:
        return f"{self.number} {item} {currency}"

    @CACHE.cached(key={"item": ArgsKeyField("item")})
    def weight(self, item: int) -> int:
        return item

    @CACHE.cached(key=ByTenant)
    def stock(self, item: int) -> str:
        return f"{self.tenant.name} {item}"

    @CACHE.cached(tags=lambda self, item: [self.tenant.name])
    def tagged(self, item: int) -> int:
        return item

    @CACHE.cached
    @classmethod
    def count(cls, kind: str = "all") -> str:
        return f"{cls.__name__} {kind}"

    @CACHE.cached
    @staticmethod
    def tax(country: str) -> str:
        return country


class Market(Shop):
    """A class below it."""


class Sized:
    """What it caches is in memory only."""

    def __cache_key__(self) -> int:
        return 3

    @Cache(name="memory").cached
    def size(self) -> int:
        return 3


class Bare:
    """Its objects do not say which ones they are."""

    @CACHE.cached
    def price(self, item: int) -> int:
        return item

    @cached_for(minutes=5, expire_when="object_is_destroyed", cache=CACHE)
    def total(self) -> int:
        return 1


def of(kind: type[Shop]) -> Any:
    """Return the cached class method of a class."""
    return kind.count


def asked(method: Any, *written: str) -> tuple[Any, Any, Any]:
    """Return a cached function and the call of it that was written."""
    function = method.cached_function
    return function, *parse_call(function, written)


@pytest.mark.parametrize(
    ("method", "call", "written"),
    [
        (Shop.price, lambda: Shop(5).price, ("self=5", "1")),
        (Shop.price, lambda: Shop(5).price, ("1", "self=5", "currency=EUR")),
        (Shop.price, lambda: Market(5).price, ("self=5", "self.__class__=Market", "1")),
        (Shop.weight, lambda: Shop(5).weight, ("1",)),
        (Shop.stock, lambda: Shop(5).stock, ("self.tenant.name=acme", "1")),
    ],
)
def test_method_when_its_object_is_said_then_it_is_the_same_entry(
    method: Any, call: Any, written: tuple[str, ...]
) -> None:
    """The key is that of the object, and what is stored under it is seen and dropped."""
    function, args, kwargs = asked(method, *written)
    bound = call()
    assert function.get_cache_key(*args, **kwargs) == bound.get_cache_key(1)
    value = bound(1)
    assert peek_value(function, args, kwargs) == (True, value)
    told = explain(function, args, kwargs)
    assert (told.key, told.shared.state) == (bound.get_cache_key(1), "fresh")
    assert drop_call(function, args, kwargs).done == "dropped"
    assert peek_value(function, args, kwargs)[0] is False
    assert bound.get_cache_only(1) is CACHE_MISSING


def test_method_when_it_is_of_a_class_then_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also which class below it is meant; it can be computed from here."""
    function, args, kwargs = asked(Shop.count, "big")
    assert function.get_cache_key(*args, **kwargs) == of(Shop).get_cache_key("big")
    assert refresh_call(function, args, kwargs)[1] == "Shop big"
    function, args, kwargs = asked(Shop.count, "cls=Market", "big")
    assert refresh_call(function, args, kwargs)[1] == "Market big"
    assert of(Market).get_cache_only("big") == "Market big"
    assert refresh_call(*asked(Shop.tax, "de"))[1] == "de"
    with pytest.raises(BadArguments, match="'Tenant' is no class below"):
        asked(Shop.count, "cls=Tenant")


def test_partition_when_it_is_of_objects_then_is_dropped() -> None:
    """By what the field reads of them; without anything, everything is."""
    one, other = Shop(1, "acme"), Shop(2, "other")
    for shop in (one, other):
        shop.stock(1)
    function = Shop.stock.cached_function
    call = parse_call(function, ["self.tenant.name=acme"], partial=True)
    assert drop_call(function, *call).done == "partition dropped"
    assert one.stock.get_cached_metadata(1) is None
    assert other.stock.get_cached_metadata(1) is not None
    assert parse_call(function, [], partial=True) == ((), {})


@pytest.mark.parametrize(
    ("method", "written", "said"),
    [
        (Shop.price, ("1",), r"__cache_key__\(\) of that returns, as self=VALUE"),
        (Shop.stock, ("1",), r"holds self\.tenant\.name of its object: give it, as self\.tenant"),
        (Shop.stock, ("self.tenant.size=1", "1"), r"as self\.tenant\.name=VALUE"),
        (Shop.tagged, ("self=5", "1"), "its tags are made of its object"),
        (Bare.price, ("self=5", "1"), r"Bare have no __cache_key__\(\)"),
        (Bare.total, (), "only the process that has the object"),
        (Shop.price, ("self=5",), "missing a required argument: 'item'"),
    ],
)
def test_method_when_more_must_be_said_then_the_error_says_what(
    method: Any, written: tuple[str, ...], said: str
) -> None:
    """And how to write it, or where to ask instead."""
    with pytest.raises(BadArguments, match=said):
        asked(method, *written)


def test_refresh_when_the_object_is_not_there_then_it_is_refused() -> None:
    """To compute takes more than a key."""
    with pytest.raises(BadArguments, match="to compute takes its object"):
        refresh_call(*asked(Shop.weight, "1"))


def test_drop_when_only_memory_has_it_then_is_refused() -> None:
    """There it is known by its object, which is not there."""
    function = Sized.size.cached_function
    with pytest.raises(BadArguments, match="kept in memory only"):
        drop_call(function, *parse_call(function, ["self=3"]))


def test_class_when_it_is_in_a_function_then_it_cannot_be_found() -> None:
    """Only where the key needs it."""

    class Hidden:
        @classmethod
        @CACHE.cached(name="methods.hidden")
        def keyed(cls, item: int) -> int:
            return item

        @CACHE.cached(name="methods.plain", key={"item": ArgsKeyField("item")})
        @classmethod
        def plain(cls, item: int) -> int:
            return item

    with pytest.raises(BadArguments, match="cannot be found by its name"):
        asked(Hidden.keyed, "1")
    function, args, kwargs = asked(Hidden.plain, "1")
    assert function.get_cache_key(*args, **kwargs) == cast("Any", Hidden).plain.get_cache_key(1)
    with pytest.raises(BadArguments, match="to compute takes its object"):
        refresh_call(function, args, kwargs)


def test_call_from_json_when_it_is_of_a_method_then_names_say_of_which_object() -> None:
    """As for calls that are written."""
    function = Shop.price.cached_function
    call = call_from_json(function, json.dumps({"self": 5, "item": 1}))
    assert function.get_cache_key(*call[0], **call[1]) == Shop(5).price.get_cache_key(1)
    count = Shop.count.cached_function
    assert call_from_json(count, '["big"]') == ((Shop, "big"), {})
    with pytest.raises(BadArguments, match="as self=VALUE"):
        call_from_json(function, "[1]")


def test_encoders_when_a_type_has_one_then_its_objects_are_said_by_their_value() -> None:
    """As models of a framework are by their primary keys."""
    encoders = Encoders({Tenant: lambda tenant: tenant.name})
    assert (encoders.asks(Tenant), encoders.asks(Shop), encoders.asks(Bare)) == (True, True, False)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """The command line, in the application of these methods."""
    from tiercel.cli import main

    former = use_caches({"default": Cache(name="default"), "methods": CACHE})

    def run(*arguments: str, code: int = 0) -> str:
        assert main(arguments) == code
        said = capsys.readouterr()
        return said.out + said.err

    yield run
    use_caches(former)


def test_commands_when_they_are_about_a_method_then_work_on_its_entries(command: Any) -> None:
    """What `drop` shows can be written again."""
    key = Shop(7).price.get_cache_key(1)
    assert command("key", "Shop.price", "self=7", "1") == f"{key}\n"
    Shop(7).price(1)
    assert "7 1 EUR" in command("get", "Shop.price", "self=7", "1")
    assert "Shop.price(self=7, 1" in command("drop", "Shop.price", "self=7", "1", "--yes")
    assert "nothing is cached" in command("get", "Shop.price", "self=7", "1", code=1)
    assert "as self=VALUE" in command("explain", "Shop.price", "1", code=2)
    assert "computed" in command("refresh", "Shop.count", "big")
