"""What happens around a shop, whichever broker carries its drops: told once, for every plugin."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.brokers.world import LOST, Shop, World
from tiercel.testing import servers

PATIENCE = 120.0
"""Seconds after which something that should have happened counts as missing."""

AT_ONCE = 10.0
"""Seconds that a change may take while the broker is down; with one, workers wait far longer."""


def wait_until(condition: Callable[[], bool], what: str | Callable[[], str]) -> None:
    """Wait for something that workers do; `what` may be told when it is missing."""
    try:
        servers.wait_until(condition, "it", PATIENCE)
    except TimeoutError as error:
        missing = what if isinstance(what, str) else what()
        raise AssertionError(f"waited {PATIENCE:g} s in vain for {missing}") from error


def worker_drops_and_another_process_computes(world: World) -> None:
    """Nothing happens until there is a worker; then all get the new value, computed once."""
    writer, reader = world.shop("writer"), world.shop("reader")
    assert reader.read("price") == "old"
    writer.write("price", "new")
    assert reader.read("price") == "old"
    worker = world.worker()
    wait_until(lambda: reader.read("price") == "new", lambda: f"the drop: {worker.log()}")
    assert writer.read("price") == "new"
    assert world.journal() == ["computed"] * 2
    assert LOST not in writer.log


def killed_worker_is_replaced(world: World) -> None:
    """A worker is killed in mid-task with all its processes; the next one does the work."""
    writer, reader = world.shop("writer"), world.shop("reader")
    assert reader.read("stock") == "old"
    worker = world.worker()
    writer.write("stock", "new")
    assert LOST not in writer.log
    wait_until(lambda: len(world.journal()) == 1, lambda: f"the task: {worker.log()}")
    worker.kill()
    world.open_gate()
    assert reader.read("stock") == "old"
    second = world.worker()
    wait_until(lambda: reader.read("stock") == "new", lambda: f"the drop: {second.log()}")
    wait_until(lambda: world.journal()[1:] != [], "the end of the task")
    kinds = [line.split()[0] for line in world.journal()]
    assert kinds[:2] == ["begun", "begun"]


def killed_child_is_replaced(world: World) -> None:
    """Only the process that performs the task is killed, as for want of memory."""
    writer, reader = world.shop("writer"), world.shop("reader")
    assert reader.read("stock") == "old"
    worker = world.worker()
    writer.write("stock", "new")
    wait_until(lambda: len(world.journal()) == 1, lambda: f"the task: {worker.log()}")
    world.open_gate()
    os.kill(int(world.journal()[0].split()[1]), signal.SIGKILL)
    wait_until(lambda: reader.read("stock") == "new", lambda: f"the drop: {worker.log()}")
    assert worker.running


def broker_is_down(
    world: World, writer: Shop, down: Callable[[], None], up: Callable[[], None]
) -> None:
    """Whoever changes something drops himself, at once; later the workers do it again."""
    reader = world.shop("reader")
    writer.write("price", "with a broker")
    down()
    reader.read("price")
    for value in ("first", "second", "third"):
        assert writer.write("price", value) < AT_ONCE
        wait_until(lambda: reader.read("price") == value, f"the price {value}")  # noqa: B023
    assert writer.log.count(LOST) == 3
    up()
    writer.write("price", "again")
    assert reader.read("price") == "third"
    worker = world.worker()
    wait_until(lambda: reader.read("price") == "again", lambda: f"the drop: {worker.log()}")
    assert writer.log.count(LOST) == 3
