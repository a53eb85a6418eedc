"""A cached endpoint of FastAPI beside fastapi-cache2, as whole requests and as the cache alone.

Requests go through the application in this process, without a socket. What a cache costs is the
time of a request that it answers, less the floor: the same endpoint, returning a response that is
ready. Each library is used as its manual says, so Tiercel's middleware counts as its cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Response
from fastapi_cache import FastAPICache
from fastapi_cache.backends import Backend
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache as peer_cache
from measure import AsyncCase, Row
from pydantic import BaseModel
from redis.asyncio import Redis
from views_timing import amedians_of_requests

from tiercel import Cache, cached_view
from tiercel.testing.servers import RedisServer
from tiercel_asgi import TiercelMiddleware

LIFE = 600
PEER = "fastapi-cache2"
GOALS = {"memory": 0.2, "shared": 0.5}


class Item(BaseModel):
    """One row of a page."""

    number: int
    name: str
    price: float
    tags: list[str]


def _items(count: int) -> list[Item]:
    return [
        Item(number=each, name=f"item {each} {'x' * 20}", price=each / 8, tags=["a", "b"])
        for each in range(count)
    ]


SIZES = {"100 B": _items(1), "1 kB": _items(10), "10 kB": _items(100)}


def _app(decorate: Callable[[Any], Any], items: list[Item], *, ours: bool = False) -> FastAPI:
    app = FastAPI()
    if ours:
        app.add_middleware(TiercelMiddleware)

    async def page() -> list[Item]:
        return items

    app.get("/page")(decorate(page))
    return app


def _floor(items: list[Item]) -> FastAPI:
    app = FastAPI()
    body = b"[" + b",".join(item.model_dump_json().encode() for item in items) + b"]"

    @app.get("/page")
    async def page() -> Response:
        return Response(body, media_type="application/json")

    return app


def _request(app: FastAPI) -> AsyncCase:
    headers = [(b"host", b"example.com"), (b"accept", b"*/*"), (b"user-agent", b"benchmark")]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        """Nobody is there to get it."""

    async def ask() -> None:
        await app(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": "/page",
                "raw_path": b"/page",
                "query_string": b"a=1",
                "root_path": "",
                "headers": headers,
                "client": ("127.0.0.1", 50_000),
                "server": ("127.0.0.1", 80),
            },
            receive,
            send,
        )

    return ask


async def _compared(tier: str, cache: Cache, backend: Backend, size: str) -> list[Row]:
    FastAPICache.reset()
    FastAPICache.init(backend, prefix=f"bench-{size}")
    items = SIZES[size]
    view = cached_view(expiry=LIFE, cache=cache, name=f"page-{tier}-{size}")
    cases = {
        "tiercel": _request(_app(view, items, ours=True)),
        PEER: _request(_app(peer_cache(expire=LIFE), items)),
        "floor": _request(_floor(items)),
    }
    for case in cases.values():
        for _ in range(3):
            await case()
    timed = await amedians_of_requests(cases)
    ours, theirs, floor = timed["tiercel"], timed[PEER], timed["floor"]
    what = f"FastAPI: {tier}, {size}"
    return [
        Row(f"{what}, floor", floor, theirs, PEER),
        Row(f"{what}, whole request", ours, theirs, PEER),
        Row(f"{what}, the cache", ours - floor, theirs - floor, PEER, GOALS[tier]),
    ]


async def _measured(server: RedisServer) -> list[Row]:
    client = Redis.from_url(f"redis://127.0.0.1:{server.port}/1")
    memory = Cache(name="bench-memory")
    shared = Cache(f"redis://127.0.0.1:{server.port}/0", memory=0, timeout=2.0, name="bench-shared")
    found: list[Row] = []
    for size in SIZES:
        found += await _compared("memory", memory, InMemoryBackend(), size)
        found += await _compared("shared", shared, RedisBackend(client), size)
    await client.aclose()
    await shared.aclose()
    return found


def rows() -> list[Row]:
    """Return all comparisons."""
    with RedisServer() as server:
        return asyncio.run(_measured(server))
