"""`TiercelCache` in `CACHES`, beside Django's cache in memory, its Redis cache and django-redis."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from django.conf import settings
from django.core.cache import BaseCache, CacheHandler
from measure import Case, Row, medians

from tiercel.testing.servers import RedisServer

TIERCEL = "tiercel_django.cache.TiercelCache"
VALUES: dict[str, Any] = {
    "text": "x" * 100,
    "dict": {"id": 42, "name": "x" * 100, "tags": ["a", "b"], "active": True},
    "10 kB dict": {"id": 42, "name": "x" * 10_000, "tags": ["a", "b"], "active": True},
}
GOALS = {"text": 0.5, "dict": 0.9, "10 kB dict": 0.9}
LIFE = 600


def _handler(server: RedisServer) -> CacheHandler:
    if not settings.configured:
        settings.configure()
    settings.SECRET_KEY = "for the benchmarks only, and long enough to sign with"
    url = f"redis://127.0.0.1:{server.port}"
    return CacheHandler(
        {
            "memory": {"BACKEND": TIERCEL},
            "tiers": {"BACKEND": TIERCEL, "LOCATION": f"{url}/3?timeout=2"},
            "shared": {"BACKEND": TIERCEL, "LOCATION": f"{url}/3?timeout=2&memory=0"},
            "locmem": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "Django's": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"{url}/4",
            },
            "django-redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"{url}/5"},
        }
    )


def _compared(
    what: str, cases: dict[str, Case], ours: str, goals: dict[str, float], calls: int
) -> list[Row]:
    for case in cases.values():
        case()
    timed = medians(cases, calls=calls)
    return [
        Row(f"Django: {what}", timed[ours], taken, peer, goals.get(peer))
        for peer, taken in timed.items()
        if peer != ours
    ]


def _hits(caches: CacheHandler) -> list[Row]:
    found: list[Row] = []
    for size, value in VALUES.items():
        for alias in ("memory", "tiers", "shared", "locmem", "Django's", "django-redis"):
            caches[alias].set("key", value, LIFE)
        cases: dict[str, Case] = {
            alias: partial(caches[alias].get, "key") for alias in ("memory", "locmem")
        }
        found += _compared(f"hit in memory, {size}", cases, "memory", {"locmem": GOALS[size]}, 2000)
        for alias, goals in {"tiers": {"django-redis": 0.1}, "shared": {}}.items():
            cases = {
                each: partial(caches[each].get, "key")
                for each in (alias, "Django's", "django-redis")
            }
            found += _compared(f"hit, {alias}, {size}", cases, alias, goals, 300)
    return found


def _writes(caches: CacheHandler) -> list[Row]:
    numbers = itertools.count()

    def setter(cache: BaseCache) -> Case:
        return lambda: cache.set(f"k{next(numbers)}", VALUES["dict"], LIFE)

    peers = ("tiers", "Django's", "django-redis")
    sets: dict[str, Case] = {each: setter(caches[each]) for each in peers}
    found = _compared("set", sets, "tiers", {}, 200)
    for each in peers:
        caches[each].set("n", 0, LIFE)
        caches[each].set_many({f"m{number}": number for number in range(20)}, LIFE)
    incrs: dict[str, Case] = {each: partial(caches[each].incr, "n") for each in peers}
    found += _compared("incr", incrs, "tiers", {}, 200)
    names = [f"m{number}" for number in range(20)]
    many: dict[str, Case] = {each: partial(caches[each].get_many, names) for each in peers}
    return found + _compared("get_many of 20", many, "tiers", {}, 200)


def rows() -> list[Row]:
    """Everything above, on a server of its own."""
    with RedisServer() as server:
        caches = _handler(server)
        return [*_hits(caches), *_writes(caches)]
