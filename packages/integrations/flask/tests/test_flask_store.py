"""A backend for Flask-Caching: the contract of cachelib, in two tiers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import flask_caching
import pytest
from cachelib.serializers import JSONSerializer
from flask import Flask

from packages.integrations.flask.tests.making import SECRET, make_app
from tiercel import Cache, ConfigurationError
from tiercel.testing import VirtualClock
from tiercel.testing.servers import RedisServer
from tiercel_flask import backend

PAIRS: dict[str, Any] = {
    "false": False,
    "true": True,
    "zero": 0,
    "text": "grün",
    "bytes": b"\x00\xff",
    "list": [{}, [1, None]],
    "dict": {"a": [], 256: (1, 2)},
    "number": 5_000_000_000_000,
    "fraction": 0.1,
    "spaces : and * ? {braces}": "odd",
    "x" * 400: "long",
}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A server of our own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


Make = Callable[..., Any]


@pytest.fixture(params=["memory", "both tiers", "shared tier"])
def make(request: pytest.FixtureRequest, redis: RedisServer, clock: VirtualClock) -> Make:
    """Makes a store as Flask-Caching does: in memory, in Redis, and in both."""
    url = f"{redis.url}?timeout=60"
    chosen: dict[str, dict[str, Any]] = {
        "memory": {"clock": clock},
        "both tiers": {"url": url, "signing_key": SECRET},
        "shared tier": {"url": url, "signing_key": SECRET, "memory": 0},
    }
    prefix = uuid4().hex

    def made(**options: Any) -> Any:
        cache = Cache(**chosen[request.param], prefix=prefix, name="default")
        app, _ = make_app(TIERCEL_CACHES={"default": cache})
        return backend(app, app.config, [], options)

    return made


def test_store_when_values_are_set_then_they_are_found_by_every_way(make: Make) -> None:
    """One by one, many at once, as a dict; each reader gets an object of its own."""
    store = make()
    assert [store.set(key, value) for key, value in PAIRS.items()] == [True] * len(PAIRS)
    assert {key: store.get(key) for key in PAIRS} == PAIRS
    assert type(store.get("true")) is bool
    assert store.get_many(*PAIRS, "absent") == [*PAIRS.values(), None]
    assert store.get_dict("text", "absent") == {"text": "grün", "absent": None}
    assert [store.has("zero"), store.has("absent")] == [True, False]
    store.get("list").append("changed")
    assert store.get("list") == PAIRS["list"]


def test_store_when_many_are_set_and_deleted_then_their_keys_are_returned(make: Make) -> None:
    """In the order in which they were given; keys that are absent count as deleted."""
    store = make(ignore_delete_many_errors=False)
    assert store.set_many(PAIRS) == list(PAIRS)
    assert store.delete_many("text", "absent") == ["text", "absent"]
    assert store.get_many("text", "list") == [None, PAIRS["list"]]
    assert [store.delete("list"), store.delete("list")] == [True, False]


def test_store_when_a_key_has_a_value_then_add_leaves_it(make: Make) -> None:
    """`add` sets where there is nothing, again after a deletion."""
    store = make()
    assert [store.add("a", 1), store.add("a", 2), store.get("a")] == [True, False, 1]
    store.delete("a")
    assert [store.add("a", 3), store.get("a")] == [True, 3]


def test_store_when_cleared_then_only_its_own_values_are_gone(make: Make) -> None:
    """Whatever else is in the cache stays."""
    store = make()
    store.set_many(PAIRS)
    assert store.clear()
    assert store.get_many(*PAIRS) == [None] * len(PAIRS)


def test_store_when_integers_are_counted_then_no_addition_is_lost(make: Make) -> None:
    """Threads that begin at the same moment count from nothing together."""
    store = make()
    assert [store.inc("a", 5), store.dec("a", 2), store.dec("b", 3)] == [5, 3, -3]
    store.set("c", 10)
    assert [store.inc("c"), store.get("c")] == [11, 11]
    threads = [threading.Thread(target=store.inc, args=("n",)) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert store.get("n") == 20


def test_store_when_timeouts_pass_then_values_are_gone(clock: VirtualClock) -> None:
    """None is the default, 0 is without end, and a timedelta is rounded up."""
    app, _ = make_app(clock)
    store = backend(app, app.config, [], {"default_timeout": 100})
    store.set("default", 1)
    store.set("none", 1, timeout=0)
    store.set("short", 1, timeout=timedelta(milliseconds=200))
    clock.advance(0.9)
    assert store.has("short")
    clock.advance(1)
    assert not store.has("short")
    clock.advance(99)
    assert store.get_many("default", "none") == [None, 1]
    with pytest.raises(TypeError):
        store.set("a", 1, timeout="soon")


def test_store_when_its_serializer_is_replaced_then_that_is_used(make: Make) -> None:
    """Also by `CACHE_SERIALIZER`; integers can still be counted."""
    store = make()
    store.serializer = JSONSerializer()
    assert store.set_many({"a": {"b": [True, None]}, "n": 1}) == ["a", "n"]
    assert store.add("c", (1, 2))
    assert store.get_many("a", "c") == [{"b": [True, None]}, [1, 2]]
    assert store.inc("n") == 2


def caching(redis: RedisServer, **config: Any) -> tuple[Flask, flask_caching.Cache]:
    """Return an application with Flask-Caching on Redis, but for its type as it always was."""
    app = Flask("old")
    app.config.update(
        SECRET_KEY=SECRET,
        CACHE_TYPE="tiercel_flask.backend",
        CACHE_REDIS_URL=f"{redis.url}?timeout=60",
        CACHE_KEY_PREFIX="old_app_",
        **config,
    )
    return app, flask_caching.Cache(app)


def test_flask_caching_when_one_line_changes_then_it_has_two_tiers(redis: RedisServer) -> None:
    """Views, memoized functions and values of an existing application work as they did."""
    app, cache = caching(redis)
    calls: list[Any] = []

    @app.get("/page")
    @cache.cached(timeout=50)
    def page() -> str:
        calls.append("page")
        return f"page {len(calls)}"

    @cache.memoize(timeout=50)
    def double(n: int) -> int:
        calls.append(n)
        return 2 * n

    client = app.test_client()
    assert [client.get("/page").text for _ in range(2)] == ["page 1", "page 1"]
    with app.app_context():
        assert [double(2), double(2), double(3)] == [4, 4, 6]
        cache.delete_memoized(double, 2)
        assert [double(2), double(3)] == [4, 6]
        cache.delete_memoized(double)
        assert double(3) == 6
        cache.set("key", {"a": 1})
    assert calls == ["page", 2, 3, 2, 3]
    other_app, other = caching(redis)
    with other_app.app_context():
        assert other.get("key") == {"a": 1}, "another process finds it in the shared tier"
        store: Any = other.cache
        assert store._values.engine.memory is not None


def test_flask_caching_when_the_threshold_is_given_then_it_bounds_memory(
    redis: RedisServer,
) -> None:
    """The shared tier keeps what memory had to let go."""
    app, cache = caching(redis, CACHE_THRESHOLD=10)
    with app.app_context():
        cache.set_many({str(n): n for n in range(50)})
        store: Any = cache.cache
        assert len(store._values.engine.memory) <= 10
        assert cache.get_many(*map(str, range(50))) == list(range(50))


def test_flask_caching_when_nothing_can_sign_then_the_start_refuses(redis: RedisServer) -> None:
    """Values are pickled, and what is unpickled must be signed, by nobody else's key either."""
    other = make_app()
    app = Flask("old")
    app.config.update(CACHE_TYPE="tiercel_flask.backend", CACHE_REDIS_URL=redis.url)
    with pytest.raises(ConfigurationError, match="sign"):
        flask_caching.Cache(app)
    assert other


def test_flask_caching_when_the_application_has_a_tiercel_then_they_share_its_cache() -> None:
    """But not the keys: `clear` of one leaves the other alone."""
    app, tiercel = make_app(CACHE_TYPE="tiercel_flask.backend")
    cache = flask_caching.Cache(app)
    with app.app_context():
        tiercel.set("a", 1)
        cache.set("a", 2)
        assert (tiercel.get("a"), cache.get("a")) == (1, 2)
        cache.clear()
        assert (tiercel.get("a"), cache.get("a")) == (1, None)
        store: Any = cache.cache
        assert store._values.engine is tiercel.cache.engine
