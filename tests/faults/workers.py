"""What the worker processes of these tests do: `python -m tests.faults.workers ROLE ARGUMENTS`."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.faults.rig import PATIENCE, PATIENT, Rig, Shape, Source
from tiercel import ArgsKeyField, Cache
from tiercel.errors import AtMostOnceError

CROWD = 4
"""How many mixers there are; each item has one of them that changes it."""

VERSION: Final = "q"
"""How a version is kept in the file that all workers share: eight bytes."""


def say(what: Any) -> None:
    """Tell the test something."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def heard() -> str:
    """Wait for the test to say something."""
    return sys.stdin.readline().strip()


def holder(url: str, lease: str) -> None:
    """Take a lease and compute until told to go on."""
    rig = Rig(url, Shape(asynchronous=False, memory=False), timeout=PATIENT)

    def compute(_: int) -> int:
        say("computing")
        heard()
        return 0

    function = rig.cached(compute, "held", lease=float(lease))
    value = function(1)
    say({"value": value, "refused": function.cached_function.subject.stats.refused})


def once(url: str, promise: Any, path: str, lease: str) -> None:
    """Leave a trace on disk for each computation, with the value that it brings."""
    cache = Cache(url, memory=100, timeout=PATIENT, name="faults")

    name, life = f"faults:{promise}", float(lease)

    @cache.cached(ttl=600, lease=life, wait=300, name=name, atomic_writes=promise)
    def compute(item: int) -> int:
        with Path(path).open("ab", buffering=0) as file:
            file.write(b"%d\n" % os.getpid())
        say("computing")
        time.sleep(1.0)
        return os.getpid()

    say("ready")
    heard()
    try:
        say({"value": compute(1)})
    except AtMostOnceError as error:
        say({"error": type(error).__name__})


def forker(url: str, asynchronous: str, memory: str, how: str) -> None:
    """Fork while other threads compute and read, and report what the child and the parent see."""
    rig = Rig(url, Shape(asynchronous == "1", memory == "1"), name="forked", timeout=PATIENT)
    slow = rig.cached(_acompute_slowly if rig.shape.asynchronous else _compute_slowly, "slow")
    assert [rig.call(item) for item in range(20)] == [0] * 20
    ended = threading.Event()
    threads = [threading.Thread(target=_keep_reading, args=(rig, ended)) for _ in range(3)]
    threads.append(threading.Thread(target=_ask, args=(rig, slow)))
    for thread in threads:
        thread.start()
    assert _begun.wait(PATIENCE)
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


_begun = threading.Event()


def _compute_slowly(_: int) -> int:
    _begun.set()
    time.sleep(0.5)
    return os.getpid()


async def _acompute_slowly(_: int) -> int:
    _begun.set()
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
    while follower is not None and not trusted and time.monotonic() < began + PATIENCE:
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
    rig = Rig(url, Shape(asynchronous == "1", memory == "1"), ttl=0.2, stale=600, timeout=PATIENT)
    if rig.shape.asynchronous:
        asyncio.run(_aleave(rig))
    else:
        _leave(rig)
    say(time.time())


def dropper_at_last(url: str, asynchronous: str) -> None:
    """Drop while the server is away, then end."""
    rig = Rig(url, Shape(asynchronous == "1", memory=False), name="last")
    rig.call(1)
    say("ready")
    heard()
    rig.run(rig.drop(1, 1))
    say(len(rig.cache.engine.pending))
    heard()


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
    rig.source.pause = 600.0
    computing = [asyncio.create_task(rig.function(item)) for item in range(90, 95)]
    await asyncio.sleep(0.02)
    assert not any(task.done() for task in computing)


def reader(url: str, truth: str, seconds: str, max_lag: str) -> None:
    """Read items of a function in two tiers; report what was seen when."""
    with versions_in(truth) as versions:
        cache = Cache(url, timeout=PATIENT, max_lag=float(max_lag), name="faults")
        function = cached_versions(cache, versions)
        items, seen = len(versions), list[tuple[float, int, int]]()
        for item in range(items):
            function(item)
        say("ready")
        heard()
        random, ends = Random(os.getpid()), time.monotonic() + float(seconds)
        while (now := time.monotonic()) < ends or not remembered(function, len(seen)):
            assert now < ends + PATIENCE, "memory is not trusted"
            item = random.randrange(items)
            seen.append((now, item, function(item)))
            time.sleep(0.0005)
        say({"seen": seen, "memory_hits": function.cached_function.stats().memory_hits})


