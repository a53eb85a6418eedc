"""`TiercelCache` across processes, in trouble, against forged bytes; the settings it takes."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.core.cache import BaseCache, caches
from pytest_django import Settings
from redis import Redis

from packages.integrations.django.tests.caching import BACKEND, Caches, Hand, opened_caches
from tiercel import ConfigurationError
from tiercel.spi import STAMP_BYTES, STAMPS_OFFSET
from tiercel.testing.servers import RedisServer
from tiercel_django import opened
from tiercel_django.checks import check_setting

PATIENCE = 60.0
HEADER = STAMPS_OFFSET + STAMP_BYTES
SIGNATURE = 8 + 32  # which key it was, and the signature


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.putenv, ("TIERCEL_BOMB", "exploded")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(server.url) as connected:
        yield connected


@pytest.fixture(params=["two_tiers", "shared"])
def aliases(
    request: pytest.FixtureRequest, settings: Settings, server: RedisServer
) -> Iterator[Caches]:
    with opened_caches():
        yield Caches(settings, request.param, server.url)


@pytest.fixture
def two_tiers(settings: Settings, server: RedisServer) -> Iterator[Caches]:
    with opened_caches():
        yield Caches(settings, "two_tiers", server.url)


@pytest.fixture(params=[False, True], ids=["plain", "twins"])
def do(request: pytest.FixtureRequest) -> Hand:
    return Hand(request.param)


def commands(client: Redis) -> int:
    """How many commands for values the server has carried out."""
    stats: Any = client.info("commandstats")
    kinds = ("get", "mget", "set", "eval", "evalsha", "fcall")
    return sum(stats.get(f"cmdstat_{kind}", {}).get("calls", 0) for kind in kinds)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something that another process does; fail if it does not happen."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"still waiting after {PATIENCE} s"
        time.sleep(0.001)


def together(number: int, act: Callable[[int], object]) -> None:
    """Let threads act at the same time; each gets its number."""
    barrier = threading.Barrier(number)

    def act_then(turn: int) -> None:
        barrier.wait(PATIENCE)
        act(turn)

    threads = [threading.Thread(target=act_then, args=(turn,)) for turn in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


async def test_hits_are_served_from_memory(two_tiers: Caches, client: Redis, do: Hand) -> None:
    """A hundred readers ask the server once."""
    there = two_tiers.process()
    await do(two_tiers.cache, "set", "key", [1])
    assert await do(there, "get", "other") is None
    engine_of(there).channel.max_lag = PATIENCE  # so that a busy machine cannot exceed it
    wait_until(engine_of(there).channel.trusted)
    assert await do(there, "get", "key") == [1]
    before = commands(client)
    for _ in range(100):
        assert await do(there, "get", "key") == [1]
        assert await do(there, "get_many", ["key"]) == {"key": [1]}
        assert await do(there, "get_or_set", "key", None) == [1]
    assert commands(client) == before


def engine_of(cache: Any) -> Any:
    return cache._values.engine


def is_seen(cache: BaseCache, expected: Any) -> bool:
    """Whether a cache has this value."""
    return bool(cache.get("key") == expected)


async def test_changes_of_another_process_are_seen(aliases: Caches, do: Hand) -> None:
    """Whatever changes a value, others see it within a moment."""
    here, there = aliases.cache, aliases.process()
    changes: list[tuple[str, tuple[Any, ...], Any]] = [
        ("set", ("key", 1), 1),
        ("set_many", ({"key": 2},), 2),
        ("incr", ("key", 5), 7),
        ("delete", ("key",), None),
        ("add", ("key", [8]), [8]),
        ("delete_many", (["key"],), None),
        ("get_or_set", ("key", 9), 9),
        ("touch", ("key", 0), None),
        ("set", ("key", 1), 1),
        ("incr_version", ("key",), None),
        ("decr_version", ("key", 1, 2), 1),
        ("clear", (), None),
    ]
    for method, arguments, expected in changes:
        here.get("key")
        await do(there, method, *arguments)
        wait_until(partial(is_seen, here, expected))


async def test_lives_end_in_every_process(aliases: Caches, do: Hand) -> None:
    """Memory keeps a value no longer than the server; a touch reaches all."""
    here, there = aliases.cache, aliases.process()
    life = 0.05
    while True:
        life, began = 4 * life, time.monotonic()
        await do(here, "set_many", {"short": 1, "touched": 2}, life)
        found = await do(there, "get_many", ["short", "touched"])
        touched = await do(here, "touch", "touched", 60)
        took = time.monotonic() - began
        if took < 0.8 * life:  # on a busy machine again, with values that live longer
            break
    assert found == {"short": 1, "touched": 2}
    assert touched is True
    await asyncio.sleep(1.5 * life)
    for cache in (here, there):
        assert await do(cache, "get_many", ["short", "touched"]) == {"touched": 2}


def test_counters_lose_nothing_when_threads_and_processes_count(aliases: Caches) -> None:
    """Eight threads in two processes: every increment is there."""
    processes = [aliases.cache, aliases.process()]
    processes[0].set("n", 0)
    sums: list[int] = []

    together(8, lambda n: sums.extend(processes[n % 2].incr("n") for _ in range(20)))
    assert sorted(sums) == list(range(1, 161))


def test_add_when_many_try_lets_one_succeed(aliases: Caches) -> None:
    """So it can be used as a lock."""
    processes = [aliases.cache, *(aliases.process() for _ in range(3))]
    for turn in range(10):
        won: list[bool] = []

        def take(number: int, lock: str = f"lock{turn}", won: list[bool] = won) -> None:
            won.append(processes[number % 4].add(lock, 1, 60))

        together(8, take)
        assert sorted(won) == [False] * 7 + [True]


def test_get_or_set_when_many_miss_makes_one_value(aliases: Caches) -> None:
    """Also when they are in different processes."""
    made, found = list[int](), list[Any]()

    def make() -> list[int]:
        made.append(1)
        time.sleep(0.1)
        return [len(made)]

    processes = [aliases.cache, aliases.process()]
    together(8, lambda n: found.append(processes[n % 2].get_or_set("key", make)))
    assert made == [1]
    assert found == [[1]] * 8
    assert len({id(each) for each in found}) == 8


# Trouble


async def test_cache_looks_empty_while_the_server_is_away(settings: Settings, do: Hand) -> None:
    """No method raises because of it, and everything works again when it is back."""
    with opened_caches(), RedisServer() as server:
        cache = Caches(settings, "shared", server.url).cache
        await do(cache, "set", "n", 1)
        server.stop()
        assert await do(cache, "get", "n", "default") == "default"
        assert await do(cache, "get_many", ["n"]) == {}
        assert await do(cache, "has_key", "n") is False
        assert await do(cache, "set", "m", 2) is None
        assert await do(cache, "set_many", {"m": 2, "o": 3}) == ["m", "o"]
        assert await do(cache, "add", "m", 2) is False
        assert await do(cache, "touch", "n") is False
        assert await do(cache, "get_or_set", "m", lambda: [5]) == [5]
        await do(cache, "delete", "n")
        await do(cache, "delete_many", ["n"])
        await do(cache, "clear")
        with pytest.raises(ValueError, match="Key 'n' not found"):
            await do(cache, "incr", "n")
        server.start()
        wait_until(lambda: cache.set_many({"key": 1}) == [] and is_seen(cache, 1))


# Bytes


async def test_payload_that_is_forged_is_a_miss(aliases: Caches, client: Redis, do: Hand) -> None:
    """Nothing is unpickled that was not signed with the secret key."""
    cache = aliases.process()
    await do(aliases.cache, "set", "key", {"a": 1})
    name, stored = entry_of(client, aliases.unique)
    bomb = pickle.dumps(Bomb())
    head, signed = stored[:HEADER], stored[HEADER + SIGNATURE :]
    for forged in (bomb, head + bomb, stored[:-1] + b"x", head + b"\0" * SIGNATURE + signed):
        client.set(name, forged, ex=60)
        assert await do(aliases.process(), "get", "key", "miss") == "miss"
        assert "TIERCEL_BOMB" not in os.environ
    client.set(name, stored, ex=60)
    assert await do(cache, "get", "key") == {"a": 1}


def entry_of(client: Any, prefix: str) -> tuple[bytes, bytes]:
    """Return the name and the bytes of the only entry below a prefix."""
    texts = [each for each in client.keys(f"*{prefix}*") if client.type(each) == b"string"]
    ((name, stored),) = [
        (name, stored) for name in texts if b"restore" in (stored := client.get(name))
    ]
    return name, stored


async def test_payload_of_another_secret_key_is_a_miss(
    settings: Settings, server: RedisServer, do: Hand
) -> None:
    """Former keys are good for as long as they are among the fallbacks."""
    with opened_caches():
        aliases = Caches(settings, "shared", server.url)
        await do(aliases.cache, "set", "key", [1])
        former, settings.SECRET_KEY = settings.SECRET_KEY, "another key, that is long enough, too"
        assert await do(aliases.process(), "get", "key") is None
        settings.SECRET_KEY_FALLBACKS = [former]
        assert await do(aliases.process(), "get", "key") == [1]


class Moved:
    """A class that the next deployment does not have any more."""


async def test_value_of_a_class_that_is_gone_is_a_miss(
    aliases: Caches, do: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a deployment; the next value takes its place."""
    await do(aliases.cache, "set", "key", Moved())
    monkeypatch.delattr(f"{__name__}.Moved")
    there = aliases.process()
    assert await do(there, "get", "key", "miss") == "miss"
    assert await do(there, "get_many", ["key"]) == {}
    assert await do(there, "get_or_set", "key", lambda: "new") == "new"
    assert await do(there, "get", "key") == "new"


