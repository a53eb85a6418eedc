"""What the dispatcher puts into django-q2, looked at through its tables."""

from __future__ import annotations

import ast
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.brokers import Broker, get_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from redis import RedisError

from tiercel.spi import BadMessage, Message, TaskKind
from tiercel.testing.servers import RedisServer
from tiercel_django_q.dispatcher import DjangoQDispatcher
from tiercel_django_q.order import Order
from tiercel_django_q.tasks import perform

pytestmark = pytest.mark.django_db(transaction=True)


def message(delay: float = 0.0) -> Message:
    return Message('{"secret":1}', "id1", TaskKind.INVALIDATE, "m:f", "", delay)


def only_task() -> dict[str, Any]:
    (row,) = OrmQ.objects.all()
    return dict(row.task)


def order_in(task: dict[str, Any]) -> Order:
    (text,) = task["args"]
    return Order.read(text)


def orders() -> list[Order]:
    return [order_in(row.task) for row in OrmQ.objects.order_by("pk")]


@pytest.fixture
def on_redis(monkeypatch: pytest.MonkeyPatch, redis: RedisServer) -> Broker:
    """Has this process use django-q2's Redis broker."""
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "REDIS", redis.patient_url)
    return get_broker()


def test_message_when_sent_then_the_task_has_one_text() -> None:
    """What is ours is one JSON text; what django-q2 shows of it has no argument."""
    DjangoQDispatcher(group="mine", timeout=9, save=True).send(message())
    task = only_task()
    assert (task["func"], task["kwargs"]) == ("tiercel_django_q.tasks.perform", {})
    assert [type(each) for each in task["args"]] == [str]
    assert task["name"] == "invalidate of m:f"
    assert (task["group"], task["timeout"], task["save"]) == ("mine", 9, True)
    assert order_in(task).text == '{"secret":1}'


def test_queue_when_it_is_named_then_only_that_cluster_gets_the_task() -> None:
    """`queue=` is honoured."""
    DjangoQDispatcher(queue="drops").send(message())
    assert [row.key for row in OrmQ.objects.all()] == ["drops"]


def test_message_when_delayed_on_the_orm_then_its_row_is_locked_that_long() -> None:
    """Nobody takes it before, and it needs no scheduler."""
    before = timezone.now()
    DjangoQDispatcher().send(message(delay=30))
    (row,) = OrmQ.objects.all()
    assert before + timedelta(seconds=30) <= row.lock <= timezone.now() + timedelta(seconds=30)
    assert get_broker().dequeue() is None


def test_message_when_delayed_on_redis_then_it_waits_in_the_table_of_schedules(
    on_redis: Broker,
) -> None:
    """django-q2's own scheduler moves it to the queue of the right cluster when it is time."""
    DjangoQDispatcher(queue="shop").send(message(delay=30))
    (waiting,) = Schedule.objects.all()
    assert timezone.now() + timedelta(seconds=25) < waiting.next_run
    scheduler(on_redis)
    assert on_redis.queue_size() == 0
    Schedule.objects.update(next_run=timezone.now())
    scheduler(on_redis)
    assert on_redis.queue_size() == 1
    assert not Schedule.objects.exists()


def test_try_when_it_fails_then_the_next_one_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure but the last leaves an order for the next try behind, and is none itself."""
    _fail_with(monkeypatch, RuntimeError("no"))
    DjangoQDispatcher(max_retries=2, min_backoff=10).send(message())
    for pause in (10, 20):
        task = only_task()
        OrmQ.objects.all().delete()
        assert not task["ack_failure"]
        perform(*task["args"])
        (row,) = OrmQ.objects.all()
        assert pause - 5 < (row.lock - timezone.now()).total_seconds() <= pause
    assert only_task()["ack_failure"]
    with pytest.raises(RuntimeError, match="no"):
        perform(*only_task()["args"])
    assert len(orders()) == 1


def test_message_when_it_is_none_of_ours_then_the_next_try_is_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No retry would help; the last try is one that django-q2 keeps as failed."""
    DjangoQDispatcher().send(message())
    perform(*only_task()["args"])
    first, second = orders()
    assert (first.is_last, second.is_last) == (False, True)
    with pytest.raises(BadMessage):
        perform(second.write())
    assert len(orders()) == 2


