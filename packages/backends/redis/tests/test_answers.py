"""Nobody ever gets another caller's answer, whatever is cancelled, timed out or interrupted."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tiercel.spi import BackendUnavailable, Key, Read, ReadMany
from tiercel.testing.servers import RedisServer, wait_until

Caller = Any  # conftest.py, which tests cannot import
KEYS = 20


@pytest.fixture
def call(url: str, open_caller: Callable[..., Caller]) -> Iterator[Caller]:
    caller: Iterator[Caller] = open_caller(url)
    return caller


def fill_all(call: Caller) -> tuple[list[Key], dict[str, bytes]]:
    """Store a different body under each key."""
    keys = [call.key(f"k{n}", partition=f"p{n}") for n in range(KEYS)]
    return keys, {key.text: call.fill(key, b"%d" % n * (n * 50)) for n, key in enumerate(keys)}


def test_tasks_when_cancelled_at_random_then_the_others_get_their_own_answers(
    call: Caller,
) -> None:
    """Two thousand reads on one loop, a third of them cancelled under way: none is wrong."""
    keys, stored = fill_all(call)

    async def read(chance: random.Random) -> bool:
        asked = chance.sample(keys, 2)
        if chance.random() < 0.5:
            payloads = [(await call.backend.aexecute(Read(key))).payload for key in asked]
        else:
            payloads = [r.payload for r in await call.backend.aexecute(ReadMany(asked))]
        return payloads == [stored[key.text] for key in asked]

    async def hammer() -> int:
        chance, done = random.Random(1), 0
        for _ in range(40):
            tasks = [asyncio.create_task(read(chance)) for _ in range(50)]
            for task in chance.sample(tasks, 17):
                delay = chance.random() * 0.004
                asyncio.get_running_loop().call_later(delay, task.cancel)
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(result, asyncio.CancelledError):
                    assert result is True
                    done += 1
        await call.backend.aclose()
        return done

    assert asyncio.run(hammer()) > 1000


class Interrupted(BaseException):
    """What a signal handler or a worker's time limit may raise anywhere."""


def test_threads_when_interrupted_between_send_and_read_then_no_answer_is_wrong(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads read while a tenth of all replies is cut off by an exception: none is wrong."""
    from tiercel_redis.sockets import Socket

    keys, stored = fill_all(call)
    chance = random.Random(2)
    original = Socket.receive

    def receive(self: Any, count: int) -> list[Any]:
        if chance.random() < 0.1:
            raise Interrupted
        return original(self, count)

    monkeypatch.setattr(Socket, "receive", receive)
    results: list[bool] = []

    def hammer() -> None:
        for n in range(200):
            asked = [keys[n % KEYS], keys[(n * 7 + 3) % KEYS]]
            with suppress(Interrupted):
                payloads = [r.payload for r in call.backend.execute(ReadMany(asked))]
                results.append(payloads == [stored[key.text] for key in asked])
            with suppress(Interrupted):
                reading = call.backend.execute(Read(asked[0]))
                results.append(reading.payload == stored[asked[0].text])

    run_threads(hammer, 8)
    assert len(results) > 800
    assert all(results)


def test_threads_when_the_server_stalls_now_and_then_then_no_answer_is_wrong(
    open_caller: Callable[..., Caller],
) -> None:
    """Late replies to reads that timed out are not taken for the answer to the next."""
    with RedisServer() as server:
        keys, stored = fill_all(open_caller(server.url))
        call = open_caller(server.url, timeout=0.1)
        stop = threading.Event()
        wrong: list[object] = []
        right: list[object] = []

        def hammer() -> None:
            chance = random.Random(threading.get_ident())
            while not stop.is_set():
                key = chance.choice(keys)
                with suppress(BackendUnavailable):
                    payload = call.backend.execute(Read(key)).payload
                    (right if payload == stored[key.text] else wrong).append(key)

        def stall() -> None:
            try:
                for _ in range(8):
                    server.pause()
                    stop.wait(0.15)
                    server.resume()
                    before = len(right)
                    wait_until(lambda: len(right) > before, "an answer", 60.0)  # noqa: B023
            finally:
                stop.set()

        run_threads(hammer, 4, stall)
    assert not wrong
    assert right


def test_loops_when_several_run_one_after_another_then_each_has_its_own_connection(
    call: Caller,
) -> None:
    """A backend serves any number of event loops, closed or not."""
    keys, stored = fill_all(call)

    async def read(*, close: bool) -> bytes | None:
        reading = await call.backend.aexecute(Read(keys[3]))
        if close:
            await call.backend.aclose()
        payload: bytes | None = reading.payload
        return payload

    for close in (True, False, False, True):
        assert asyncio.run(read(close=close)) == stored[keys[3].text]


def test_threads_when_there_are_more_than_connections_then_they_take_turns(
    url: str, open_caller: Callable[..., Caller]
) -> None:
    """Twenty threads share two connections; none fails."""
    call = open_caller(url, options={"max_connections": "2"})
    keys, stored = fill_all(call)
    results: list[bool] = []

    def hammer() -> None:
        read = call.backend.execute
        results.extend(read(Read(key)).payload == stored[key.text] for key in keys)

    run_threads(hammer, 20)
    assert results == [True] * 20 * KEYS


def run_threads(work: Callable[[], None], count: int, *others: Callable[[], None]) -> None:
    """Run `work` in many threads and each of the others in one, to their end."""
    threads = [threading.Thread(target=target) for target in (*[work] * count, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
        assert not thread.is_alive()
