"""What the worker processes of these tests do; started as `python workers.py ROLE ARGUMENTS`.

Each worker says `ready` when it has connected, starts when it reads a line, and ends with one
line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tiercel import ArgsKeyField, AsyncValueBeingBuiltException, Cache, cached_for


def cold_key(url: str, log: str, threads: str) -> dict[str, Any]:
    """Many threads ask for one cold key whose computation takes 500 ms."""
    cache = Cache(url, timeout=60.0)

    @cache.cached(tiers="shared", name="cold")
    def report(number: int) -> dict[str, float]:
        with Path(log).open("a") as computations:
            computations.write("1\n")
        time.sleep(0.5)
        return {"filled_at": time.time()}

    cache.get("warm the connection")
    latencies: list[float] = []

    def ask() -> None:
        filled_at = report(1)["filled_at"]
        latencies.append(time.time() - filled_at)

    started = [threading.Thread(target=ask) for _ in range(int(threads))]
    ready()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return {"latencies": latencies}


def one_build(url: str, log: str) -> dict[str, Any]:
    """Ask for a value that is built in the background until it is there."""
    cache = Cache(url, timeout=60.0)

    @cached_for(
        minutes=5, cache=cache, name="one build", async_compute=True, dispatcher="threadpool"
    )
    def report(number: int) -> int:
        with Path(log).open("a") as builds:
            builds.write("1\n")
        time.sleep(0.5)
        return number * 2

    cache.get("warm the connection")
    tasks: set[str | None] = set()
    ready()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            return {"value": report(21), "tasks": sorted(tasks - {None}, key=str)}
        except AsyncValueBeingBuiltException as pending:
            tasks.add(pending.task_id)
        time.sleep(0.01)
    raise TimeoutError("the value was never built")


def lost_build(url: str, log: str) -> dict[str, Any]:
    """Start a build and end at once, as a process that is killed does."""
    cache = Cache(url, timeout=60.0)

    @cached_for(
        minutes=5,
        cache=cache,
        name="one build",
        async_compute=True,
        async_compute_job_timeout=2,
        lease=1,
        dispatcher="threadpool",
    )
    def report(number: int) -> int:
        Path(log).write_text("begun\n")
        time.sleep(60)
        return number

    ready()
    try:
        report(21)
    except AsyncValueBeingBuiltException as pending:
        while not Path(log).exists():
            time.sleep(0.01)
        print(json.dumps({"task": pending.task_id}), flush=True)
        os._exit(0)
    raise AssertionError("nothing was built")


def coherence(url: str, source: str, steps: str, seed: str) -> dict[str, Any]:
    """Read, bump the source of truth and drop, at random; count what was served too late.

    The source of truth is a file for each item that grows by one byte with each change. A value
    is stale if it is smaller than what some process knew to be dropped before the read began.
    """
    cache = Cache(url, timeout=60.0, memory=0)
    truth = [Path(source) / f"version-{number}" for number in range(8)]
    mine = [Path(source) / f"acknowledged-{number}-{seed}" for number in range(8)]

    @cache.cached(key={"item": ArgsKeyField("item", partition=True)}, name="item", ttl=30)
    def version(item: int) -> int:
        return truth[item].stat().st_size

    def promised(item: int) -> int:
        acknowledged = Path(source).glob(f"acknowledged-{item}-*")
        return max((path.stat().st_size for path in acknowledged), default=0)

    def change(item: int) -> None:
        with truth[item].open("ab") as changes:
            changes.write(b"x")
        written = truth[item].stat().st_size
        _drop(version, item, random.randrange(3))
        with mine[item].open("ab") as log:
            log.write(b"x" * (written - log.tell()))

    random = Random(int(seed))
    stale = reads = drops = 0
    ready()
    for _ in range(int(steps)):
        item = random.randrange(8)
        if random.random() < 0.1:
            change(item)
            drops += 1
        else:
            least = promised(item)
            stale += version(item) < least
            reads += 1
    return {"stale": stale, "reads": reads, "drops": drops}


def _drop(function: Any, item: int, how: int) -> None:
    if how == 0:
        function.delete_cache(item)
    elif how == 1:
        function.delete_by_prefix(item=item)
    else:
        function.invalidate_all()


def ready() -> None:
    """Tell the test that this worker is connected, and wait for its word."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


ROLES: dict[str, Callable[..., dict[str, Any]]] = {
    "cold_key": cold_key,
    "coherence": coherence,
    "one_build": one_build,
    "lost_build": lost_build,
}

if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(ROLES[role](*arguments)) + "\n")
