"""`django://alias`: which aliases can be a shared tier, and what becomes of their trouble."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError
from pytest_django import Settings

from tiercel import Cache, ConfigurationError
from tiercel.spi import BackendRefused, BackendUnavailable, Read, Scope
from tiercel.testing.conformance.tier import LONG, Tier
from tiercel.testing.servers import RedisServer, free_port, wait_until
from tiercel_django.backend import DjangoStore

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
DATABASE = "django.core.cache.backends.db.DatabaseCache"
DJANGO_REDIS = "django_redis.cache.RedisCache"
TIERCEL = "tiercel_django.cache.TiercelCache"


class FailingCache(LocMemCache):
    """A cache that loses writes, and says so or does not."""

    error: Exception | None = None

    def set(self, *args: Any, **kwargs: Any) -> None:
        if self.error is not None:
            raise self.error


class MeddledCache(LocMemCache):
    """A cache in which something happens between a write and a look at what it did."""

    then: ClassVar[list[Callable[[], None]]] = []

    def set(self, *args: Any, **kwargs: Any) -> None:
        super().set(*args, **kwargs)
        if self.then:
            self.then.pop()()


class NativeCache(LocMemCache):
    """A cache with async methods of its own, of which it notes the calls."""

    calls: list[str]

    async def aget_many(self, keys: Any, version: Any = None) -> dict[Any, Any]:
        self.calls.append("aget_many")
        return self.get_many(keys, version)

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self.get(key, default, version)

    async def aset(self, key: Any, value: Any, timeout: Any = 300, version: Any = None) -> None:
        self.calls.append("aset")
        self.set(key, value, timeout, version)


class ReplicaRouter:
    """Reads caches from a replica, as the documentation of Django shows it."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "postgres" if model._meta.app_label == "django_cache" else None


@pytest.fixture
def aliases(settings: Settings) -> Any:
    """Configure `CACHES`."""

    def configure(**configured: Any) -> None:
        settings.CACHES = {"default": {"BACKEND": LOCMEM, "LOCATION": uuid4().hex}, **configured}

    configure()
    return configure


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


def test_function_on_an_alias_is_shared_and_dropped(aliases: Any) -> None:
    """Two caches on one alias behave like two processes; the guarantee is that of stamps."""
    here, there = (Cache("django://default", name=name, memory=0) for name in ("here", "there"))
    calls: list[int] = []

    def square(number: int) -> int:
        calls.append(number)
        return number * number

    one, two = (cache.cached(name="tests:square")(square) for cache in (here, there))
    assert [one(3), two(3), one(3)] == [9, 9, 9]
    assert calls == [3]
    two.invalidate_all()
    assert one(3) == 9
    assert calls == [3, 3]
    assert here.guarantee == "G1"
    with pytest.raises(ConfigurationError, match="carries G1 only"):
        Cache("django://default", guarantee="G2")


def joined(cached: Any) -> int:
    """Return how many callers wait for the computations of others."""
    flights = cached.cached_function.subject.flights
    found = {*flights._by_key.values(), *flights._by_token.values()}
    return sum(len(flight._wakers) for flight in found)


async def test_async_function_on_an_alias_is_shared(aliases: Any) -> None:
    """Many tasks at once get one computation and one value."""
    cache = Cache("django://default")
    calls: list[int] = []

    @cache.cached(name="tests:slow")
    async def slow(number: int) -> int:
        calls.append(number)
        if len(calls) == 1:
            await asyncio.to_thread(wait_until, lambda: joined(slow) == 19, "the others")
        return number

    assert await asyncio.gather(*(slow(1) for _ in range(20))) == [1] * 20
    assert calls == [1]
    await slow.ainvalidate_all()
    assert await slow(1) == 1
    assert calls == [1, 1]


async def test_async_methods_of_the_cache_are_used_where_it_has_its_own(aliases: Any) -> None:
    """A cache that never blocks the event loop is not sent to a thread."""
    aliases(own={"BACKEND": f"{__name__}.NativeCache", "LOCATION": uuid4().hex})
    NativeCache.calls = []
    cache = Cache("django://own", memory=0)
    await cache.aset("a", 1)
    assert await cache.aget("a") == 1
    assert {"aset", "aget_many"} <= set(NativeCache.calls)


def test_alias_is_the_default_one_unless_named(aliases: Any) -> None:
    """The alias stands where a URL has its host; it may hold any characters, quoted."""
    aliases(**{"A b/c": {"BACKEND": LOCMEM}})
    assert DjangoStore("A b/c").alias == "A b/c"
    for url, alias in [("django://", "default"), ("django://A%20b%2Fc", "A b/c")]:
        cache = Cache(url, memory=0, name=alias, prefix=uuid4().hex[:8])
        cache.set("a", 1)
        assert caches[alias].get(f"{cache.prefix}:values:v1:key='a!v") is not None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("django://nobody", "CACHES has no alias 'nobody'; it has: default"),
        ("django://default/1", "is django:// and its alias, such as django://default"),
        ("django://user@default", "is django:// and its alias"),
        ("django://default?db=1", "backend 'django' has no option 'db'"),
    ],
)
def test_url_that_names_no_alias_is_refused(aliases: Any, url: str, says: str) -> None:
    """The error says what there is."""
    with pytest.raises(ConfigurationError) as error:
        Cache(url)
    assert says in str(error.value)


def test_alias_whose_backend_cannot_be_made_is_refused(aliases: Any) -> None:
    """What Django says of it is passed on."""
    aliases(broken={"BACKEND": "no.such.Cache"})
    with pytest.raises(ConfigurationError, match=r"django://broken: .*no"):
        Cache("django://broken")