# Settings


def test_max_entries_bounds_the_memory(settings: Settings) -> None:
    """As with Django's own cache in memory; `CULL_FREQUENCY` is accepted."""
    with opened_caches():
        options = {"MAX_ENTRIES": 20, "CULL_FREQUENCY": 3, "name": "culling"}
        settings.CACHES = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
        cache = caches["default"]
        for number in range(100):
            cache.set(f"key{number}", number)
        assert 10 <= sum(f"key{number}" in cache for number in range(100)) <= 20


def test_memory_bytes_count_what_is_pickled(settings: Settings) -> None:
    """Not only the object that holds it."""
    with opened_caches():
        options = {"memory_bytes": 100_000, "name": "weighing"}
        settings.CACHES = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
        for number in range(40):
            caches["default"].set(f"key{number}", ["x" * 10_000])
        assert 5 <= sum(f"key{number}" in caches["default"] for number in range(40)) <= 9


def test_aliases_of_one_location_share_their_values(settings: Settings) -> None:
    """And threads, each of which Django gives an object of its own."""
    with opened_caches():
        aliases = Caches(settings, "memory", "")
        other = aliases.add("other")
        apart = aliases.add("apart", OPTIONS={"name": "apart"})
        aliases.cache.set("key", 1)
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(caches["default"].get("key")))
        thread.start()
        thread.join(PATIENCE)
        assert [*found, other.get("key"), apart.get("key")] == [1, 1, None]


