"""What the dispatchers put into RQ, looked at through RQ."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from redis import Redis, RedisError
from rq import Queue
from rq.job import Job

from tiercel.spi import Message, TaskKind
from tiercel.testing.servers import RedisServer
from tiercel_rq.dispatcher import DjangoRQDispatcher, JobDispatcher, RQDispatcher

Make = Callable[..., JobDispatcher]


def message(number: int = 1, delay: float = 0.0) -> Message:
    return Message(f'{{"secret":{number}}}', f"id{number}", TaskKind.INVALIDATE, "m:f", "", delay)


@pytest.fixture(params=["rq", "django_rq"])
def make_at(request: pytest.FixtureRequest, settings: Any) -> Callable[[str], Make]:
    """Makes a maker of dispatchers of either name, on the server of a URL."""

    def at(url: str) -> Make:
        settings.RQ_QUEUES = {name: {"URL": url} for name in ("default", "drops")}
        return (
            partial(RQDispatcher, connection=url) if request.param == "rq" else DjangoRQDispatcher
        )

    return at


@pytest.fixture
def make(make_at: Callable[[str], Make], broker: RedisServer) -> Make:
    """Makes a dispatcher that waits as long for its server as a busy machine takes."""
    return make_at(broker.patient_url)


def only_job(broker: RedisServer, queue: str = "default") -> Job:
    (job,) = Queue(queue, connection=Redis.from_url(broker.url)).jobs
    return job


def test_message_when_sent_then_the_job_has_one_text_and_all_limits(
    make: Make, broker: RedisServer
) -> None:
    """Retries, time limits and lives are RQ's own; the description shows no argument."""
    options = {"job_timeout": 7, "result_ttl": 8, "failure_ttl": 9}
    make(max_retries=4, min_backoff=0.4, max_backoff=2, **options).send(message())
    job = only_job(broker)
    assert (job.id, job.func_name) == ("id1", "tiercel_rq.tasks.perform")
    assert (job.args, job.kwargs) == (('{"secret":1}',), {})
    assert (job.timeout, job.result_ttl, job.failure_ttl) == (7, 8, 9)
    assert (job.retries_left, job.retry_intervals) == (4, [2, 2, 3, 3])
    assert job.description == "invalidate of m:f"


def test_message_when_no_retries_are_wanted_then_the_job_has_none(
    make: Make, broker: RedisServer
) -> None:
    """The first failure is the last."""
    make(max_retries=0).send(message())
    assert only_job(broker).retries_left is None


def test_queue_when_it_is_named_then_only_that_one_gets_the_job(
    make: Make, broker: RedisServer
) -> None:
    """`queue=` is honoured."""
    make(queue="drops").send(message())
    client = Redis.from_url(broker.url)
    assert [len(Queue(name, connection=client)) for name in ("drops", "default")] == [1, 0]


def test_job_when_at_front_then_it_comes_before_others(make: Make, broker: RedisServer) -> None:
    """RQ's only priority within one queue."""
    make().send(message(1))
    make(at_front=True).send(message(2))
    queue = Queue(connection=Redis.from_url(broker.url))
    assert queue.get_job_ids() == ["id2", "id1"]
    assert only_job_of(queue, "id2").enqueue_at_front_on_retry


def only_job_of(queue: Queue, job_id: str) -> Job:
    job = queue.fetch_job(job_id)
    assert job is not None
    return job


def test_message_when_delayed_then_rq_never_starts_it_early(
    make: Make, broker: RedisServer
) -> None:
    """RQ counts in whole seconds and rounds down, so the time is rounded up before."""
    before = time.time()
    make().send(message(delay=1.5))
    queue = Queue(connection=Redis.from_url(broker.url))
    scheduled = queue.connection.zscore("rq:scheduled:default", "id1")
    assert len(queue) == 0
    assert scheduled is not None
    assert before + 1.5 <= scheduled <= math.ceil(time.time() + 1.5)
    assert only_job_of(queue, "id1").retries_left == 5


def test_server_when_it_is_down_then_send_raises_soon(make: Make, broker: RedisServer) -> None:
    """Whoever saves a model does not wait for redis-py's own retries."""
    dispatcher = make()
    dispatcher.send(message(1))
    broker.kill()
    assert min(_refused(dispatcher) for _ in range(4)) < 0.5, "at best: the machine may be busy"


def _refused(dispatcher: JobDispatcher) -> float:
    """Return the seconds after which the server was given up."""
    began = time.monotonic()
    with pytest.raises(RedisError):
        dispatcher.send(message(2))
    return time.monotonic() - began


def test_server_when_it_does_not_answer_then_send_raises_in_bounded_time(
    make_at: Callable[[str], Make], broker: RedisServer
) -> None:
    """The time limit of a second, once: only a connection that broke is worth another try."""
    make_at(broker.patient_url)().send(message(1))
    dispatcher = make_at(broker.url)()
    broker.pause()
    assert min(_refused(dispatcher) for _ in range(4)) < 1.9, "at best: the machine may be busy"
    broker.resume()


def test_server_when_it_is_back_then_messages_are_sent_again(
    make: Make, broker: RedisServer
) -> None:
    """A dispatcher outlives its broker."""
    dispatcher = make()
    dispatcher.send(message(1))
    broker.restart()
    dispatcher.send(message(2))
    assert only_job(broker).id == "id2"


@pytest.mark.django_db
def test_job_of_django_rq_when_in_a_transaction_then_is_sent_at_once(
    broker: RedisServer, settings: Any
) -> None:
    """Tasks are made after the commit that they are for; waiting for another would lose them."""
    settings.RQ_QUEUES = {"default": {"URL": broker.url}}
    with transaction.atomic():
        DjangoRQDispatcher().send(message())
        assert only_job(broker).id == "id1"


def ask() -> bool:
    return RQDispatcher(connection="redis://localhost").in_worker()


def test_worker_when_code_is_run_as_a_job_then_it_is_known(broker: RedisServer) -> None:
    """What would be built in the background is computed at once there."""
    queue = Queue("asked", connection=Redis.from_url(broker.url), is_async=False)
    assert queue.enqueue(ask).return_value() is True
    assert ask() is False
