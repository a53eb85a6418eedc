"""What the config of an application makes of its caches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from packages.integrations.flask.tests.making import SECRET, make_app
from tiercel import Cache, ConfigurationError, cache_result, default_cache, get_cache
from tiercel.testing.servers import RedisServer
from tiercel_flask import Tiercel
from tiercel_flask.state import current_state


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A server of our own."""
    with RedisServer() as server:
        yield server


def test_config_when_there_is_none_then_the_cache_is_in_memory() -> None:
    """An application without any key of ours has one cache, in this process."""
    app, tiercel = make_app()
    with app.app_context():
        assert tiercel.cache.shared is None
        assert list(tiercel.caches) == ["default"]
        tiercel.set("a", 1)
        assert (tiercel.get("a"), tiercel.get("b")) == (1, None)


def test_config_when_a_url_is_given_then_options_beside_it_count(redis: RedisServer) -> None:
    """`TIERCEL_URL` and the options of `tiercel.Cache` make the default cache."""
    options: Any = {"TIERCEL_PREFIX": "shop", "TIERCEL_MEMORY": 0, "TIERCEL_TIMEOUT": 60}
    app, tiercel = make_app(TIERCEL_URL=redis.url, **options)
    with app.app_context():
        tiercel.set("a", [1])
        assert tiercel.get("a") == [1]
        assert tiercel.cache.prefix == "shop"
        assert tiercel.cache.engine.memory is None


def test_config_when_several_caches_are_named_then_each_is_found() -> None:
    """`TIERCEL_CACHES` takes URLs, options and caches."""
    own = Cache(name="own")
    app, tiercel = make_app(TIERCEL_CACHES={"own": own, "small": {"memory": 3}})
    with app.app_context():
        assert get_cache("own") is own
        assert set(tiercel.caches) == {"default", "own", "small"}


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"TIERCEL_ULR": "memory://"}, "did you mean TIERCEL_URL?"),
        ({"TIERCEL_SOMETHING_ELSE": 1}, "no key TIERCEL_SOMETHING_ELSE"),
        ({"TIERCEL_CACHES": ["a"]}, "must be a dict"),
        ({"TIERCEL_CACHES": {"a": 3}}, "give a URL, a dict of options or a Cache"),
        ({"TIERCEL_URL": "x", "TIERCEL_CACHES": {"default": "y"}}, "give one"),
        ({"TIERCEL_DEFAULT_TIMEOUT": "soon"}, "must be seconds or a timedelta"),
        ({"TIERCEL_DISPATCHER_SETTINGS": {"rq": 3}}, "dict of names of dispatchers"),
        ({"CACHE_TYPE": "RedisCash"}, "did you mean 'RedisCache'?"),
        ({"CACHE_TYPE": "MemcachedCache"}, "no backend for it"),
        ({"CACHE_TYPE": "FileSystemCache"}, "needs CACHE_DIR"),
        ({"CACHE_TYPE": "RedisClusterCache"}, "needs CACHE_REDIS_CLUSTER"),
        ({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": object()}, "CACHE_REDIS_HOST is a"),
        ({"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": -1}, "CACHE_THRESHOLD=-1"),
        ({"CACHE_TYPE": "SimpleCache", "CACHE_ARGS": [1]}, "CACHE_ARGS"),
        ({"CACHE_TYPE": "SimpleCache", "CACHE_KEY_PREFIX": len}, "must be a text"),
        ({"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": -1}, "CACHE_DEFAULT_TIMEOUT=-1"),
    ],
)
def test_config_when_a_key_is_wrong_then_the_start_says_what_to_do(
    config: dict[str, Any], text: str
) -> None:
    """Errors come from `Tiercel(app)`, not from the first request."""
    with pytest.raises(ConfigurationError, match=text.replace("?", r"\?")):
        make_app(**config)


def test_config_when_it_was_of_flask_caching_then_its_threshold_bounds_memory() -> None:
    """`SimpleCache` is the memory tier, with `CACHE_THRESHOLD` entries."""
    app, tiercel = make_app(CACHE_TYPE="SimpleCache", CACHE_THRESHOLD=10)
    with app.app_context():
        for number in range(100):
            tiercel.set(str(number), number)
        assert sum(tiercel.has(str(number)) for number in range(100)) <= 10


def test_config_when_it_was_of_flask_caching_then_redis_is_the_shared_tier(
    redis: RedisServer,
) -> None:
    """`RedisCache` is Redis with a memory tier before it; what is pickled there is signed."""
    config: dict[str, Any] = {
        "CACHE_REDIS_URL": f"{redis.url}?timeout=60",
        "CACHE_KEY_PREFIX": "old_",
        "CACHE_THRESHOLD": 7,
    }
    app, tiercel = make_app(CACHE_TYPE="RedisCache", **config)
    with app.app_context():
        assert tiercel.cache.prefix == "old_"
        tiercel.set("path", Path("a"))
        tiercel.cache.clear_local()
        assert tiercel.get("path") == Path("a")


def test_config_when_it_was_of_flask_caching_then_files_are_a_database(tmp_path: Path) -> None:
    """`FileSystemCache` is a database in `CACHE_DIR`, which processes share."""
    config: dict[str, Any] = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path / "kept")}
    for expected in (None, 1):
        app, tiercel = make_app(**config)
        with app.app_context():
            assert tiercel.get("a") == expected
            tiercel.set("a", 1)


