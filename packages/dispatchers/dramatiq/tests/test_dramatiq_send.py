"""What the dispatcher puts into a broker, and what it does while the broker does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from dramatiq.common import current_millis

from packages.dispatchers.dramatiq.tests.brokers import (
    PATIENCE,
    TestQueue,
    open_broker,
    wait_for_brokers,
)
from tests.brokers.sending import SendingTests, message
from tiercel_dramatiq.dispatcher import DramatiqDispatcher
from tiercel_dramatiq.sender import BrokerStuck, Sender

LIMIT = 1.0
"""Seconds that an answer may take where a test is about those that never come."""

SOON = 10 * LIMIT
"""Seconds within which a broker that does not answer must be given up; measured is the limit."""

Make = Callable[..., DramatiqDispatcher]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make dispatchers that are closed after the test."""
    made: list[DramatiqDispatcher] = []

    def make_one(url: str, queue: TestQueue, **options: int | float) -> DramatiqDispatcher:
        made.append(DramatiqDispatcher(broker=open_broker(url), queue=queue.name, **options))
        return made[-1]

    yield make_one
    for dispatcher in made:
        dispatcher.close(PATIENCE)
        dispatcher.broker.close()


def test_message_when_sent_then_it_is_one_text_in_the_named_queue(
    url: str, queue: TestQueue, make: Make
) -> None:
    """The queue is honoured, and the message says how it is to be retried."""
    text = '{"v":1,"function":"shop:price"}'
    make(url, queue, max_retries=7, min_backoff=0.5, max_backoff=60.0).send(message(text))
    (taken,) = queue.drain()
    assert (taken.actor_name, taken.args, taken.kwargs) == ("tiercel", (text,), {})
    retries = {"max_retries": 7, "min_backoff": 500, "max_backoff": 60_000}
    assert taken.options | retries == taken.options


def test_message_when_delayed_then_a_worker_may_not_have_it_before(
    url: str, queue: TestQueue, make: Make
) -> None:
    """A delayed message waits in the queue that Dramatiq has for that."""
    make(url, queue).send(message(delay=60.0))
    assert queue.drain() == []
    (taken,) = queue.drain(delayed=True)
    assert 55_000 < taken.options["eta"] - current_millis() < 61_000


def test_messages_when_they_have_priorities_then_rabbitmq_delivers_higher_ones_first(
    queue: TestQueue, proxied: str, make: Make
) -> None:
    """The priority of the dispatcher is that of the broker's messages."""
    for priority in (0, 9, 4):
        make(proxied, queue, priority=priority).send(message(str(priority)))
    assert queue.texts() == ["9", "4", "0"]


class TestDramatiqBrokers(SendingTests):
    """On brokers that break."""

    soon = SOON
    refusals = r"refused|answered|Timeout|reset|closed"

    def lose_patience(self) -> None:
        wait_for_brokers(LIMIT)

    def send_when_asked_again(self, dispatcher: DramatiqDispatcher, text: str) -> None:
        wait_for_brokers(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return dispatcher.send(message(text))
            except BrokerStuck:
                assert time.monotonic() < deadline, "the dispatcher does not recover"
                time.sleep(0.05)


def test_sender_when_many_threads_ask_then_all_is_done_in_one_thread() -> None:
    """Whoever sends, there is one connection."""
    sender = Sender()
    names: list[str] = []
    threads = [
        threading.Thread(
            target=sender.do, args=[lambda: names.append(threading.current_thread().name)]
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.stop(PATIENCE)
    assert names == ["tiercel-dramatiq"] * 20


def test_sender_when_stopped_then_it_does_first_what_was_asked_for_and_may_start_again() -> None:
    """A dispatcher that is used after it was closed works all the same."""
    sender = Sender()
    done: list[int] = []
    sender.do(lambda: done.append(1))
    sender.stop(PATIENCE)
    sender.do(lambda: done.append(2))
    sender.stop(PATIENCE)
    assert done == [1, 2]