def test_location_that_names_a_cache_follows_the_configuration(settings: Settings) -> None:
    """Its values stand beside those of functions, and `clear` leaves those alone."""
    import tiercel

    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "shop"}}
    settings.TIERCEL = {"CACHES": {"shop": "memory://"}}
    cache, shop = caches["default"], tiercel.get_cache("shop")
    calls: list[int] = []
    cached = shop.cached(lambda: calls.append(1))
    cached()
    shop.set(":1:key", "by hand")
    cache.set("key", 1)
    assert cache.get("key") == 1
    cache.clear()
    cached()
    assert (cache.get("key"), shop.get(":1:key"), calls) == (None, "by hand", [1])
    settings.TIERCEL = {"CACHES": {"shop": "memory://?memory=5"}}
    assert tiercel.get_cache("shop") is not shop
    cache.set("key", 2)
    assert (cache.get("key"), shop.space(opened.SPACE, "pickle").get(":1:key")) == (2, None)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"LOCATION": ["redis://a", "redis://b"]}, "must be one URL such as redis://localhost"),
        ({"LOCATION": 5}, "must be one URL"),
        ({"LOCATION": "nosuch://x"}, "nosuch"),
        ({"LOCATION": "redis://a?codec=safe"}, "so TiercelCache has no codec= to choose"),
        ({"OPTIONS": {"codec": "safe"}}, "so TiercelCache has no codec= to choose"),
        ({"OPTIONS": {"CLIENT_CLASS": "x"}}, "unknown option 'CLIENT_CLASS'"),
        ({"OPTIONS": {"MAX_ENTRIES": -1}}, "memory=-1 must be positive"),
        ({"LOCATION": "shop", "OPTIONS": {"MAX_ENTRIES": 5}}, "remove 'MAX_ENTRIES' from OPTIONS"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: Settings, params: dict[str, Any], says: str
) -> None:
    """When the alias is first used, with what to do."""
    settings.CACHES = {"default": {"BACKEND": BACKEND, **params}}
    with pytest.raises((ConfigurationError, LookupError)) as error:
        caches["default"]
    assert says in str(error.value)


def test_location_that_nobody_configured_is_refused_at_first_use(settings: Settings) -> None:
    """The name may be configured later than the alias is made."""
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "unique-snowflake"}}
    with pytest.raises(ConfigurationError, match="no cache is called 'unique-snowflake'"):
        caches["default"].get("key")


def test_settings_that_cannot_work_are_shown_by_the_checks(settings: Settings) -> None:
    """Before anybody uses the alias; those of other backends are none of our concern."""
    settings.CACHES = {
        "one": {"BACKEND": BACKEND, "LOCATION": "nosuch://x"},
        "two": {"BACKEND": BACKEND, "LOCATION": "nobody"},
        "three": {"BACKEND": BACKEND, "LOCATION": ""},
        "four": {"BACKEND": "no.such.Backend", "LOCATION": ["a", "b"]},
    }
    texts = [each.msg for each in check_setting() if each.id == "tiercel.E003"]
    assert [text.partition(":")[0] for text in texts] == ["CACHES['one']", "CACHES['two']"]
    assert "no cache is called 'nobody'" in texts[1]


def test_location_in_a_list_of_one_will_do(settings: Settings) -> None:
    """Django's Redis cache takes lists, so some settings have one."""
    with opened_caches():
        settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": ["memory://?memory=7"]}}
        caches["default"].set("key", 1)
        assert caches["default"].get("key") == 1
        assert "django.default" in [cache.name for cache in opened.opened()]