def test_config_when_caching_is_off_then_nothing_is_kept() -> None:
    """`NullCache` keeps nothing."""
    app, tiercel = make_app(CACHE_TYPE="NullCache")
    with app.app_context():
        tiercel.set("a", 1)
        assert tiercel.get("a") is None


def test_config_when_ours_and_theirs_are_given_then_ours_wins() -> None:
    """A key of ours beats the same thing said in Flask-Caching's words."""
    app, tiercel = make_app(CACHE_TYPE="SimpleCache", CACHE_THRESHOLD=5, TIERCEL_MEMORY=50)
    with app.app_context():
        for number in range(50):
            tiercel.set(str(number), number)
        assert sum(tiercel.has(str(number)) for number in range(50)) > 30


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        ({}, 300.0),
        ({"CACHE_DEFAULT_TIMEOUT": 60}, 60.0),
        ({"CACHE_DEFAULT_TIMEOUT": 0}, None),
        ({"CACHE_DEFAULT_TIMEOUT": 60, "TIERCEL_DEFAULT_TIMEOUT": timedelta(minutes=2)}, 120.0),
        ({"TIERCEL_DEFAULT_TIMEOUT": None}, None),
    ],
)
def test_config_when_a_timeout_is_given_then_it_is_the_default(
    config: dict[str, Any], seconds: float | None
) -> None:
    """300 seconds, as in Flask-Caching, unless something else is said; 0 has no end there."""
    app, _ = make_app(**config)
    with app.app_context():
        assert current_state().default_timeout == seconds


def test_secret_key_when_it_changes_then_old_entries_are_misses(redis: RedisServer) -> None:
    """What is stored is signed by a key derived of `SECRET_KEY`, and of its fallbacks."""
    url = f"{redis.url}?timeout=60"
    options = {"TIERCEL_URL": url, "TIERCEL_CODEC": "pickle", "TIERCEL_PREFIX": "signed"}

    def read(**config: Any) -> Any:
        app = Flask("shop")
        app.config.update(options, **config)
        tiercel = Tiercel(app)
        with app.app_context():
            found = tiercel.get("place")
            tiercel.set("place", Path("here"))
            return found

    assert read(SECRET_KEY=SECRET) is None
    assert read(SECRET_KEY=SECRET) == Path("here")
    rotated = {"SECRET_KEY": "the next secret", "SECRET_KEY_FALLBACKS": [SECRET]}
    assert read(**rotated) == Path("here")
    assert read(SECRET_KEY="somebody else's") is None


def test_pickle_when_nothing_can_sign_then_the_start_refuses(redis: RedisServer) -> None:
    """Without `SECRET_KEY` nothing is pickled, by nobody else's key either."""
    other = make_app()
    app = Flask("shop")
    app.config.update(TIERCEL_URL=redis.url, TIERCEL_CODEC="pickle")
    with pytest.raises(ConfigurationError, match="sign"):
        Tiercel(app)
    assert other


def test_apps_when_there_are_several_then_each_has_values_of_its_own() -> None:
    """One extension, one function and the default cache follow the running application."""
    calls: list[int] = []

    @cache_result
    def number() -> int:
        calls.append(1)
        return len(calls)

    tiercel = Tiercel()
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        tiercel.init_app(app)
    found = []
    for app in [*apps, *apps]:
        with app.app_context():
            tiercel.add("name", app.name)
            found.append((number(), tiercel.get("name"), default_cache.get("name")))
    assert found == [(1, "one", "one"), (2, "two", "two")] * 2


def test_app_when_it_is_initialised_twice_then_it_is_refused() -> None:
    """A second Tiercel would have other caches than the first."""
    app, _ = make_app()
    with pytest.raises(ConfigurationError, match="has a Tiercel already"):
        Tiercel(app)


def test_config_when_given_to_the_extension_then_it_wins() -> None:
    """The config of `init_app` beats that of `Tiercel`, which beats the application's."""
    app = Flask("shop")
    app.config["TIERCEL_DEFAULT_TIMEOUT"] = 1
    tiercel = Tiercel(config={"TIERCEL_DEFAULT_TIMEOUT": 2})
    tiercel.init_app(app)
    other = Flask("other")
    tiercel.init_app(other, {"TIERCEL_DEFAULT_TIMEOUT": 3})
    found = []
    for each in (app, other):
        with each.app_context():
            found.append(current_state().default_timeout)
    assert found == [2.0, 3.0]


def test_values_when_timeouts_are_given_then_they_mean_what_flask_caching_means() -> None:
    """Batches, counters and conditional writes; 0 is without end."""
    app, tiercel = make_app()
    with app.app_context():
        assert tiercel.set_many({"a": 1, "b": 2}, timeout=0) == ["a", "b"]
        assert tiercel.get_many("a", "x", "b") == [1, None, 2]
        assert tiercel.get_dict("a", "x") == {"a": 1, "x": None}
        assert (tiercel.add("a", 5), tiercel.add("c", 5)) == (False, True)
        assert (tiercel.inc("n"), tiercel.inc("n", 4), tiercel.dec("n", 2)) == (1, 5, 3)
        assert (tiercel.delete("a"), tiercel.delete("a"), tiercel.has("a")) == (True, False, False)
        assert tiercel.delete_many("b", "c") == ["b", "c"]
        assert tiercel.clear()
        assert tiercel.get("n") is None
        with pytest.raises(ConfigurationError, match="timeout"):
            tiercel.set("a", 1, timeout=-1)