@pytest.mark.parametrize("given", ["", "[]", '{"text": "x"}', '{"no": 1}', "[" * 9999])
def test_task_when_it_holds_no_order_then_it_is_refused(given: str) -> None:
    """Whatever another version or program has put there."""
    with pytest.raises(BadMessage):
        perform(given)


def test_schedule_when_planted_by_several_then_there_is_one_row_with_the_newest_content() -> None:
    """Each process of an application plants its schedules when it starts."""
    for minutes in (1, 1, 5):
        assert DjangoQDispatcher(queue="drops").schedule("tiercel:m:f", minutes * 60, message())
    Schedule.objects.create(name="tiercel:m:f", func="x")
    assert DjangoQDispatcher(queue="drops").schedule("tiercel:m:f", 300.0, message())
    (row,) = Schedule.objects.all()
    assert (row.name, row.minutes, row.repeats) == ("tiercel:m:f", 5, -1)
    assert (row.cluster, row.schedule_type) == ("drops", Schedule.MINUTES)
    assert Order.read(*ast.literal_eval(row.args)).text == message().text


def test_schedule_when_it_is_due_then_the_cluster_gets_the_task() -> None:
    """django-q2's own scheduler sends it, with the options of any other task of ours."""
    assert DjangoQDispatcher().schedule("tiercel:m:f", 60, message())
    scheduler(get_broker())
    task = only_task()
    assert order_in(task).text == message().text
    assert (task["group"], task["save"]) == ("tiercel", False)


def test_schedule_when_its_name_is_long_then_it_still_is_one_row() -> None:
    """django-q2 has 100 characters for it."""
    for name in ("tiercel:" + "f" * 200, "tiercel:" + "f" * 201, "tiercel:" + "f" * 200):
        assert DjangoQDispatcher().schedule(name, 60, message())
    names = [row.name for row in Schedule.objects.all()]
    assert [len(name) for name in names] == [72, 72]
    assert len(set(names)) == 2


@pytest.mark.parametrize("every", [30, 90, 0.5, 60 * 40_000])
def test_schedule_when_django_q_cannot_do_it_then_it_is_declined(every: float) -> None:
    """It knows whole minutes, and not too many of them."""
    assert DjangoQDispatcher().schedule("refresh", every, message()) is False
    assert not Schedule.objects.exists()


def test_schedule_when_clusters_have_no_scheduler_then_it_is_declined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor can a message wait on Redis then: an error, so that no retry is lost in silence."""
    monkeypatch.setattr(Conf, "SCHEDULER", False)
    assert DjangoQDispatcher().schedule("refresh", 60, message()) is False


def test_message_when_it_cannot_wait_on_redis_then_sending_fails(
    monkeypatch: pytest.MonkeyPatch, on_redis: Broker
) -> None:
    """Whoever sends it is told, rather than that the message waits for ever."""
    monkeypatch.setattr(Conf, "SCHEDULER", False)
    with pytest.raises(RuntimeError, match="no message can wait"):
        DjangoQDispatcher().send(message(delay=1))


def _fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(text: str) -> None:
        raise error

    monkeypatch.setattr("tiercel_django_q.tasks.perform_message", fail)


def test_redis_when_it_does_not_answer_then_send_raises_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch, redis: RedisServer
) -> None:
    """The time limit of a second, once: only a connection that broke is worth another try."""
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "REDIS", redis.url)
    dispatcher = DjangoQDispatcher()
    dispatcher.send(message())
    redis.pause()
    took = []
    for _ in range(4):
        began = time.monotonic()
        with pytest.raises(RedisError):
            dispatcher.send(message())
        took.append(time.monotonic() - began)
    redis.resume()
    assert min(took) < 1.9, "at best: the machine may be busy"
