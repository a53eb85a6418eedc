"""What cannot work is refused at decoration, with one line that says what and why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest

from packages.core.tests.stages import Stage
from tiercel import (
    ArgsKeyField,
    Cache,
    ConfigurationError,
    KeyConstructor,
    TiercelError,
    UnkeyableValue,
    cache_result,
)
from tiercel.errors import UnknownPlugin


def compute(user_id: int, page: int = 0) -> int:
    """What the tests try to cache."""
    return user_id + page


def whatever(*results: Any) -> bool:
    return True


BAD: list[tuple[dict[str, Any], str]] = [
    ({"zzz": 60}, r"unknown option 'zzz'; known: .*ttl"),
    ({"tll": 60}, r"unknown option 'tll'; did you mean 'ttl'"),
    ({"ttl": 0}, r"ttl=0 must be more than 0 seconds"),
    ({"ttl": -1.5}, r"ttl=-1.5 must be more than 0 seconds"),
    ({"ttl": timedelta(0)}, r"ttl=datetime.timedelta\(0\) must be more than 0 seconds"),
    ({"ttl": timedelta(seconds=-3)}, r"ttl=.* must be more than 0 seconds"),
    ({"ttl": float("nan")}, r"ttl=nan must be more than 0 seconds"),
    ({"ttl": "60"}, r"ttl='60' must be seconds or a timedelta"),
    ({"ttl": True}, r"ttl=True must be seconds or a timedelta"),
    ({"negative_ttl": 0}, r"negative_ttl=0 must be more than 0 seconds"),
    ({"negative_ttl": whatever}, r"negative_ttl=.* must be seconds or a timedelta"),
    ({"stale": -1}, r"stale=-1 must be 0 seconds or more"),
    ({"stale": None}, r"stale=None must be seconds or a timedelta"),
    ({"stale_on_error": "long"}, r"stale_on_error='long' must be seconds or a timedelta"),
    ({"jitter": -0.1}, r"jitter=-0.1 must be 0 seconds or more"),
    ({"wait": -1}, r"wait=-1 must be 0 seconds or more"),
    ({"lease": 0}, r"lease=0 must be more than 0 seconds"),
    ({"refresh_ahead": -1}, r"refresh_ahead=-1 must be a number, 0 or more"),
    ({"refresh_ahead": "yes"}, r"refresh_ahead='yes' must be a number, 0 or more"),
    ({"cache_if": whatever, "cache_unless": whatever}, r"give cache_if or cache_unless, not both"),
    ({"cache_if": 5}, r"cache_if=5 must be callable"),
    ({"cache_unless": "x"}, r"cache_unless='x' must be callable"),
    ({"unless": 5}, r"unless=5 must be callable"),
    ({"cache_if": lambda result, usr_id: True}, r"wants 'usr_id', .* arguments: \['user_id'"),
    ({"ttl": lambda result, pge: 1}, r"wants 'pge', which is no argument of .*compute"),
    ({"cache_exceptions": BaseException}, r"cache_exceptions: .* is no exception type"),
    ({"cache_exceptions": (KeyError, 5)}, r"cache_exceptions: 5 is no exception type"),
    ({"tiers": "all"}, r"tiers='all': one of \('both', 'memory', 'shared'\)"),
    ({"atomic_writes": "never"}, r"atomic_writes='never': .*at_least_once"),
    ({"key": "user_id"}, r"must be a KeyConstructor, a key field or a dict of key fields"),
    ({"key": {"user": "user_id"}}, r"fields\['user'\] must be a key field, not 'user_id'"),
    ({"key": {"user": ArgsKeyField("usr_id")}}, r"usr_id.*user_id"),
    ({"key": {"u": ArgsKeyField("user_id")}, "key_constructor": KeyConstructor}, r"mean the same"),
    ({"version": 1.5}, r"version"),
    ({"copy": "yes"}, r"copy='yes' must be True or False"),
    ({"unless": lambda func, pge: True}, r"wants 'pge', which is no argument of .*compute"),
    ({"dispatcher": "carrier_pigeon"}, r"carrier_pigeon"),
    ({"dispatcher": "inline", "dispatcher_config": {"speed": 3}}, r"no option 'speed'"),
    ({"dispatcher": "threadpool", "dispatcher_config": {"max_workers": 0}}, r"max_workers must be"),
    ({"codec": "morse"}, r"morse"),
    ({"dispatcher": 3}, r"dispatcher=3 must be the name of one"),
    ({"key": {1: ArgsKeyField("user_id")}}, r"key fields have texts as names, not 1"),
    ({"ttl": lambda: 5}, r"takes no argument by position, but it is called with one"),
    ({"cache_unless": lambda *, page: True}, r"takes no argument by position"),
    ({"unless": lambda: True}, r"takes no argument by position"),
    ({"tags": ["{user_id"]}, r"tag '{user_id' has a brace that names no argument"),
    ({"name": ""}, r"name"),
    ({"name": 5}, r"name"),
]


def _cases() -> list[Any]:
    return [pytest.param(*case, id=f"{'+'.join(case[0])}{n}") for n, case in enumerate(BAD)]


@pytest.mark.parametrize(("options", "message"), _cases())
@pytest.mark.parametrize("door", ["cached", "cache_result"])
def test_options_when_wrong_are_refused_at_decoration(
    memory: Stage, door: str, options: dict[str, Any], message: str
) -> None:
    """Nothing is decorated; the error names the function, says what is wrong and what works."""
    make = memory.cache.cached if door == "cached" else cache_result
    with pytest.raises(TiercelError, match=message) as caught:
        make(**options)(compute)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, (ConfigurationError, UnknownPlugin))


@pytest.mark.parametrize("option", ["cache_if", "cache_unless", "ttl", "unless"])
def test_option_when_a_coroutine_function_on_a_plain_function_is_refused(
    memory: Stage, option: str
) -> None:
    """A plain function could not await it."""

    async def awaited(result: Any) -> int:
        return 1

    decorate: Any = memory.cache.cached
    with pytest.raises(TypeError, match=f"{option} is a coroutine function"):
        decorate(**{option: awaited})(compute)


@pytest.mark.parametrize("given", [60, "name", {"ttl": 5}])
def test_decorator_when_given_no_function_says_to_name_options(memory: Stage, given: Any) -> None:
    """`@cached(60)` is a mistake that is easily made."""
    with pytest.raises(ConfigurationError, match="options by name only, such as ttl=60"):
        memory.cache.cached(given)


@pytest.mark.parametrize("kind", [property, cached_property])
def test_decorator_when_above_a_property_says_to_stand_below(memory: Stage, kind: Any) -> None:
    """What it should cache is the function that the property calls."""
    with pytest.raises(ConfigurationError, match=f"put the decorator below @{kind.__name__}"):
        memory.cache.cached(kind(compute))


def test_field_when_argument_is_unknown_names_close_ones(memory: Stage) -> None:
    """A misspelt argument in a key field is an error at decoration that names the function."""

    class Key(KeyConstructor):
        user = ArgsKeyField("user")

    with pytest.raises(ConfigurationError, match=r"compute.*user_id"):
        memory.cache.cached(key=Key)(compute)


@pytest.mark.parametrize("argument", [object(), iter([1]), lambda: None])
def test_call_when_an_argument_cannot_be_keyed_names_it(stage: Stage, argument: Any) -> None:
    """A value without stable text is refused at the call, which names the argument."""

    @stage.cached
    def lookup(first: int, thing: Any) -> int:
        return first

    with pytest.raises(UnkeyableValue, match="thing"):
        lookup(1, argument)
    with pytest.raises(TypeError, match="thing"):
        lookup.get_cache_only(1, argument)


def _generator(key: int) -> Iterator[int]:
    yield key


async def _agenerator(key: int) -> AsyncIterator[int]:
    yield key


async def _coroutine(key: int) -> int:
    return key


@pytest.mark.parametrize(
    "function",
    [lambda key: (each for each in [key]), lambda key: map(str, [key])],
    ids=["expression", "map"],
)
def test_call_when_result_can_be_read_only_once_is_refused(stage: Stage, function: Any) -> None:
    """The second caller would find it empty, so the first call says to return a list."""
    cached = stage.cached(function)
    for _ in range(2):
        with pytest.raises(TypeError, match=r"tests:f\d+ returned a .*only once.*return a list"):
            cached(1)
    assert len(cached.cached_function.subject.flights) == 0


def test_call_when_a_plain_function_returns_a_coroutine_is_refused(memory: Stage) -> None:
    """A coroutine can be awaited once; the function has to be a coroutine function itself."""
    made: list[Any] = []

    def function(key: int) -> Any:
        made.append(_coroutine(key))
        return made[-1]

    cached = memory.cached(function)
    with pytest.raises(TypeError, match=r"returned a coroutine.*the awaited value"):
        cached(1)
    made.pop().close()


@pytest.mark.parametrize("function", [_generator, _agenerator])
def test_decorator_when_given_a_generator_function_refuses_it(memory: Stage, function: Any) -> None:
    """What it will return is known at decoration already."""
    with pytest.raises(ConfigurationError, match=r"generator.*return a list"):
        memory.cache.cached(function)


def test_url_when_nobody_provides_its_scheme_says_who_might() -> None:
    """An unknown scheme is an error when the cache is made."""
    with pytest.raises(UnknownPlugin, match="nosuch"):
        Cache("nosuch://localhost")


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("memory://?sise=3", {}, r"unknown option 'sise'; known: .*memory"),
        (None, {"sise": 3}, r"unknown option 'sise'; known: .*memory"),
        ("localhost", {}, r"a URL such as redis://localhost/0 is needed"),
        (5, {}, r"a URL must be a text, not 5"),
        ("", {"prefix": 5}, r"prefix=5 must be a text"),
        ("", {"dispatcher": 5}, r"dispatcher=5 must be a text"),
        ("", {"compress": True}, r"compress=True must be a name, such as 'zlib', or a dict"),
        ("memory://?memory=many", {}, r"memory='many' must be a number"),
        ("memory://?memory=-1", {}, r"memory='-1' must be positive"),
        ("memory://?max_lag=0", {}, r"max_lag='0' must be positive"),
        ("memory://?max_lag=nan", {}, r"max_lag='nan' must be positive"),
        (None, {"memory": "many"}, r"memory='many' must be a number"),
        (None, {"max_lag": -1}, r"max_lag=-1 must be positive"),
        (None, {"timeout": 0}, r"timeout=0 must be positive"),
        (None, {"memory_bytes": 0}, r"memory_bytes=0 must be positive"),
        ("memory://?signing_key=secret", {}, r"signing_keys? cannot stand in a URL"),
        (None, {"guarantee": "G9"}, r"guarantee='G9' must be one of G0, G1, G2, G3"),
        (None, {"codec": "morse"}, r"morse"),
        (None, {"codec": "pickle"}, r"signing"),
        (None, {"dispatcher": "carrier_pigeon"}, r"carrier_pigeon"),
        (None, {"prefix": ""}, r"prefix"),
    ],
)
def test_cache_when_options_are_wrong_refuses_them(
    url: str | None, options: dict[str, Any], message: str
) -> None:
    """A cache that cannot work is an error when it is made, not at its first use."""
    with pytest.raises(TiercelError, match=message) as caught:
        Cache(url, **options)
    assert "secret" not in str(caught.value)


def test_cache_when_given_url_and_backend_refuses_them(shared: Stage) -> None:
    """Only one of them can be the shared tier."""
    with pytest.raises(ConfigurationError, match="a url or a backend, not both"):
        Cache("sqlite:///x.db", backend=shared.store)


def test_cache_when_object_cannot_store_says_what_it_needs() -> None:
    """Any object with `get` and `set` will do, others will not."""
    with pytest.raises(ConfigurationError, match=r"get\(key\) and set\(key, value, ttl\)"):
        Cache(backend=object())


def test_cache_when_guarantee_is_beyond_the_backend_refuses() -> None:
    """A configuration weaker than was asked for does not start."""
    stage = Stage("dict")
    with pytest.raises(ConfigurationError, match=r"asks for guarantee G3, .* carries G1 only"):
        stage.process(guarantee="G3")
    assert stage.process(guarantee="G1").guarantee == "G1"
    assert Stage("shared").cache.guarantee == "G3"
