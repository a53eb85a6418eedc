"""`async_compute` across processes: one task for all of them, and none is waited for in vain."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker, ListDispatcher, plugged
from tiercel import AsyncValueBeingBuiltException, AsyncValueFailedToBeBuiltException, Cache
from tiercel.engine.builds import HEALS
from tiercel.spi import perform_message
from tiercel.testing import SimulatedBackend, VirtualClock

TIMEOUT = 300.0

_serial = count(1)


class Web:
    """Two web processes and a worker that share a tier and a broker."""

    def __init__(self, broker: ListBroker) -> None:
        self.broker = broker
        self.clock = VirtualClock()
        self.store = SimulatedBackend(self.clock)
        self.name = f"shop:report{next(_serial)}"
        self.built: list[str] = []
        self.error: Exception | None = None
        self.caches = [
            Cache(backend=self.store, clock=self.clock, name=name, memory=0)
            for name in ("web0", "web1", "worker")
        ]
        self.first, self.second, self.worker = map(self._function, self.caches)

    def _function(self, cache: Cache) -> Any:
        def report(company: int) -> int:
            self.built.append(cache.name)
            if self.error is not None:
                raise self.error
            return company * 10

        options: Any = {"async_compute_job_timeout": TIMEOUT, "dispatcher": "list"}
        return cache.cached(ttl=7200, name=self.name, async_compute=True, **options)(report)

    def work(self) -> None:
        """Let the worker do the only message."""
        perform_message(self.broker.take(self.caches[2]))


@pytest.fixture
def web() -> Iterator[Web]:
    """Give processes, and a broker that is known as dispatcher `list`."""
    broker = ListBroker()
    with plugged(broker):
        web = Web(broker)
        yield web
        for cache in web.caches:
            cache.close()


def pending(function: Any, *args: Any) -> AsyncValueBeingBuiltException:
    """Call a function whose value is being built."""
    with pytest.raises(AsyncValueBeingBuiltException) as raised:
        function(*args)
    return raised.value


def test_processes_enqueue_one_build(web: Web) -> None:
    """All processes are told of one task, and find what the worker has built."""
    told = [pending(each, 1) for each in (web.first, web.second, web.first)]
    assert len({(each.task_id, each.since) for each in told}) == 1
    assert [message.id for message in web.broker.messages] == [told[0].task_id]
    web.work()
    assert (web.first(1), web.second(1), web.built) == (10, 10, ["worker"])


def test_failure_reaches_other_processes(web: Web) -> None:
    """The cause is told by name and text where the exception itself cannot be."""
    pending(web.first, 1)
    web.error = KeyError("x")
    with pytest.raises(KeyError):
        web.work()
    for function in (web.first, web.second):
        with pytest.raises(AsyncValueFailedToBeBuiltException) as raised:
            function(1)
        assert (raised.value.cause_type, raised.value.cause_text) == ("KeyError", "'x'")
        assert raised.value.__cause__ is None
    web.clock.advance(HEALS + 0.1)
    web.error = None
    pending(web.second, 1)
    web.work()
    assert web.first(1) == 10


def test_retry_by_the_broker_heals(web: Web) -> None:
    """A broker that performs the same message again builds the value."""
    pending(web.first, 1)
    text = web.broker.take(web.caches[2])
    web.error = KeyError()
    with pytest.raises(KeyError):
        perform_message(text)
    web.error = None
    perform_message(text)
    assert web.first(1) == 10


def test_lost_message_is_noticed(web: Web) -> None:
    """If the broker loses the task, another is sent when its time is over."""
    first = pending(web.first, 1)
    web.broker.messages.clear()
    web.clock.advance(TIMEOUT - 1)
    assert pending(web.second, 1).task_id == first.task_id
    web.clock.advance(2)
    second = pending(web.second, 1)
    assert second.task_id != first.task_id
    web.work()
    assert web.first(1) == 10


def test_late_message_builds_nothing_twice(web: Web) -> None:
    """A task that comes after its time finds the value of the next one, and does nothing."""
    pending(web.first, 1)
    late = web.broker.take(web.caches[2])
    web.clock.advance(TIMEOUT + 1)
    pending(web.first, 1)
    web.work()
    perform_message(late)
    assert web.built == ["worker"]


def test_queued_build_does_not_keep_a_task_waiting(web: Web) -> None:
    """A task that needs a value computes it although its build stands behind it in the queue."""
    pending(web.first, 1)
    own = web.broker.take(web.caches[2])
    total = web.caches[2].cached(
        ttl=60, name=f"{web.name}.total", async_compute=True, dispatcher="list"
    )(lambda: web.worker(1) + 1)
    pending(total)
    web.work()
    assert total() == 11
    perform_message(own)
    assert web.built == ["worker"]


def test_broker_that_is_down_makes_callers_compute(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that nobody else can build is computed, and said so in the log."""
    web.broker.down = True
    assert web.first(1) == 10
    assert web.built == ["web0"]
    assert "could not be built in the background" in caplog.text
    assert web.second(1) == 10


def test_tier_that_is_down_makes_callers_compute(web: Web) -> None:
    """Without the tier nobody could hand the value over."""
    web.store.unreachable = True
    assert web.first(1) == 10
    assert web.broker.messages == []


def test_argument_that_cannot_travel_makes_callers_compute(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """The lease is given back, so nobody waits for a task that was never sent."""

    class Company:
        def __cache_key__(self) -> int:
            return 1

        def __mul__(self, number: int) -> int:
            return number

    assert web.first(Company()) == 10
    assert "Company" in caplog.text
    assert web.second(Company()) == 10


def test_worker_of_the_dispatcher_computes_at_once(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is none of Tiercel's has the time as well, if the dispatcher knows of it."""
    monkeypatch.setattr(ListDispatcher, "in_worker", lambda dispatcher: True)
    assert web.worker(1) == 10
    assert web.broker.messages == []
