"""Turns what redis-py raises, and what servers reply, into Tiercel's two backend errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import redis.asyncio.sentinel
import redis.sentinel
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from tiercel.spi import BackendError, BackendRefused, BackendUnavailable

TRANSPORT_ERRORS = (RedisError, RedisClusterException, OSError, EOFError)
"""Everything that redis-py and sockets raise while a command is under way."""

_NOT_SERVING = re.compile(r"\b(READONLY|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY|TRYAGAIN)\b")

_PART_OF_CLUSTER = re.compile(r"\b(MOVED|CROSSSLOT)\b")

_NOT_FOUND = (redis.sentinel.MasterNotFoundError, redis.asyncio.sentinel.MasterNotFoundError)
_CLIENTS = re.compile(r"(?: :|,) <redis\b")
_END_OF_CLIENT = ")>)>)> - "


class Misunderstood(BackendUnavailable):
    """What was answered is no answer to what was asked, so it is not known what was done.

    Nor is it known whether what comes next over the same connections is what it seems to be.
    """


def is_lost(error: BaseException) -> bool:
    """Tell whether a connection broke, rather than was slow: another may work at once."""
    return isinstance(error, (ConnectionError, OSError, EOFError)) and not is_slow(error)


def is_slow(error: BaseException) -> bool:
    """Tell whether the time limit of a connection passed."""
    if isinstance(error, BlockingIOError):
        return True  # the kernel kept the time
    return isinstance(error, (TimeoutError, OSError)) and "imeout" in type(error).__name__


def is_read_only(error: ResponseError) -> bool:
    """Tell whether the server is a replica now, so that its connections are of no use."""
    # Redis 6 reports what a script's command replied inside an error of its own.
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


def is_useless(answers: Sequence[Any]) -> bool:
    """Tell whether a connection that brought these answers leads to a replica."""
    return any(isinstance(answer, ResponseError) and is_read_only(answer) for answer in answers)


def serves(error: ResponseError) -> bool:
    """Tell whether a server refused this command rather than all of them."""
    return not (is_read_only(error) or _NOT_SERVING.search(_code(error)))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether the server refused a write for lack of memory."""
    return isinstance(error, OutOfMemoryError) or "OOM" in str(error)


def failure(error: BaseException, label: str, timeout: float) -> BackendError:
    """Return the backend error for what went wrong with the store called `label`."""
    if is_slow(error):
        return BackendUnavailable(f"{label} did not answer within {timeout:g} s")
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return BackendUnavailable(f"{label} does not accept these credentials: {error}")
    if isinstance(error, InvalidResponse):
        return Misunderstood(f"{label} does not answer as Redis does: {error}")
    if not isinstance(error, ResponseError):
        why = _not_found(error) if isinstance(error, _NOT_FOUND) else error
        return BackendUnavailable(f"{label} is unreachable: {why}")
    if not serves(error):
        return BackendUnavailable(f"{label} does not serve now: {_code(error)}")
    if _PART_OF_CLUSTER.search(_code(error)):
        return BackendUnavailable(f"{label} is part of a Cluster: use a redis+cluster:// URL")
    reason = "out of memory" if is_out_of_memory(error) else _code(error)
    return BackendRefused(f"{label} refused a command: {reason}")


def _not_found(error: BaseException) -> str:
    """Return why sentinels named no primary.

    In front of each reason, redis-py describes a client: some versions with its password.
    """
    summary, *described = _CLIENTS.split(str(error))
    parted = [each.rpartition(_END_OF_CLIENT) for each in described]
    reasons = ", ".join(reason for _, end, reason in parted if end)
    return f"{summary}: {reasons}" if reasons else summary


def _code(error: ResponseError) -> str:
    """Return the server's words with the code that redis-py takes off."""
    code = getattr(error, "status_code", None)
    return f"{code} {error}" if code and not str(error).startswith(str(code)) else str(error)
