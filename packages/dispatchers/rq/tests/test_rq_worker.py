"""What workers do with jobs that fail, that nobody can do, and that come again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.registry import FailedJobRegistry
from rq.scheduler import RQScheduler

from packages.dispatchers.rq.tests.rq_programs import Running, Shop
from tiercel.spi import Message, TaskKind
from tiercel.testing.servers import RedisServer, wait_until
from tiercel_rq.dispatcher import RQDispatcher

UNKNOWN = {
    "v": 1,
    "id": "1",
    "kind": "warm",
    "cache": "shop",
    "function": "elsewhere:lost",
    "payload": {"args": [], "kwargs": {}},
    "created": 1.0,
}
"""A task for a function that the application does not have."""


@pytest.fixture(params=["rq", pytest.param("django_rq", marks=pytest.mark.long)])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, cache_server: RedisServer, broker: RedisServer
) -> Shop:
    return Shop(tmp_path, request.param, cache_server, broker)


@pytest.fixture
def worker(shop: Shop) -> Iterator[Running]:
    with shop.worker("--with-scheduler", "default") as running:
        yield running


@pytest.fixture
def queue(broker: RedisServer) -> Queue:
    return Queue(connection=Redis.from_url(broker.url))


def failed(queue: Queue) -> list[str]:
    return FailedJobRegistry(queue=queue).get_job_ids()


def message(text: str, name: str = "id1") -> Message:
    return Message(text, name, TaskKind.WARM, "elsewhere:lost")


def test_message_when_it_is_none_of_ours_then_it_fails_once(
    worker: Running, queue: Queue, broker: RedisServer
) -> None:
    """No retry would help: the job is among the failed ones at once."""
    RQDispatcher(connection=broker.patient_url, max_retries=3).send(message("{}"))
    wait_until(lambda: failed(queue) == ["id1"], "the job to fail")
    assert worker.log().count("BadMessage: ") == 1


def test_function_when_the_worker_lacks_it_then_it_is_named_and_kept_after_all_retries(
    worker: Running, queue: Queue, broker: RedisServer
) -> None:
    """A worker of another version may have it, so the job is repeated before it is given up."""
    dispatcher = RQDispatcher(connection=broker.patient_url, max_retries=1, min_backoff=0)
    dispatcher.send(message(json.dumps(UNKNOWN)))
    wait_until(lambda: failed(queue) == ["id1"], "the job to fail")
    says = "a task is for elsewhere:lost on cache 'shop', which this worker does not have"
    assert worker.log().count(f"UnknownFunction: {says}") == 2


def test_schedule_when_a_worker_has_a_scheduler_then_its_message_comes_again_and_again(
    shop: Shop, worker: Running, queue: Queue, broker: RedisServer
) -> None:
    """However many processes ask, there is one run at a time; a busy host leaves some out."""
    dispatchers = [RQDispatcher(connection=broker.patient_url, max_retries=0) for _ in range(3)]
    lock = RQScheduler.get_locking_key(queue.name)
    wait_until(lambda: bool(queue.connection.exists(lock)), "the scheduler")
    began = time.time()
    planted = [each.schedule("refresh", 1, message("{}")) for each in dispatchers]
    assert planted == [True] * 3
    ended = time.time()
    wait_until(lambda: len(failed(queue)) >= 3, "three runs")
    runs = worker.log().count("BadMessage: ")
    times = sorted(int(name.rpartition("-")[2]) for name in failed(queue))
    assert runs <= len(times) == len(set(times))
    assert began <= times[0] <= ended + 2


def test_schedule_when_no_scheduler_serves_the_queue_then_it_is_declined(
    broker: RedisServer,
) -> None:
    """Tiercel then repeats the task by itself."""
    assert (
        RQDispatcher(connection=broker.patient_url).schedule("refresh", 1, message("{}")) is False
    )


@pytest.mark.parametrize("every", [0.5, 1.5])
def test_schedule_when_the_interval_is_no_whole_seconds_then_it_is_declined(
    broker: RedisServer, every: float
) -> None:
    """RQ counts in whole seconds."""
    assert RQDispatcher(connection=broker.patient_url).schedule("x", every, message("{}")) is False


def test_worker_when_a_job_was_killed_then_repeats_it_at_once_and_keeps_later_pauses() -> None:
    """Only the pause before the next try is left out."""
    from rq.exceptions import AbandonedJobError
    from rq.job import Job

    from tiercel_rq.worker import repeat_at_once

    job = Job.create("x.y", connection=Redis(port=1), retry=None)
    retry = Retry(3, interval=[10, 20, 40])
    job.retries_left, job.retry_intervals = retry.max, list(retry.intervals)
    assert repeat_at_once(job, ValueError, ValueError(), None)
    assert job.get_retry_interval() == 10
    assert repeat_at_once(job, AbandonedJobError, AbandonedJobError(), None)
    assert job.get_retry_interval() == 0
    job.retries_left = 2
    assert job.get_retry_interval() == 20
