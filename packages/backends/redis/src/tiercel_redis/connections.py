"""Builds redis-py's connection pools, for threads and for asyncio alike."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from msgspec import Struct
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from tiercel_redis.options import Address, Settings

SILENT: dict[str, None] = (
    {"driver_info": None}
    if find_spec("redis.driver_info")
    else {"lib_name": None, "lib_version": None}
)
"""Spares each new connection two round trips, and reading redis-py's metadata from disk, which
takes longer than to learn that a server is gone. The argument depends on redis-py's version."""

UNLIMITED = 2**31
"""Connections that a pool may make: it does not know which of them are closed."""


class Library(Struct, frozen=True):
    """The two sides of redis-py have the same classes under other names."""

    pool: Any
    plain: Any
    tls: Any
    unix: Any
    sentinel: Any
    sentinel_pool: Any
    retry: Any


THREADS = Library(
    redis.ConnectionPool,
    redis.Connection,
    redis.SSLConnection,
    redis.UnixDomainSocketConnection,
    redis.sentinel.Sentinel,
    redis.sentinel.SentinelConnectionPool,
    Retry,
)

ASYNCIO = Library(
    redis.asyncio.ConnectionPool,
    redis.asyncio.Connection,
    redis.asyncio.SSLConnection,
    redis.asyncio.UnixDomainSocketConnection,
    redis.asyncio.sentinel.Sentinel,
    redis.asyncio.sentinel.SentinelConnectionPool,
    AsyncRetry,
)


def open_pool(library: Library, settings: Settings, node: Address | None, **overrides: Any) -> Any:
    """Return a pool that makes connections to one server, to be connected by the caller.

    Args:
        library: Which side of redis-py.
        settings: Where and how.
        node: A node of a Cluster, or None.
        overrides: Arguments of the connection class that go before those of the settings.
    """
    # redis-py would otherwise try ten times, with pauses, before it says that a server is gone.
    retry = library.retry(NoBackoff(), 0)
    fixed = {"retry": retry, "max_connections": UNLIMITED}
    keywords = {**SILENT, **settings.keywords, **fixed, **overrides}
    if settings.mode == "sentinel":
        asking = {**SILENT, **settings.sentinel, "retry": retry}
        sentinel = library.sentinel(settings.addresses, sentinel_kwargs=asking)
        return library.sentinel_pool(settings.service, sentinel, ssl=settings.tls, **keywords)
    if settings.path:
        del keywords["socket_keepalive"]
        return library.pool(connection_class=library.unix, path=settings.path, **keywords)
    host, port = node or settings.addresses[0]
    kind = library.tls if settings.tls else library.plain
    return library.pool(connection_class=kind, host=host, port=port, **keywords)
