"""A warm hit in memory through each library's own decorator, and on Redis where it has one."""

from __future__ import annotations

import asyncio
import functools
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import aiocache
import cachebox
import cachetools
import cashews
import django
import flask
import flask_caching
from django.conf import settings
from dogpile.cache import make_region
from measure import AsyncCase, Case, Row, amedians, medians

from tiercel import Cache
from tiercel.testing.servers import RedisServer

Decorated = Callable[..., Any]


def _target(a: int, b: int) -> int:
    return a + b


async def _atarget(a: int, b: int) -> int:
    return a + b


def _flask_memoize() -> Decorated:
    app = flask.Flask(__name__)
    cache = flask_caching.Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.app_context().push()
    decorated: Decorated = cache.memoize(600)(_target)
    return decorated


def _in_memory() -> dict[str, Case]:
    cached: dict[str, Decorated] = {
        "tiercel": Cache().cached(ttl=600)(_target),
        "lru_cache": functools.lru_cache(maxsize=10_000)(_target),
        "cachetools": cachetools.cached(cachetools.TTLCache(10_000, 600))(_target),
        "cachebox": cachebox.cached(cachebox.TTLCache(10_000, 600))(_target),
        "dogpile.cache": make_region()
        .configure("dogpile.cache.memory", expiration_time=600)
        .cache_on_arguments()(_target),
        "Flask-Caching": _flask_memoize(),
    }
    return {name: functools.partial(function, 12, 345) for name, function in cached.items()}


async def _async_in_memory() -> list[Row]:
    cashews.cache.setup("mem://")
    cached: dict[str, Callable[..., Awaitable[object]]] = {
        "tiercel": Cache().cached(ttl=600)(_atarget),
        "cashews": cashews.cache(ttl=600)(_atarget),
        "aiocache": aiocache.cached(ttl=600)(_atarget),
    }
    cases: dict[str, AsyncCase] = {
        name: functools.partial(function, 12, 345) for name, function in cached.items()
    }
    for case in cases.values():
        await case()
    return _rows("async hit in memory", await amedians(cases, calls=1000))


def _on_redis(server: RedisServer) -> list[Row]:
    settings.configure(
        CACHES={
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": f"redis://127.0.0.1:{server.port}/1",
            }
        }
    )
    django.setup()
    from django.core.cache import cache as django_cache  # configured only now

    region = make_region().configure(
        "dogpile.cache.redis",
        expiration_time=600,
        arguments={"host": "127.0.0.1", "port": server.port, "db": 2},
    )
    django_cache.set("key", pickle.loads(pickle.dumps({"a": 1})), 600)
    cached: dict[str, Decorated] = {
        "tiercel": Cache(server.url, timeout=2.0).cached(ttl=600, tiers="shared")(_target),
        "dogpile.cache": region.cache_on_arguments()(_target),
    }
    cases: dict[str, Case] = {
        name: functools.partial(function, 12, 345) for name, function in cached.items()
    }
    cases["django-redis"] = functools.partial(django_cache.get, "key")
    for case in cases.values():
        case()
    return _rows("hit on Redis", medians(cases, calls=200))


def _rows(what: str, timed: dict[str, float]) -> list[Row]:
    return [
        Row(what, timed["tiercel"], taken, peer)
        for peer, taken in timed.items()
        if peer != "tiercel"
    ]


def rows() -> list[Row]:
    """Return all comparisons."""
    in_memory = _in_memory()
    for case in in_memory.values():
        case()
    found = _rows("hit in memory", medians(in_memory, calls=2000))
    found += asyncio.run(_async_in_memory())
    with RedisServer() as server:
        return found + _on_redis(server)
