"""Huey's queues, and the task that they carry."""

from __future__ import annotations

import logging
from typing import Any

from huey import PriorityRedisHuey
from redis import ConnectionPool

from tiercel.spi import BadMessage, perform_message

log = logging.getLogger(__name__)

DEFAULT_QUEUE = "default"
DEFAULT_URL = "redis://localhost:6379"
TASK = "tiercel"


def open_queue(name: str | None, url: str, timeout: float | None = None) -> Any:
    """Return a queue; nothing is connected.

    Args:
        name: Name of the queue; None: the default one.
        url: URL of Redis.
        timeout: Seconds that Redis may take to answer; None: for ever, as a consumer waits.
    """
    limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    pool = ConnectionPool.from_url(url, **limits)
    return PriorityRedisHuey(name or DEFAULT_QUEUE, connection_pool=pool, results=False)


def task_of(queue: Any) -> Any:
    """Register our task with a queue and return it."""
    return queue.task(name=TASK, context=True)(perform)


def perform(text: str, function: str, pauses: list[float], task: Any) -> None:
    """Do the work of one message; huey repeats it if this raises and `task.retries` are left.

    Raises:
        Exception: The work failed, or this process does not know the function.
    """
    try:
        perform_message(text)
    except BadMessage:
        task.retries = 0  # another try would not help
        raise
    except Exception:
        if not task.retries:
            log.error("a task for %s is given up", function)
        else:
            task.retry_delay = pauses[len(pauses) - task.retries]
        raise
