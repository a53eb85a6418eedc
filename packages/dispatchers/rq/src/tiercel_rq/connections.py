"""Clients of the Redis that holds the queues: a caller waits for it no longer than it must."""

from __future__ import annotations

import os

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostError
from redis.retry import Retry

from tiercel.spi import ConfigurationError

DEFAULT_URL = "redis://localhost:6379/0"

DEFAULT_TIMEOUT = 1.0
"""Seconds that Redis may take to answer."""

_RETRIES = 1
"""A connection that the server has closed meanwhile costs one more try, and no more."""


def check_connection(given: object) -> None:
    """Refuse what is neither a URL nor a client.

    Raises:
        ConfigurationError: Says what was given, but no password that may be in it.
    """
    if given is None or isinstance(given, Redis):
        return
    if not isinstance(given, str):
        raise ConfigurationError(
            f"connection must be a URL or a redis.Redis, not an instance of {type(given).__name__}"
        )
    try:
        ConnectionPool.from_url(given)
    except ValueError as error:
        raise ConfigurationError(
            "connection is no URL of a Redis; write redis://, rediss:// or unix:// and an address"
        ) from error


def connect(given: str | Redis | None, timeout: float) -> Redis:
    """Return a client; nothing is connected before its first command.

    Args:
        given: A URL, or a client, which is taken as it is; None: what `rq worker` takes by
            default, `RQ_REDIS_URL` or the local server.
        timeout: Seconds that one command may take.
    """
    if isinstance(given, Redis):
        return given
    url = given or os.environ.get("RQ_REDIS_URL") or DEFAULT_URL
    return bounded(Redis.from_url(url), timeout)


def bounded(client: Redis, timeout: float) -> Redis:
    """Make a client that nobody else uses give up soon; return it.

    redis-py would try for several seconds to reach a server that is down, and whoever saves a
    model would wait for that.
    """
    limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    given = client.connection_pool.connection_kwargs
    given.update({name: value for name, value in limits.items() if given.get(name) is None})
    # Not after a timeout: whoever waits would wait twice as long.
    client.set_retry(Retry(NoBackoff(), _RETRIES, supported_errors=(LostError,)))
    return client