@pytest.mark.parametrize("location", ["", "django://own", "redis://localhost:6379/1", "reports"])
def test_alias_that_leads_back_to_tiercel_is_refused(aliases: Any, location: str) -> None:
    """Whatever that cache is made of, and without making it."""
    aliases(own={"BACKEND": TIERCEL, "LOCATION": location})
    with pytest.raises(ConfigurationError, match="leads back to Tiercel") as error:
        Cache("django://own")
    assert "use what stands in its LOCATION" in str(error.value)
    if location == "django://own":
        with pytest.raises(ConfigurationError, match="leads back to Tiercel"):
            caches["own"]


@pytest.mark.parametrize("backend", [REDIS, DJANGO_REDIS])
@pytest.mark.parametrize("location", [["redis://a", "redis://b"], "redis://a,redis://b"])
def test_alias_with_replicas_is_refused(aliases: Any, backend: str, location: Any) -> None:
    """Reads from a replica would show what was dropped on the primary."""
    aliases(many={"BACKEND": backend, "LOCATION": location})
    with pytest.raises(ConfigurationError, match="reads from replicas"):
        Cache("django://many")


def test_alias_whose_table_is_read_from_a_replica_is_refused(
    aliases: Any, settings: Settings
) -> None:
    """The same for a router of databases."""
    aliases(table={"BACKEND": DATABASE, "LOCATION": "tiercel"})
    Cache("django://table")
    settings.DATABASE_ROUTERS = [f"{__name__}.ReplicaRouter"]
    with pytest.raises(ConfigurationError, match="reads from replicas"):
        Cache("django://table")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("no route"), BackendUnavailable),
        (TimeoutError("too slow"), BackendUnavailable),
        (OperationalError("database is locked"), BackendUnavailable),
        (TypeError("bytes are not JSON serializable"), BackendRefused),
        (None, BackendUnavailable),
    ],
)
def test_trouble_of_the_cache_is_told_in_tiercels_words(
    aliases: Any, error: Exception | None, expected: type[Exception]
) -> None:
    """A write that fails, in silence even, is never taken for done."""
    aliases(failing={"BACKEND": f"{__name__}.FailingCache"})
    FailingCache.error = error
    backend = Cache("django://failing").shared
    assert backend is not None
    for mode in ("sync", "async"):
        tier = Tier(backend, mode)
        with pytest.raises(expected):
            tier.drop(Scope("tests:f"))
        tier.close()


def test_server_that_is_away_is_unavailable_in_time(aliases: Any) -> None:
    """The value is computed, and a drop is owed instead of lost."""
    gone = f"redis://127.0.0.1:{free_port()}/0"
    aliases(gone={"BACKEND": REDIS, "LOCATION": gone})
    cache = Cache("django://gone")
    cached = cache.cached(name="tests:gone")(lambda: 5)
    assert cached() == 5
    cached.invalidate_all()
    assert cache.engine.pending
    cache.close()


def test_drop_that_django_redis_hides_is_noticed(aliases: Any, server: RedisServer) -> None:
    """With IGNORE_EXCEPTIONS a write to a dead server looks like one that was done."""
    options = {"IGNORE_EXCEPTIONS": True}
    for place, url in {"here": server.url, "gone": f"redis://127.0.0.1:{free_port()}/0"}.items():
        aliases(silent={"BACKEND": DJANGO_REDIS, "LOCATION": url, "OPTIONS": options})
        backend = Cache("django://silent").shared
        assert backend is not None
        tier = Tier(backend)
        if place == "here":
            tier.drop(tier.function())
        else:
            with pytest.raises(BackendUnavailable, match="did not keep a write, in silence"):
                tier.drop(tier.function())


def test_drop_that_another_has_overtaken_does_not_take_its_place(aliases: Any) -> None:
    """Else what was filled between the two would be valid again, long after the later drop."""
    aliases(meddled={"BACKEND": f"{__name__}.MeddledCache", "LOCATION": uuid4().hex})
    backend = Cache("django://meddled").shared
    assert backend is not None
    tier = Tier(backend)
    key = tier.key()

    def meddle() -> None:
        tier.store(key, b"old")
        tier.drop(tier.function())

    MeddledCache.then.append(meddle)
    tier.drop(tier.function())
    assert tier.value(key) is None


@pytest.mark.django_db(databases=["default"])
async def test_table_that_is_used_by_plain_code_on_an_event_loop_is_refused(aliases: Any) -> None:
    """That is a mistake of the caller: the tier stays trusted, and the error names the way out."""
    aliases(table={"BACKEND": DATABASE, "LOCATION": "tiercel"})
    backend = Cache("django://table").shared
    assert backend is not None
    with pytest.raises(BackendRefused, match="make the function async, or call it by sync_to"):
        backend.execute(Read(Tier(backend).key()))


def test_cache_that_keeps_nothing_computes_each_time(aliases: Any) -> None:
    """As one expects of a dummy; the memory tier has what is trusted without it."""
    aliases(dummy={"BACKEND": "django.core.cache.backends.dummy.DummyCache"})
    cache = Cache("django://dummy", memory=0)
    calls: list[int] = []
    cached = cache.cached(name="tests:dummy")(lambda: calls.append(1))
    for _ in range(3):
        cached()
    assert len(calls) == 3


def test_keys_stay_within_what_memcached_takes(aliases: Any) -> None:
    """Also with a long prefix and the longest names; Django warns of keys that do not."""
    aliases(long={"BACKEND": LOCMEM, "LOCATION": uuid4().hex, "KEY_PREFIX": "p" * 60})
    backend = Cache("django://long").shared
    assert backend is not None
    tier = Tier(backend)
    keys = [tier.key("k" * 190 + end) for end in ("a", "b")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for key in keys:
            tier.store(key, key.text.encode(), LONG)
    assert [tier.value(key) for key in keys] == [key.text.encode() for key in keys]
