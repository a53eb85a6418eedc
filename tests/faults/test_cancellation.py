"""Tasks that are cancelled at any point, and event loops that come and go."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from tests.faults.rig import PATIENT, Rig, Shape, note
from tiercel.testing.servers import RedisServer, wait_until

SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 30))]
LEASE = 240.0
"""Seconds that a lease lasts which nobody gives back; who would wait for it is noticed."""

BOTH = [Shape(asynchronous=True, memory=memory) for memory in (False, True)]


@contextmanager
def nothing_unhandled() -> Iterator[None]:
    """Fail if the running loop is told of an exception that nobody has retrieved."""
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    yield
    gc.collect()
    assert unhandled == []


@pytest.mark.parametrize("shape", BOTH, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
async def test_tasks_when_cancelled_at_random_then_others_get_their_own_values(
    redis: RedisServer, shape: Shape, seed: int
) -> None:
    """200 tasks at a time: no value of another key, no flight or lease left behind."""
    random, cancelled, served = Random(seed), 0, 0
    rig = Rig(redis.url, shape, timeout=PATIENT, lease=LEASE)

    async def read(item: int) -> dict[str, int]:
        await asyncio.sleep(random.random() * 0.03)
        return {"item": item}

    function = rig.cached(read, f"cancelled-{shape}-{seed}", lease=LEASE)
    with nothing_unhandled():
        for done in range(1, 6):
            await function.ainvalidate_all()
            items = [random.randrange(40) for _ in range(200)]
            tasks = [asyncio.ensure_future(function(item)) for item in items]
            for task in random.sample(tasks, 200):
                if random.random() < 0.8:
                    task.cancel()
                if random.random() < 0.1:
                    await asyncio.sleep(random.random() * 0.003)
                if random.random() < 0.05:
                    await function.ainvalidate_all()
            values = await asyncio.gather(*tasks, return_exceptions=True)
            for item, value in zip(items, values, strict=True):
                cancelled += isinstance(value, asyncio.CancelledError)
                served += value == {"item": item}
            assert cancelled + served == 200 * done
        async with asyncio.timeout(LEASE / 4):
            values = await asyncio.gather(*(function(item) for item in range(40)))
        assert values == [{"item": item} for item in range(40)]
        flights = function.cached_function.subject.flights
        await asyncio.to_thread(wait_until, lambda: not len(flights), "the last flight")
    note(f"{shape}: {cancelled} cancelled, {served} served")
    await rig.aclose()


@pytest.mark.parametrize("shape", BOTH, ids=str)
def test_loop_when_it_ends_during_computations_then_the_next_one_is_not_held_up(
    redis: RedisServer, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """`asyncio.run` cancels what is under way; its leases and flights go with it."""
    rig = Rig(redis.url, shape, timeout=PATIENT, lease=LEASE)
    rig.source.pause = 2 * LEASE

    async def abandon(after: float) -> None:
        for item in range(20):
            asyncio.ensure_future(rig.function(item))  # noqa: RUF006
        await asyncio.sleep(after)

    for after in (0.0, 0.002, 0.02, 0.1):
        asyncio.run(abandon(after))
    rig.source.pause = 0.0

    async def ask() -> list[int]:
        async with asyncio.timeout(LEASE / 4):
            return list(await asyncio.gather(*(rig.function(item) for item in range(20))))

    assert asyncio.run(ask()) == [0] * 20
    assert len(rig.function.cached_function.subject.flights) == 0
    rig.cache.close()
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("shape", BOTH, ids=str)
def test_loops_when_one_follows_another_then_the_function_works_on_each(
    redis: RedisServer, shape: Shape
) -> None:
    """One cached function under several `asyncio.run`, then in several threads at once."""
    rig = Rig(redis.url, shape, timeout=PATIENT, lease=LEASE)
    rig.source.pause = 0.02
    for item in range(3):
        assert asyncio.run(rig.function(item)) == 0
        assert asyncio.run(rig.function(0)) == 0

    async def several() -> list[int]:
        return list(await asyncio.gather(*(rig.function(item) for item in range(10, 30))))

    answers: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(asyncio.run(several()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[0] * 20] * 8
    assert set(rig.source.asked.values()) == {1}
    rig.cache.close()
    gc.collect()
