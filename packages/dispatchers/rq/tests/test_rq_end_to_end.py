"""Web processes and workers are real: drops arrive, and none is lost when something dies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry

from packages.dispatchers.rq.tests.rq_programs import Shop
from tiercel.testing.servers import RedisServer, wait_until

DONE = "Successfully completed invalidate of"


DJANGO = pytest.param("django_rq", marks=pytest.mark.long)
"""Queues of django-rq are those of RQ; `tests/brokers` has one of them always."""

both = pytest.mark.parametrize("dispatcher", ["rq", DJANGO])


@both
def test_change_when_a_worker_runs_then_a_third_process_computes_anew(
    tmp_path: Path, dispatcher: str, cache_server: RedisServer, broker: RedisServer
) -> None:
    """One process reports a change, the worker drops, another one misses."""
    shop = Shop(tmp_path, dispatcher, cache_server, broker, queue="drops")
    shop.set("price", 1)
    assert shop.read("price") == 1
    shop.set("price", 2)
    assert shop.read("price") == 1
    shop.change("price")
    with shop.worker("drops") as worker:
        worker.wait_for(DONE)
    assert shop.read("price") == 2


@pytest.mark.parametrize(
    ("dispatcher", "what"),
    [
        ("rq", "job"),
        ("rq", "worker"),
        pytest.param("django_rq", "worker", marks=pytest.mark.long),
    ],
)
def test_work_when_it_is_killed_then_it_is_done_by_the_next(
    tmp_path: Path, dispatcher: str, cache_server: RedisServer, broker: RedisServer, what: str
) -> None:
    """SIGKILL for the process of a job, and for a worker with all that it has started."""
    shop = Shop(tmp_path, dispatcher, cache_server, broker)
    shop.set("stock", 1)
    assert shop.read("stock") == 1
    shop.set("stock", 2)
    shop.set("hold")
    shop.change("stock")
    with shop.worker("--with-scheduler", "default") as worker:
        wait_until(lambda: len(shop.tries()) == 1, "the work to begin")
        worker.kill_job() if what == "job" else worker.kill()
        shop.unset("hold")
        if what == "job":
            worker.wait_for(DONE)
    if what == "worker":
        with shop.worker("default") as worker:
            worker.wait_for(DONE)
    assert len(shop.tries()) == 2
    assert shop.read("stock") == 2


@both
def test_change_when_the_broker_is_down_then_is_carried_out_at_once(
    tmp_path: Path, dispatcher: str, cache_server: RedisServer, broker: RedisServer
) -> None:
    """Without any worker: the process that reports the change drops by itself, and says so."""
    shop = Shop(tmp_path, dispatcher, cache_server, broker)
    shop.set("price", 1)
    assert shop.read("price") == 1
    shop.set("price", 2)
    broker.kill()
    said = shop.change("price")
    assert f"was not accepted by dispatcher '{dispatcher}' and is done at once" in said
    assert shop.read("price") == 2


def test_work_when_it_fails_then_is_repeated_with_growing_pauses_and_kept(
    tmp_path: Path, cache_server: RedisServer, broker: RedisServer
) -> None:
    """After the last retry the job is a dead letter, from which it can be brought back."""
    options: dict[str, Any] = {"max_retries": 2, "min_backoff": 1}
    shop = Shop(tmp_path, "rq", cache_server, broker, **options)
    shop.set("stock", 1)
    assert shop.read("stock") == 1
    shop.set("stock", 2)
    shop.set("broken")
    shop.change("stock")
    registry = FailedJobRegistry(queue=Queue(connection=Redis.from_url(broker.url)))
    with shop.worker("--with-scheduler", "default") as worker:
        wait_until(lambda: len(registry.get_job_ids()) == 1, "the last try")
        first, second, third = shop.tries()
        assert second - first >= 1
        assert third - second >= 2
        shop.unset("broken")
        registry.requeue(registry.get_job_ids()[0])
        worker.wait_for(DONE)
    assert shop.read("stock") == 2


@pytest.mark.long
def test_work_when_a_stock_worker_is_killed_then_it_is_done_within_two_minutes(
    tmp_path: Path, cache_server: RedisServer, broker: RedisServer
) -> None:
    """RQ's own worker, with the intervals that the README names."""
    shop = Shop(tmp_path, "rq", cache_server, broker)
    shop.set("stock", 1)
    assert shop.read("stock") == 1
    shop.set("stock", 2)
    shop.set("hold")
    shop.change("stock")
    with shop.worker("--with-scheduler", "default", stock=True):
        wait_until(lambda: len(shop.tries()) == 1, "the work to begin")
    shop.unset("hold")
    began = time.monotonic()
    with shop.worker("--with-scheduler", "default", stock=True) as worker:
        worker.wait_for(DONE, 150)
        assert time.monotonic() - began > 30, "then this test is not about the slow way"
    assert shop.read("stock") == 2
