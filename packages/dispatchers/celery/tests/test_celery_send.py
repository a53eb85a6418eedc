"""What the dispatcher puts into a broker, and what it does while the broker does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tiercel_celery
from packages.dispatchers.celery.tests.brokers import TestQueue, celery_app, wait_for_brokers
from tests.brokers.sending import SendingTests, message
from tiercel import Cache
from tiercel.dispatch import refresh_task
from tiercel.testing.servers import free_port
from tiercel_celery import publisher
from tiercel_celery.dispatcher import CeleryDispatcher
from tiercel_celery.publisher import BrokerStuck

LIMIT = 3.0
"""Seconds that an answer may take where a test is about those that never come."""

SOON = 3 * LIMIT
"""Seconds within which a broker that does not answer must be given up; measured is the limit."""

PAUSE = 600.0
"""Seconds for which such a broker is not asked again."""

Make = Callable[..., CeleryDispatcher]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make dispatchers that are closed after the test."""
    made: list[CeleryDispatcher] = []

    def make_one(url: str, queue: TestQueue, **options: Any) -> CeleryDispatcher:
        app = celery_app(url, task_queues=[tiercel_celery.queue(queue.name)])
        made.append(CeleryDispatcher(app=app, queue=queue.name, **options))
        return made[-1]

    yield make_one
    for dispatcher in made:
        dispatcher.close(1.0)


def test_message_when_sent_then_it_is_one_json_text_in_the_named_queue(
    url: str, queue: TestQueue, make: Make
) -> None:
    """The queue is honoured, nothing is pickled, and the message says how it is to be retried."""
    text = '{"v":1,"function":"shop:price"}'
    sent = message(text)
    make(url, queue, max_retries=7, min_backoff=0.5, max_backoff=60.0).send(sent)
    taken = queue.take()
    assert taken is not None
    assert (taken.args, taken.content_type) == ([text], "application/json")
    assert taken.headers["task"] == "tiercel.perform"
    assert taken.headers["id"] == sent.id
    assert taken.headers["tiercel_retries"] == [7, 0.5, 60.0]
    assert taken.headers["ignore_result"] is True
    assert queue.take() is None


def test_message_when_the_app_serializes_otherwise_then_it_is_json_all_the_same(
    url: str, queue: TestQueue
) -> None:
    """The serializer of the application's own tasks does not matter."""
    app = celery_app(url, task_serializer="pickle", task_queues=[tiercel_celery.queue(queue.name)])
    dispatcher = CeleryDispatcher(app=app, queue=queue.name)
    dispatcher.send(message())
    dispatcher.close(1.0)
    taken = queue.take()
    assert taken is not None
    assert taken.content_type == "application/json"


def test_message_when_delayed_then_a_worker_may_not_have_it_before(
    url: str, queue: TestQueue, make: Make
) -> None:
    """A delay becomes the time from which on workers may start."""
    dispatcher = make(url, queue)
    dispatcher.send(message())
    dispatcher.send(message(delay=60.0))
    at_once, later = queue.drain()
    assert at_once.headers["eta"] is None
    assert later.headers["eta"] is not None


def test_messages_when_they_have_priorities_then_higher_ones_come_first(
    url: str, queue: TestQueue, make: Make
) -> None:
    """9 goes first on RabbitMQ and on Redis, although Celery means the opposite on the latter."""
    for priority in (0, 9, 4):
        make(url, queue, priority=priority).send(message(str(priority)))
    assert [taken.args for taken in queue.drain()] == [["9"], ["4"], ["0"]]


def test_priority_when_the_queue_keeps_none_then_the_log_says_how_to_declare_it(
    queue: TestQueue, proxied: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RabbitMQ ignores priorities in silence unless the queue was declared for them."""
    dispatcher = CeleryDispatcher(app=celery_app(proxied), queue=queue.name, priority=5)
    dispatcher.send(message())
    dispatcher.close(1.0)
    assert f"tiercel_celery.install(app, '{queue.name}')" in caplog.text


class LaterClock:
    """The time, and some more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


class TestCeleryBrokers(SendingTests):
    """On brokers that break."""

    soon = SOON
    refusals = r"refused|in time|timed out|Timeout|reset|closed"
    in_order = False  # what was given up may still be on its way

    @pytest.fixture(autouse=True)
    def patches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing that a test changes outlasts it."""
        self.monkeypatch, self.clock = monkeypatch, LaterClock()

    def expect_silence(self) -> None:
        """Answers have a limit, and a broker that did not answer is asked again when a test says.

        Connections have their limits from the beginning.
        """
        self.monkeypatch.setattr(publisher, "PAUSE", PAUSE)
        self.monkeypatch.setattr(publisher, "time", self.clock)
        wait_for_brokers(LIMIT)

    def send_when_asked_again(self, dispatcher: CeleryDispatcher, text: str) -> None:
        with pytest.raises(BrokerStuck):
            dispatcher.send(message("too soon"))
        self.clock.ahead = PAUSE
        dispatcher.send(message(text))


def test_app_when_it_is_always_eager_then_the_task_is_performed_at_once() -> None:
    """Test suites of applications often have no broker."""
    computed: list[int] = []
    cache = Cache()

    @cache.cached(name="eager:double")
    def double(number: int) -> int:
        computed.append(number)
        return 2 * number

    app = celery_app(f"redis://127.0.0.1:{free_port()}/0", task_always_eager=True)
    function = getattr(double, "cached_function")  # noqa: B009 - a plain function, for types
    task = refresh_task(function.subject, function.call((2,), {}))
    CeleryDispatcher(app=app).dispatch(task)
    assert computed == [2]
    assert double(2) == 4
    assert computed == [2]
