"""What the worker processes of these tests do: `python -m tests.faults.workers ROLE ARGUMENTS`."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from random import Random
from struct import Struct
from typing import Any

from tests.faults.rig import Rig, Shape
from tiercel import ArgsKeyField, Cache

ITEMS = 8
WORD = Struct("q")


def say(what: Any) -> None:
    """Tell the test something."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def heard() -> str:
    """Wait for the test to say something."""
    return sys.stdin.readline().strip()


def holder(url: str, lease: str) -> None:
    """Take a lease and compute until told to go on."""
    rig = Rig(url, Shape(asynchronous=False, memory=False))

    def compute(_: int) -> int:
        say("computing")
        heard()
        return 0

    function = rig.cached(compute, "held", lease=float(lease))
    value = function(1)
    say({"value": value, "refused": function.cached_function.subject.stats.refused})


def forker(url: str, asynchronous: str, memory: str, how: str) -> None:
    """Fork while other threads compute and read, and report what the child and the parent see."""
    rig = Rig(url, Shape(asynchronous == "1", memory == "1"), name="forked")
    slow = rig.cached(_acompute_slowly if rig.shape.asynchronous else _compute_slowly, "slow")
    assert [rig.call(item) for item in range(20)] == [0] * 20
    ended = threading.Event()
    threads = [threading.Thread(target=_keep_reading, args=(rig, ended)) for _ in range(3)]
    threads.append(threading.Thread(target=_ask, args=(rig, slow)))
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    if how == "os":
        child = os.fork()
        if not child:
            theirs.send(_after_fork(rig, slow))
            os._exit(0)
        say({"child": ours.recv(), "parent": _after_fork(rig, slow)})
        os.waitpid(child, 0)
    else:
        process = context.Process(target=lambda: theirs.send(_after_fork(rig, slow)))
        process.start()
        say({"child": ours.recv(), "parent": _after_fork(rig, slow)})
        process.join()
    ended.set()
    for thread in threads:
        thread.join()


def _keep_reading(rig: Rig, ended: threading.Event) -> None:
    number = 0
    while not ended.wait(0.002):
        number += 1
        _ask(rig, rig.function, number % 50)


def _ask(rig: Rig, function: Any, item: int = 0) -> Any:
    return asyncio.run(function(item)) if rig.shape.asynchronous else function(item)


def _compute_slowly(_: int) -> int:
    time.sleep(0.5)
    return os.getpid()


async def _acompute_slowly(_: int) -> int:
    await asyncio.sleep(0.5)
    return os.getpid()


def _after_fork(rig: Rig, slow: Any) -> dict[str, Any]:
    """Use the cache in every way; report figures that the test judges."""
    memory, follower = rig.cache.engine.memory, rig.cache.engine.follower
    held = 0 if memory is None else len(memory)
    asynchronous = rig.shape.asynchronous
    with_metadata = (
        rig.function.aget_with_metadata if asynchronous else rig.function.get_with_metadata
    )
    _, metadata = _ask(rig, with_metadata, 3)
    began = time.monotonic()
    computed_by = _ask(rig, slow)
    waited = time.monotonic() - began
    rig.source.pause = 0.0
    wrong = sum(_ask(rig, rig.function, item) != 0 for item in range(100))
    own = 1000 + os.getpid()
    _ask(rig, rig.function, own)
    version = rig.source.change(own)
    if asynchronous:
        asyncio.run(rig.function.ainvalidate_all())
    else:
        rig.function.invalidate_all()
    trusted = follower is None
    while follower is not None and not trusted and time.monotonic() < began + 5:
        _ask(rig, rig.function, own)
        trusted = follower.running and rig.cache.engine.trusts_memory()
    return {
        "pid": os.getpid(),
        "held": held,
        "tier": metadata["tier"],
        "computed_by": computed_by,
        "waited": waited,
        "wrong": wrong + (_ask(rig, rig.function, own) != version),
        "trusted": trusted,
    }


def leaver(url: str, asynchronous: str, memory: str) -> None:
    """Use everything that has a background thread, then end, in the middle of refreshes."""
    rig = Rig(url, Shape(asynchronous == "1", memory == "1"), ttl=0.2, stale=60)
    if rig.shape.asynchronous:
        asyncio.run(_aleave(rig))
    else:
        _leave(rig)
    say(time.time())


def _leave(rig: Rig) -> None:
    for item in range(10):
        rig.function(item)
    time.sleep(0.25)
    rig.source.pause = 0.1
    threads = [threading.Thread(target=rig.function, args=(99,), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for item in range(10):
        rig.function(item)


async def _aleave(rig: Rig) -> None:
    await asyncio.gather(*(rig.function(item) for item in range(10)))
    await asyncio.sleep(0.25)
    rig.source.pause = 0.1
    await asyncio.gather(*(rig.function(item) for item in range(10)))
    computing = [asyncio.create_task(rig.function(item)) for item in range(90, 95)]
    await asyncio.sleep(0.02)
    assert not any(task.done() for task in computing)


def reader(url: str, truth: str, seconds: str, max_lag: str) -> None:
    """Read items of a function in two tiers; report what was seen when."""
    with Path(truth).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as versions:
        cache = Cache(url, timeout=0.2, max_lag=float(max_lag), name="faults")
        function = cached_versions(cache, versions)
        for item in range(ITEMS):
            function(item)
        say("ready")
        heard()
        seen: list[tuple[float, int, int]] = []
        slept, random = 0.0, Random(os.getpid())
        ends = time.monotonic() + float(seconds)
        while (now := time.monotonic()) < ends:
            item = random.randrange(ITEMS)
            seen.append((now, item, function(item)))
            slept = random.random() * 0.002
            time.sleep(slept)
        stats = function.cached_function.hit_path.hits()
        say({"seen": seen, "memory_hits": stats})


def dropper(url: str, truth: str, seconds: str, max_lag: str) -> None:
    """Change items and drop them; report which version was acknowledged when."""
    with Path(truth).open("r+b") as file, mmap(file.fileno(), 0) as versions:
        cache = Cache(url, timeout=0.2, max_lag=float(max_lag), name="faults")
        function = cached_versions(cache, versions)
        say("ready")
        heard()
        acknowledged: list[tuple[float, int, int]] = []
        random, ends = Random(0), time.monotonic() + float(seconds)
        while time.monotonic() < ends:
            item = random.randrange(ITEMS)
            version = version_of(versions, item) + 1
            WORD.pack_into(versions, item * WORD.size, version)
            [function.delete_cache, lambda n: function.delete_by_prefix(item=n)][version % 2](item)
            if not cache.engine.pending:
                acknowledged.append((time.monotonic(), item, version))
            time.sleep(random.random() * 0.02)
        say(acknowledged)


def cached_versions(cache: Cache, versions: mmap) -> Any:
    """Cache the function that reads the truth all workers share."""

    @cache.cached(key={"item": ArgsKeyField("item", partition=True)}, name="versions", ttl=60)
    def version(item: int) -> int:
        return version_of(versions, item)

    return version


def version_of(versions: mmap, item: int) -> int:
    """Return the version of an item."""
    return int(WORD.unpack_from(versions, item * WORD.size)[0])


ROLES: dict[str, Callable[..., None]] = {
    each.__name__: each for each in (holder, forker, leaver, reader, dropper)
}

if __name__ == "__main__":
    role, *given = sys.argv[1:]
    ROLES[role](*given)
