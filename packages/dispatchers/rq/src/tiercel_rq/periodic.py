"""Tasks that RQ's scheduler brings again and again.

RQ can bring a job at a time, but not every so many seconds. So each run plans the next one before
it does its work. Times are the multiples of the interval, and a job's name holds its time: however
many processes plan, there is one job for each time. What to do, and how often, stands in a hash of
the same Redis, where a newer version of the application replaces it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from rq import Queue, get_current_job
from rq.job import Job
from rq.scheduler import RQScheduler

from tiercel_rq.tasks import perform

SCHEDULES = "tiercel:rq:schedules"
"""The hash of all schedules: `{"every", "text", "options"}` by name, as JSON."""

RUN = "tiercel_rq.periodic.run"
"""How jobs name `run`."""

_OPTIONS = ("description", "at_front", "job_timeout", "result_ttl", "failure_ttl")


def plant(queue: Queue, name: str, every: float, text: str, options: Mapping[str, Any]) -> bool:
    """Begin to perform a message every so many seconds, or change how.

    Args:
        queue: Where to.
        name: Whatever had this name before is replaced.
        every: Whole seconds, as RQ's scheduler counts them.
        text: The message.
        options: Of each job.

    Returns:
        Whether it was done: a scheduler serves the queue, and the interval suits it.

    Raises:
        redis.RedisError: The server cannot be asked.
    """
    if every < 1 or every != int(every) or not _is_scheduled(queue):
        return False
    kept = {option: options[option] for option in _OPTIONS}
    entry = {"every": int(every), "text": text, "options": kept}
    queue.connection.hset(SCHEDULES, _field(queue, name), json.dumps(entry))
    _plan_next(queue, name, entry)
    return True


def run(name: str) -> None:
    """Plan the next run of a schedule, and perform its message; the worker's part.

    Raises:
        Exception: What `perform` raises. The next run is the retry.
    """
    job = get_current_job()
    assert job is not None, "periodic jobs are run by workers of RQ"
    queue = Queue(job.origin, connection=job.connection, serializer=job.serializer)
    entry = _entry(job.connection, _field(queue, name))
    if entry is not None:
        _plan_next(queue, name, entry)
        perform(entry["text"])


def _entry(connection: Redis, field: str) -> dict[str, Any] | None:
    stored: Any = connection.hget(SCHEDULES, field)
    return None if stored is None else json.loads(stored)


def _plan_next(queue: Queue, name: str, entry: Mapping[str, Any]) -> None:
    every = entry["every"]
    at = (int(time.time()) // every + 1) * every
    digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    job_id = f"tiercel-{digest}-{at}"
    if not Job.exists(job_id, connection=queue.connection):
        when = datetime.fromtimestamp(at, UTC)
        queue.enqueue_at(when, RUN, name, job_id=job_id, **entry["options"])


def _field(queue: Queue, name: str) -> str:
    return f"{queue.name}:{name}"


def _is_scheduled(queue: Queue) -> bool:
    return bool(queue.connection.exists(RQScheduler.get_locking_key(queue.name)))