def dropper(url: str, truth: str, seconds: str, max_lag: str) -> None:
    """Change items and drop them; report which version was acknowledged when."""
    with versions_in(truth) as versions:
        cache = Cache(url, timeout=PATIENT, max_lag=float(max_lag), name="faults")
        function = cached_versions(cache, versions)
        items, acknowledged = len(versions), list[tuple[float, int, int]]()
        say("ready")
        heard()
        random, ends = Random(0), time.monotonic() + float(seconds)
        while (now := time.monotonic()) < ends or len(acknowledged) <= 10 * float(seconds):
            assert now < ends + PATIENCE, "drops are not made"
            item = random.randrange(items)
            versions[item] = version = versions[item] + 1
            [function.delete_cache, lambda n: function.delete_by_prefix(item=n)][version % 2](item)
            if not cache.engine.pending:
                acknowledged.append((time.monotonic(), item, version))
            time.sleep(random.random() * 0.02)
        say(acknowledged)


def mixer(url: str, truth: str, operations: str, max_lag: str, number: str) -> None:
    """Read, change, refresh and drop items; report what was seen and what was acknowledged when."""
    with versions_in(truth) as versions:
        cache = Cache(url, timeout=0.2, max_lag=float(max_lag), name="faults")
        function = cached_versions(cache, versions)
        items, random = len(versions), Random(int(number))
        ways = [function.delete_cache, lambda n: function.delete_by_prefix(item=n)]
        ways.append(function.refresh)
        seen, acknowledged = list[tuple[float, int, int]](), list[tuple[float, int, int]]()
        say("ready")
        heard()
        least, deadline, done = int(operations), time.monotonic() + PATIENCE, 0
        while done < least or not (remembered(function, least) and len(acknowledged) > least / 200):
            done += 1
            assert done < least or time.monotonic() < deadline, "too little is shared"
            time.sleep(0.0003)  # else all would be over before the first connection is back
            item = random.randrange(items)
            if random.random() < 0.9:
                now = time.monotonic()
                seen.append((now, item, function(item)))
                continue
            if item % CROWD == int(number):
                versions[item] += 1
            version = versions[item]
            random.choice(ways)(item)
            if not cache.engine.pending:
                acknowledged.append((time.monotonic(), item, version))
        hits = function.cached_function.stats().memory_hits
        say({"seen": seen, "acknowledged": acknowledged, "memory_hits": hits})


def remembered(function: Any, calls: int) -> bool:
    """Tell whether memory has served its part of so many calls."""
    return int(function.cached_function.stats().memory_hits) > calls / 10


def burner(seconds: str) -> None:
    """Keep a core busy."""
    say("ready")
    heard()
    ends = time.monotonic() + float(seconds)
    while time.monotonic() < ends:
        sum(range(10_000))
    say("done")


def answerer(url: str, asynchronous: str, memory: str) -> None:
    """Do one thing after the other, as the test says, and say what came of it."""
    source = Source()
    with Rig(url, Shape(bool(int(asynchronous)), bool(int(memory))), source, name="told") as rig:
        pending = rig.cache.engine.pending
        doings: dict[str, Callable[..., Any]] = {
            "call": lambda: rig.call(1),
            "change": lambda: source.change(1),
            "drop": lambda how: rig.run(rig.drop(1, int(how))),
            "asked": lambda: source.asked[1],
            "owes": lambda: not rig.recovered(),
            "follows": lambda: rig.cache.engine.trusts_memory(),
            "knows": lambda: pending.journal is not None and len(pending.journal.recall()),
            "noticed": lambda: pending.reversals > 0,
        }
        say("ready")
        while words := heard().split():
            say(doings[words[0]](*words[1:]))


@contextmanager
def versions_in(truth: str) -> Iterator[memoryview[int]]:
    """Share the versions of all items, in a file of them.

    Through a cast view, which writes a version in one step: `struct.pack_into` writes zeros first,
    which another process may read.
    """
    with (
        Path(truth).open("r+b") as file,
        mmap(file.fileno(), 0) as memory,
        memoryview(memory) as whole,
        whole.cast(VERSION) as versions,
    ):
        yield versions


def cached_versions(cache: Cache, versions: memoryview[int]) -> Any:
    """Cache the function that reads the truth all workers share."""

    @cache.cached(key={"item": ArgsKeyField("item", partition=True)}, name="versions", ttl=60)
    def version(item: int) -> int:
        return versions[item]

    return version


ROLES: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (
        holder,
        once,
        forker,
        leaver,
        dropper_at_last,
        reader,
        dropper,
        mixer,
        burner,
        answerer,
    )
}

if __name__ == "__main__":
    role, *given = sys.argv[1:]
    ROLES[role](*given)
