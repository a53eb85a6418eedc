"""End to end, with real workers on real brokers that are killed, cut off, and started again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiercel_celery
from packages.dispatchers.celery.tests.brokers import (
    TestQueue,
    celery_app,
    worker_command,
)
from tests.brokers import stories
from tests.brokers.fixtures import on_both, on_rabbitmq, on_redis
from tests.brokers.sending import message
from tests.brokers.world import SHOP, World
from tiercel.testing.proxy import TcpProxy
from tiercel.testing.servers import RedisServer
from tiercel_celery.dispatcher import CeleryDispatcher

SETUP = "packages.dispatchers.celery.tests.worker_app"


@pytest.fixture
def world(tmp_path: Path, url: str, queue: TestQueue) -> Iterator[World]:
    """A shop on the broker of the test."""
    config = {"queue": queue.name, "dedup_window": 0, "min_backoff": 0.2}
    with shop_at(url, queue, tmp_path, config) as made:
        yield made


def shop_at(url: str, queue: TestQueue, folder: Path, config: dict[str, Any]) -> World:
    """Return a shop whose rules have this configuration of the dispatcher."""
    rules = {"dispatcher": "celery", "dispatcher_config": config}
    variables = {
        "REMAP_SIGTERM": "SIGQUIT",  # ends a worker at once
        "TEST_BROKER": url,
        "TEST_QUEUE": queue.name,
    }
    command = worker_command(f"{SETUP}:app", queue.name, "--include", SHOP)
    return World(folder, SETUP, rules, command, variables)


def test_change_when_a_worker_has_dropped_then_another_process_computes_again(
    world: World,
) -> None:
    """One process changes, a worker drops, a third one misses and computes."""
    stories.worker_drops_and_another_process_computes(world)


@on_both
def test_worker_when_killed_in_mid_task_then_the_next_one_does_the_work(world: World) -> None:
    """A drop that had begun is done by the worker that is started afterwards."""
    stories.killed_worker_is_replaced(world)


@pytest.mark.long
def test_child_when_killed_in_mid_task_then_its_worker_does_the_work(world: World) -> None:
    """The worker's parent process puts the task back."""
    stories.killed_child_is_replaced(world)


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


@on_rabbitmq
def test_task_when_it_fails_and_cannot_be_sent_again_then_it_is_put_back(
    world: World, proxy: TcpProxy, proxied: str
) -> None:
    """A worker that reads, but cannot write, keeps trying instead of losing the task."""
    reader = world.shop("reader")
    assert reader.read("rating") == "old"
    world.shop("writer").write("rating", "new")
    proxy.cut()
    worker = world.worker(TEST_WRITE_BROKER=proxied)
    stories.wait_until(
        lambda: len(world.journal()) >= 3, lambda: f"two more attempts: {worker.log()}"
    )
    assert "cannot be sent again; it is put back" in worker.log()
    world.open_gate()
    stories.wait_until(lambda: reader.read("rating") == "new", lambda: f"the drop: {worker.log()}")


@on_redis
def test_refresh_when_beat_keeps_its_schedule_then_only_beat_has_it_done(
    tmp_path: Path, url: str, queue: TestQueue
) -> None:
    """Every process asks for it; nothing happens without beat, and workers do it with one."""
    config = {"queue": queue.name, "dedup_window": 0, "beat": True}
    with shop_at(url, queue, tmp_path, config) as world:
        variables = {"SHOP_REFRESHES_EVERY": "0.5", "TEST_INCLUDE": SHOP}
        world.worker(**variables)
        reader = world.shop("reader", **variables)
        assert reader.read("price") == "old"
        time.sleep(1.5)
        assert world.journal() == ["computed"]
        (tmp_path / "price-1").write_text("new")
        beat = [sys.executable, "-m", "celery", "-A", f"{SETUP}:app", "beat"]
        started = world.start([*beat, "-s", str(tmp_path / "beat")], "beat", **variables)
        stories.wait_until(lambda: reader.read("price") == "new", lambda: f"beat: {started.log()}")
        stories.wait_until(lambda: len(world.journal()) >= 3, lambda: f"beat: {started.log()}")


@on_rabbitmq
def test_message_when_it_is_no_task_then_it_is_a_dead_letter_at_once(
    world: World, url: str, queue: TestQueue
) -> None:
    """What no retry can help is not retried."""
    worker = world.worker()
    app = celery_app(url, task_queues=[tiercel_celery.queue(queue.name)])
    dispatcher = CeleryDispatcher(app=app, queue=queue.name)
    stories.wait_until(lambda: " ready." in worker.log(), "the worker")
    dispatcher.send(message("nonsense"))
    dispatcher.close(1.0)
    stories.wait_until(
        lambda: queue.drain(dead=True) != [], lambda: f"the dead letter: {worker.log()}"
    )
    assert "retry" not in worker.log()
