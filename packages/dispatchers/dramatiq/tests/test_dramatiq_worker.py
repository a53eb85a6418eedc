"""End to end, with real workers on real brokers that are killed, cut off, and started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.dispatchers.dramatiq.tests.brokers import (
    TestQueue,
    open_broker,
    worker_command,
)
from tests.brokers import stories
from tests.brokers.fixtures import on_both, on_rabbitmq, on_redis
from tests.brokers.sending import message
from tests.brokers.world import SHOP, World
from tiercel.testing.proxy import TcpProxy
from tiercel.testing.servers import RedisServer
from tiercel_dramatiq.dispatcher import DramatiqDispatcher

SETUP = "packages.dispatchers.dramatiq.tests.worker_broker"


@pytest.fixture
def world(tmp_path: Path, url: str, queue: TestQueue) -> Iterator[World]:
    """A shop on the broker of the test."""
    rules = {
        "dispatcher": "dramatiq",
        "dispatcher_config": {"queue": queue.name, "dedup_window": 0, "min_backoff": 0.2},
    }
    variables = {"TEST_BROKER": url, "TEST_QUEUE": queue.name}
    command = worker_command(SETUP, SHOP, queue=queue.name)
    with World(tmp_path, SETUP, rules, command, variables) as made:
        yield made


def test_change_when_a_worker_has_dropped_then_another_process_computes_again(
    world: World,
) -> None:
    """One process changes, a worker drops, a third one misses and computes."""
    stories.worker_drops_and_another_process_computes(world)


@on_redis
def test_worker_when_it_names_our_module_then_it_serves_the_default_queue(
    tmp_path: Path, url: str
) -> None:
    """No line of code is needed where the default queue is enough."""
    command = worker_command(SETUP, SHOP, "tiercel_dramatiq.worker", queue="default")
    rules = {"dispatcher": "dramatiq"}
    with World(tmp_path, SETUP, rules, command, {"TEST_BROKER": url}) as world:
        stories.worker_drops_and_another_process_computes(world)


@on_both
def test_worker_when_killed_in_mid_task_then_the_next_one_does_the_work(world: World) -> None:
    """A drop that had begun is done by the worker that is started afterwards."""
    stories.killed_worker_is_replaced(world)


@on_rabbitmq
def test_rabbitmq_when_it_is_down_then_nothing_is_lost(
    world: World, proxy: TcpProxy, proxied: str
) -> None:
    """What no broker takes is dropped by whoever has changed it."""
    writer = world.shop("writer", TEST_BROKER=proxied)
    stories.broker_is_down(world, writer, proxy.cut, proxy.heal)


@on_redis
def test_redis_when_it_is_down_then_nothing_is_lost(world: World, redis: RedisServer) -> None:
    """The same on Redis, which forgets what it had when it is killed."""
    stories.broker_is_down(world, world.shop("writer"), redis.kill, redis.start)


def test_task_when_it_fails_for_good_then_it_is_a_dead_letter(
    world: World, url: str, queue: TestQueue
) -> None:
    """A task that keeps failing is retried to the limit; what is no task is given up at once."""
    worker = world.worker()
    dispatcher = DramatiqDispatcher(
        broker=open_broker(url), queue=queue.name, max_retries=1, min_backoff=0.05, max_backoff=0.1
    )
    unknown = '{"v":1,"id":"1","kind":"warm","function":"shop:gone","cache":"shop","payload":{},'
    for text in ("nonsense", unknown + '"created":0.0}'):
        dispatcher.send(message(text))
    stories.wait_until(lambda: queue.dead() == 2, lambda: f"dead letters: {worker.log()}")
    dispatcher.close(60.0)
    dispatcher.broker.close()
    assert worker.log().count("Retrying message") == 1
    assert (
        "a task is for shop:gone on cache 'shop', which this worker does not have" in worker.log()
    )
