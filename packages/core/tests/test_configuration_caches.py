"""The caches of an application: configured by name, followed by functions, switched off."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

import tiercel
from packages.core.tests.stages import Stage
from tiercel import CACHE_MISSING, Cache, ConfigurationError, cache_result
from tiercel.configuration import caches, use_caches
from tiercel.contracts.backend import Backend, BackendLocation, BackendSpec, Capability
from tiercel.plugins import Registry, hookimpl, set_default_registry
from tiercel.spi import SPI_VERSION
from tiercel.testing import SimulatedBackend


@pytest.fixture(autouse=True)
def _former_configuration() -> Iterator[None]:
    former = use_caches({})
    yield
    use_caches(former)


def counted(**options: Any) -> Any:
    serial = count(1)
    return cache_result(**options)(lambda key=1: next(serial))


def test_default_cache_when_nothing_is_configured_is_in_memory() -> None:
    """Everything works without configuration, in memory."""
    cached = counted()
    assert [cached(), cached()] == [1, 1]
    assert tiercel.get_cache().shared is None
    assert tiercel.get_cache() is tiercel.get_cache("default")


def test_configure_when_given_urls_dicts_and_caches_takes_them_all() -> None:
    """Each keyword names a cache; a value is a URL, a dict of options or a cache."""
    made = Cache(name="mine")
    tiercel.configure(
        default="memory://?memory=5",
        reports={"url": "memory://", "memory": 7},
        plain={"memory": 9},
        mine=made,
    )
    assert tiercel.get_cache("mine") is made
    assert tiercel.get_cache("reports").name == "reports"
    assert "memory=7" in repr(tiercel.get_cache("reports"))
    assert "memory=9" in repr(tiercel.get_cache("plain"))
    assert "memory=5" in repr(tiercel.get_cache())
    assert caches().keys() == {"default", "reports", "plain", "mine"}


@pytest.mark.parametrize("value", [5, None, ["memory://"]])
def test_configure_when_value_is_no_cache_refuses_it(value: Any) -> None:
    """The error names the cache, and the former configuration stays."""
    tiercel.configure(kept="memory://")
    with pytest.raises(ConfigurationError, match="cache 'reports': give a URL, a dict"):
        tiercel.configure(reports=value)
    assert "kept" in caches()


def test_get_cache_when_name_is_unknown_says_which_there_are() -> None:
    """The error lists the names and how to add one."""
    tiercel.configure(reports="memory://")
    with pytest.raises(ConfigurationError, match=r"'report'; there are: default, reports\. .*conf"):
        tiercel.get_cache("report")


def test_cache_option_when_a_name_uses_that_cache() -> None:
    """Functions of named caches are kept there, and only there."""
    tiercel.configure(reports="memory://")
    cached = counted(cache="reports")
    assert cached() == 1
    tiercel.get_cache().clear()
    assert cached() == 1
    tiercel.get_cache("reports").clear()
    assert cached() == 2


def test_cache_option_when_name_is_unknown_is_an_error_at_the_first_call() -> None:
    """Functions may be decorated before the configuration stands."""
    cached = counted(cache="later")
    with pytest.raises(ConfigurationError, match="'later'"):
        cached()
    tiercel.configure(later="memory://")
    assert cached() == 1


@pytest.mark.parametrize("given", [5, object()])
def test_cache_option_when_neither_name_nor_cache_is_refused(given: Any) -> None:
    """It is noticed at decoration."""
    with pytest.raises(ConfigurationError, match="give the name of a cache or a Cache"):
        counted(cache=given)


def test_cache_option_when_a_cache_uses_it_whatever_is_configured(memory: Stage) -> None:
    """A cache that is given is not replaced by a later configuration."""
    cached = counted(cache=memory.cache)
    assert cached() == 1
    tiercel.configure(default="memory://")
    assert cached() == 1
    assert memory.cache.engine.memory


def test_configure_when_repeated_functions_bind_anew() -> None:
    """A function that was used before follows the new configuration, hits included."""
    cached = counted()
    tiercel.configure(default="memory://")
    assert [cached(), cached()] == [1, 1]
    old = tiercel.get_cache()
    tiercel.configure(default={"prefix": "other"})
    assert cached.get_cache_key(1).startswith("other:")
    assert cached.get_cache_only() is CACHE_MISSING
    assert [cached(), cached()] == [2, 2]
    use_caches({"default": old})
    assert cached() != 2
    assert cached.get_cache_key(1).startswith("tiercel:")


def test_default_cache_when_reconfigured_follows() -> None:
    """`tiercel.default_cache` stands for whatever is the default now; so does its other name."""
    tiercel.configure(default="memory://")
    tiercel.default_cache.set("a", 1)
    assert tiercel.alan_cache.get("a") == 1
    tiercel.configure(default="memory://")
    assert tiercel.default_cache.get("a") is None
    assert "default cache" in repr(tiercel.default_cache)

    @tiercel.default_cache.cached
    def function(key: int) -> int:
        return key

    assert function(1) == 1


def test_first_calls_when_threads_meet_bind_once() -> None:
    """Threads that call first at the same time end on one cache."""
    cached = counted()
    start = threading.Barrier(8)
    values: list[int] = []

    def work() -> None:
        start.wait(60)
        values.append(cached())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert values == [1] * 8


class Plugin:
    """Brings the scheme `simulated`."""

    def __init__(self) -> None:
        self.store = SimulatedBackend()
        self.locations: list[BackendLocation] = []
        self.configured: list[Any] = []

    def make(self, location: BackendLocation) -> Backend:
        self.locations.append(location)
        return self.store

    @hookimpl
    def tiercel_backends(self) -> list[BackendSpec]:
        offered = frozenset({Capability.ATOMIC, Capability.PUSH})
        known = frozenset({"flavour"})
        return [BackendSpec("simulated", self.make, offered, SPI_VERSION, known)]

    @hookimpl
    def tiercel_configured(self, caches: Any) -> None:
        self.configured.append(dict(caches))


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    plugin = Plugin()
    registry = Registry()
    registry.register(plugin)
    set_default_registry(registry)
    yield plugin
    set_default_registry(None)


def test_url_when_parsed_reaches_the_backend_without_our_parameters(plugin: Plugin) -> None:
    """Common parameters are Tiercel's; the rest are the backend's, and unknown ones errors."""
    url = "simulated://user:secret@host:1/2?memory=5&max_lag=2&timeout=1.5&prefix=shop&flavour=a"
    cache = Cache(url, name="x")
    (location,) = plugin.locations
    assert location.url == "simulated://user:secret@host:1/2"
    assert (location.prefix, location.timeout) == ("shop", 1.5)
    assert dict(location.options) == {"flavour": "a"}
    assert cache.engine.max_lag == 2.0
    assert "secret" not in repr(cache)
    with pytest.raises(ConfigurationError, match="no option 'flavor'; it has: flavour") as caught:
        Cache("simulated://user:secret@host?flavor=a")
    assert "secret" not in str(caught.value)


def test_url_when_options_are_given_by_name_they_win(plugin: Plugin) -> None:
    """What stands in the code is stronger than what stands in the URL."""
    cache = Cache("simulated://h?max_lag=2&flavour=a", max_lag=3, flavour="b")
    assert cache.engine.max_lag == 3
    assert plugin.locations[0].options == {"flavour": "b"}


@pytest.mark.parametrize(
    "url",
    [
        "redis://bob:uno/duo@host:1/0",
        "redis://bob:uno?duo@host:1/0",
        "redis://bob:uno#duo@host:1/0",
        "redis://bob:uno[duo@host:1/0",
        "redis://bob:uno\u2100duo@host:1/0",
    ],
)
def test_url_when_its_password_is_not_quoted_says_how_and_repeats_nothing(url: str) -> None:
    """What follows would be taken for something else, and shown as what is wrong."""
    with pytest.raises(ConfigurationError, match=r"urllib\.parse\.quote") as error:
        Cache(url)
    assert not any(word in str(error.value) for word in ("bob", "uno", "duo"))


def test_configured_hook_when_caches_stand_gets_them(plugin: Plugin) -> None:
    """Plugins are told which caches there are, at each configuration."""
    tiercel.configure(default="memory://")
    tiercel.configure(default="memory://", more="memory://")
    assert [sorted(each) for each in plugin.configured] == [["default"], ["default", "more"]]


def test_tiercel_url_when_set_is_the_default_cache(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment says where the default cache is, unless code does."""
    monkeypatch.setenv("TIERCEL_URL", "simulated://from-the-environment")
    assert tiercel.get_cache().shared is plugin.store
    assert plugin.locations[0].url == "simulated://from-the-environment"
    tiercel.get_cache().close()
    tiercel.configure(default="memory://")
    assert tiercel.get_cache().shared is None


