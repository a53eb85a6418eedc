"""Drops that could not be made while the server was away are made when it is back."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.faults.programs import program
from tests.faults.rig import PATIENCE, SHAPES, Rig, Shape, Source, note
from tiercel.contracts.backend import DropKey, DropScopes, Key, Scope
from tiercel.engine.outage import PendingDrops
from tiercel.testing.servers import RedisServer, wait_until


@pytest.mark.parametrize("away", ["restarted", "stopped"])
def test_drop_when_the_server_comes_back_with_old_data_then_it_is_made_up_for(
    redis: RedisServer, shape: Shape, away: str
) -> None:
    """Who owes the drop never reads the old value; once it is paid, nobody does."""
    source = Source()
    with (
        Rig(redis.url, shape, source, name="owed", timeout=1.0) as mine,
        Rig(redis.url, shape, source, name="owed", timeout=1.0) as other,
    ):
        assert [mine.call(1), other.call(1)] == [0, 0]
        assert source.asked[1] == 1
        if away == "restarted":
            redis.command("SAVE")
            redis.kill()
        else:
            redis.pause()
        mine.change(1)
        assert mine.call(1) == 1
        if away == "restarted":
            redis.start()
            assert redis.command("DBSIZE") != "0"
        else:
            redis.resume()
        back = time.monotonic()
        while not mine.recovered():
            assert mine.call(1) == 1
            assert time.monotonic() < back + PATIENCE
        note(f"{shape}, {away}: paid after {time.monotonic() - back:.2f} s")
        time.sleep(other.cache.engine.max_lag)
        wait_until(lambda: other.recovered() or other.call(1) < 0, "the other", PATIENCE)
        assert [mine.call(1), other.call(1)] == [1, 1]


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]], ids=str)
def test_drops_when_many_are_owed_then_they_are_paid_without_any_call(
    redis: RedisServer, shape: Shape
) -> None:
    """A process that only drops pays as well, and soon."""
    with Rig(redis.url, shape) as rig:
        items = range(1000)
        redis.kill()
        for item in items:
            rig.change(item, how=2)
        assert len(rig.cache.engine.pending) == len(items)
        redis.start()
        back = time.monotonic()
        wait_until(lambda: not rig.cache.engine.pending, "the drops that are owed", PATIENCE)
        note(f"{shape}: {len(items)} drops paid after {time.monotonic() - back:.2f} s")


def test_drops_when_too_many_are_owed_then_they_are_widened_but_tags_are_not() -> None:
    """Memory is bounded; nothing that was dropped becomes readable by it."""
    pending = PendingDrops(limit=2)
    function = Scope("t:f:v1!1.0")
    keys = [Key(f"t:f:v1:p={n}:", (function.name, f"t:f:v1:p={n}!1.0"), "") for n in range(5)]
    for key in keys:
        pending.add(DropKey(key), function)
    pending.add(DropScopes((Scope(keys[4].scopes[1]),), 60.0), function)
    pending.add(DropScopes((Scope("t!tag:x"),), 60.0), function)
    assert all(pending.covers(key) for key in keys)
    assert len(pending) == 2 + 1 + 1
    assert pending.covers(Key("t:g:v1:p=1:", ("t:g:v1!1.0", "t!tag:x"), ""))
    assert not pending.covers(Key("t:g:v1:p=1:", ("t:g:v1!1.0",), ""))


async def test_drop_when_its_caller_is_cancelled_then_it_is_made_nevertheless(
    redis: RedisServer,
) -> None:
    """What it was for has happened, so it must not get lost."""
    shape = Shape(asynchronous=True, memory=False)
    rig = Rig(redis.url, shape)
    assert await rig.function(1) == 0
    redis.pause()
    rig.source.change(1)
    drop = asyncio.create_task(rig.function.adelete_cache(1))
    await asyncio.sleep(0.05)
    drop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drop
    redis.resume()
    assert await rig.function(1) == 1
    await rig.aclose()


@pytest.mark.parametrize("comes_back", [True, False])
@pytest.mark.parametrize("asynchronous", ["0", "1"])
def test_drop_when_its_process_ends_then_it_is_made_at_last_or_said_to_be_lost(
    redis: RedisServer, asynchronous: str, comes_back: bool
) -> None:
    """Of what a process owes, nobody else knows."""
    with program("dropper_at_last", redis.url, asynchronous) as worker:
        assert worker.hear() == "ready"
        redis.command("SAVE")
        redis.kill()
        worker.tell()
        assert worker.hear() == 1
        if comes_back:
            redis.start()
        worker.tell()
        said = worker.end()
    assert ("the process ends before" in said) == (not comes_back)
    if not comes_back:
        redis.start()
    source = Source()
    with Rig(redis.url, SHAPES[1], source, name="last") as rig:
        rig.call(1)
        assert bool(source.asked[1]) == comes_back
