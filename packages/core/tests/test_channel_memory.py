"""How memory follows what other processes drop, and what it may serve while it cannot."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from packages.core.tests.stages import MAX_LAG, PATIENCE, Stage, Way, until, wait_until
from tiercel import ArgsKeyField, Tier
from tiercel.contracts.backend import Read
from tiercel.engine import lease
from tiercel.inspection import explain
from tiercel.inspection.records import EntryState

BY_USER = {"user": ArgsKeyField("user", partition=True)}
DROPS = [("delete_cache", {"user": 1}), ("delete_by_prefix", {"user": 1}), ("invalidate_all", {})]


@pytest.fixture
def tiers() -> Iterator[Stage]:
    """A cache whose memory follows the shared tier from a thread, as in an application."""
    made = Stage("two_tiers", threads=True)
    yield made
    made.close()


def pair(stage: Stage) -> tuple[Any, Any]:
    serial = count(1)
    return stage.pair(lambda user=1: next(serial), key=BY_USER)


def tier_of(cached: Any) -> Tier:
    tier: Tier = cached.get_with_metadata()[1]["tier"]
    return tier


def test_memory_when_channel_is_trusted_asks_nothing(tiers: Stage) -> None:
    """Hits in memory cost the server no command at all."""
    mine, _ = pair(tiers)
    assert mine() == 1
    tiers.store.commands.clear()
    assert [mine() for _ in range(100)] == [1] * 100
    assert tier_of(mine) is Tier.MEMORY
    assert not [command for command in tiers.store.commands if isinstance(command, Read)]


@pytest.mark.parametrize(("method", "arguments"), DROPS)
def test_drop_elsewhere_shows_without_any_time_passing(
    tiers: Stage, method: str, arguments: dict[str, int]
) -> None:
    """The push channel brings the drop; nobody waits for `max_lag`."""
    mine, theirs = pair(tiers)
    assert [mine(), theirs(), mine()] == [1, 1, 1]
    getattr(theirs, method)(**arguments)
    wait_until(lambda: mine() == 2)
    assert theirs() == 2


def test_drop_elsewhere_of_another_partition_leaves_memory_alone(tiers: Stage) -> None:
    """Only what was dropped leaves memory."""
    mine, theirs = pair(tiers)
    assert [mine(1), mine(2)] == [1, 2]
    # What was read before the channel was known to be whole does not stay.
    wait_until(lambda: mine.get_with_metadata(2)[1]["tier"] is Tier.MEMORY)
    theirs.delete_by_prefix(user=1)
    wait_until(lambda: mine(1) == 3)
    assert explain(mine.cached_function, (2,), {}).memory.state is EntryState.FRESH


def test_memory_when_channel_is_late_is_validated(tiers: Stage) -> None:
    """Once trust has run out, entries are checked in the shared tier before they are served."""
    mine, theirs = pair(tiers)
    assert mine() == 1
    deaf(tiers, True)
    theirs.delete_cache()
    assert mine() == 1  # still within max_lag
    tiers.clock.advance(MAX_LAG * 1.1)
    assert mine() == 2
    tiers.clock.advance(MAX_LAG * 1.1)
    assert mine.get_with_metadata()[1]["tier"] is Tier.SHARED
    deaf(tiers, False)


def deaf(tiers: Stage, on: bool) -> None:
    """Stop the channel of the first process, as if its thread had died or were starved."""
    follower = tiers.cache.engine.follower
    assert follower is not None
    if on:
        follower.close()
        wait_until(lambda: not follower.running)
        follower.start = lambda: None  # type: ignore[method-assign]
    else:
        del follower.start


@pytest.mark.parametrize("fault", ["lose_stream", "trim_stream", "rollback"])
def test_channel_when_broken_empties_memory(tiers: Stage, fault: str) -> None:
    """A lost, trimmed or reverted stream may hide drops, so nothing in memory is believed."""
    mine, theirs = pair(tiers)
    assert mine() == 1
    deaf(tiers, True)
    before = tiers.store.snapshot()
    for _ in range(3):
        theirs.delete_by_prefix(user=1)
    if fault == "rollback":
        theirs.invalidate_all()
        tiers.store.rollback(before)
        theirs.delete_by_prefix(user=1)
    elif fault == "trim_stream":
        tiers.store.trim_stream(1)
    else:
        tiers.store.lose_stream()
    deaf(tiers, False)
    tiers.settle()
    assert mine() == 2


def test_channel_when_closed_and_used_again_restarts(tiers: Stage) -> None:
    """`close` ends the threads; a later call starts them again."""
    mine, theirs = pair(tiers)
    assert mine() == 1
    tiers.cache.close()
    follower = tiers.cache.engine.follower
    assert follower is not None
    wait_until(lambda: not follower.running)
    theirs.delete_cache()
    tiers.clock.advance(1)
    assert mine() == 2
    wait_until(lambda: follower.running)


def test_fill_when_dropped_elsewhere_meanwhile_does_not_stay_in_memory(tiers: Stage) -> None:
    """A drop that falls between the read and the fill of memory is not missed."""
    begun, gate = threading.Event(), threading.Event()
    serial = count(1)

    def slow(user: int = 1) -> int:
        value = next(serial)
        begun.set()
        assert gate.wait(PATIENCE)
        return value

    mine, theirs = tiers.pair(slow, key=BY_USER)
    values: list[int] = []
    thread = threading.Thread(target=lambda: values.append(mine()))
    thread.start()
    assert begun.wait(PATIENCE)
    theirs.delete_by_prefix(user=1)
    gate.set()
    thread.join(PATIENCE)
    assert values == [1]
    wait_until(lambda: mine() == 2)  # memory may lag until the drop is announced
    assert mine() == 2


def test_memory_when_healthy_is_rechecked_now_and_then(tiers: Stage) -> None:
    """Even a trusted entry is validated again after a minute, in case a push was never sent."""
    mine, _ = pair(tiers)
    assert mine() == 1
    for name in tiers.store.names():
        if name.startswith("value/"):
            tiers.store.evict(name)  # without an announcement
    assert mine() == 1
    tiers.advance(61)
    assert mine() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not offered: fork")
def test_fork_when_memory_was_warm_the_child_starts_anew(tiers: Stage) -> None:
    """A child believes nothing it inherited, and both go on working."""
    mine, _ = pair(tiers)
    assert mine() == 1
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            trusted = tiers.cache.engine.trusts_memory()
            answer = f"{trusted} {mine()} {mine.refresh()}"
            os.write(writer, answer.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"False 1 2"
    os.close(reader)
    os.close(writer)
    assert mine() == 1


def test_mailbox_when_another_process_fills_wakes_the_waiter(
    tiers: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for another process is woken by the fill, not by a timer."""
    monkeypatch.setattr(lease, "RECONSIDER", 10 * PATIENCE)
    begun, gate = threading.Event(), threading.Event()
    filled: list[float] = []
    served: list[float] = []

    def slow(user: int = 1) -> int:
        begun.set()
        assert gate.wait(PATIENCE)
        return 1

    mine, theirs = tiers.pair(slow, key=BY_USER)

    def call(cached: Any, into: list[float]) -> None:
        cached()
        into.append(threading.get_native_id())

    first = threading.Thread(target=call, args=(mine, filled))
    first.start()
    assert begun.wait(PATIENCE)
    second = threading.Thread(target=call, args=(theirs, served))
    second.start()
    engine = theirs.cached_function.subject.engine
    wait_until(lambda: engine.wakes.address is not None)
    gate.set()
    first.join(PATIENCE)
    second.join(PATIENCE)
    assert served


async def test_channel_when_used_from_a_loop_does_not_block_it(tiers: Stage) -> None:
    """Coroutine functions follow the channel too, and the loop stays responsive."""
    way = Way("coroutine")
    serial = count(1)
    mine, theirs = tiers.pair(way.function(lambda user=1: next(serial)), key=BY_USER)
    async with asyncio.timeout(PATIENCE):
        assert [await mine(), await theirs()] == [1, 1]
        await theirs.adelete_cache()

        async def is_new() -> bool:
            return bool(await mine() == 2)

        await until(is_new)