def test_tiercel_url_when_wrong_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong URL in the environment is no reason to go on without a shared tier."""
    monkeypatch.setenv("TIERCEL_URL", "nosuch://host")
    with pytest.raises(tiercel.TiercelError, match="nosuch"):
        counted()()


def test_disabled_when_inside_computes_every_time(stage: Stage) -> None:
    """Nothing is read, stored or refreshed; afterwards the entries are there as before."""
    serial = count(1)
    cached = stage.cached(lambda key=1: next(serial))
    assert [cached(), cached()] == [1, 1]
    with tiercel.disabled():
        assert [cached(), cached()] == [2, 3]
        value, metadata = cached.get_with_metadata()
        assert (value, metadata["cache_status"], metadata["tier"]) == (4, "BYPASS", "function")
        with tiercel.disabled():
            assert cached() == 5
        assert cached() == 6
    assert [cached(), cached()] == [1, 1]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("get_cache_only", CACHE_MISSING),
        ("get_cached_metadata", None),
        ("refresh", 2),
        ("bypass_cache", 2),
        ("many", [2]),
    ],
)
def test_disabled_when_methods_are_used_they_do_not_touch_entries(
    memory: Stage, method: str, expected: Any
) -> None:
    """Caching that is off neither serves nor stores, whatever is asked."""
    serial = count(1)
    cached = memory.cached(lambda key=1: next(serial))
    assert cached() == 1
    with tiercel.disabled():
        assert getattr(cached, method)(*([[1]] if method == "many" else [])) == expected
    assert cached() != 2  # what was computed while caching was off is not stored


def test_disabled_when_something_is_dropped_it_stays_dropped(stage: Stage) -> None:
    """Drops take effect while caching is off, so that nothing outdated is served afterwards."""
    serial = count(1)
    cached = stage.cached(lambda key=1: next(serial))
    assert cached() == 1
    with tiercel.disabled():
        cached.delete_cache()
    assert cached() == 2
    with tiercel.disabled():
        cached.invalidate_all()
    assert cached() == 3


async def test_disabled_when_function_is_a_coroutine_function_computes(stage: Stage) -> None:
    """The switch works for coroutine functions too."""
    serial = count(1)

    @stage.cached
    async def compute() -> int:
        return next(serial)

    assert await compute() == 1
    with tiercel.disabled():
        assert await compute() == 2
    assert await compute() == 1


def test_disabled_when_functions_bind_inside_serves_hits_afterwards(memory: Stage) -> None:
    """A function that was first called while caching was off is cached once it is on."""
    serial = count(1)
    cached = memory.cached(lambda: next(serial))
    with tiercel.disabled():
        assert [cached(), cached()] == [1, 2]
    assert [cached(), cached(), cached()] == [3, 3, 3]


@pytest.mark.parametrize(("value", "calls"), [("1", "1 2"), ("0", "1 1"), ("", "1 1")])
def test_tiercel_disabled_when_set_switches_the_process_off(value: str, calls: str) -> None:
    """The environment variable is read at start-up."""
    code = (
        "import itertools, tiercel; n = itertools.count(1)\n"
        "f = tiercel.cache_result(lambda: next(n)); print(f(), f())"
    )
    environment = {**os.environ, "TIERCEL_DISABLED": value}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == calls.split()
