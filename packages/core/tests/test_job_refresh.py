"""Refreshes of jobs by workers: one per timeout, never against a drop, with exact arguments."""

from __future__ import annotations

import logging
import threading
from itertools import count
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker
from packages.core.tests.jobbing import LIFETIME, REFRESH_TIMEOUT, Web
from tiercel.spi import aperform_message, perform_message

_serial = count(1)


def test_stale_when_many_processes_read_then_one_refresh_is_enqueued_per_timeout(
    web: Web,
) -> None:
    """However many read, however often, and whether or not there is a worker."""
    web.make_stale()
    for expected in (1, 2, 3):
        for _ in range(REFRESH_TIMEOUT - 1):
            assert [job().get() for job in web.jobs] == [1, 1, 1]
            web.clock.advance(1)
        assert web.sent == expected
        web.clock.advance(2)
    assert len(web.source.fetched) == 1


def test_stale_when_many_threads_read_then_one_refresh_is_enqueued(web: Web) -> None:
    """At the same time, in several processes."""
    web.make_stale()
    got: list[int] = []
    begin = threading.Barrier(12)

    def read(job: Any) -> None:
        begin.wait(60)
        got.append(job().get())

    threads = [threading.Thread(target=read, args=(job,)) for job in web.jobs * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1] * 12
    assert web.sent == 1


def test_stale_when_the_worker_has_refreshed_then_everybody_has_the_new_data(web: Web) -> None:
    """And the next time it becomes stale, within the same timeout, it is enqueued again."""
    for job in web.jobs:
        job.lifetime = 10  # shorter than the timeout
    web.make_stale()
    for fetched in (2, 3, 4):
        assert web.first().get() == fetched - 1
        web.work()
        assert [job().get() for job in web.jobs] == [fetched] * 3
        web.clock.advance(11)


def test_missing_when_callers_do_not_fetch_then_one_refresh_is_enqueued(
    broker: ListBroker,
) -> None:
    """Everybody gets `empty()` until the worker has fetched; deleting begins anew at once."""
    web = Web(broker, 0, fetch_on_miss=False, empty=lambda self: [])
    for _ in range(3):
        assert [job().get() for job in web.jobs] == [[], [], []]
    web.work()
    assert [job().get() for job in web.jobs] == [1, 1, 1]
    web.first().delete()
    assert web.second().get() == []
    web.work()
    assert web.first().get() == 2
    web.first().function.invalidate_all()
    assert web.second().get() == []
    assert web.sent == 1
    web.close()


def test_refresh_when_it_fails_in_the_worker_then_is_not_enqueued_until_the_timeout(
    web: Web,
) -> None:
    """The queue is told, so that it can try again; readers do not add to what is failing."""
    web.make_stale()
    web.first().get()
    text, web.source.fails = web.take(), True
    with pytest.raises(ConnectionError):
        perform_message(text)
    web.clock.advance(REFRESH_TIMEOUT - 1)
    assert [job().get() for job in web.jobs] == [1, 1, 1]
    assert web.sent == 0
    web.source.fails = False
    perform_message(text)
    assert [job().get() for job in web.jobs] == [3, 3, 3]


def test_refresh_when_it_comes_twice_or_too_late_then_fetches_once(web: Web) -> None:
    """A message finds out that there is nothing left to do."""
    web.make_stale()
    web.first().get()
    text = web.take()
    web.clock.advance(10 * REFRESH_TIMEOUT)
    perform_message(text)
    perform_message(text)
    assert len(web.source.fetched) == 2


@pytest.mark.parametrize("how", ["delete", "rule"])
def test_refresh_when_data_is_dropped_while_it_fetches_then_nothing_old_comes_back(
    web: Web, how: str
) -> None:
    """What it has fetched before the drop is thrown away."""
    web.make_stale()
    web.first().get()
    text = web.take()

    def drop() -> None:
        if how == "delete":
            web.second().delete()
        else:
            web.second().function.invalidate_all()

    web.source.before = drop
    perform_message(text)
    web.source.before = lambda: None
    assert web.second().raw_get() is None
    assert web.second().get() == 3


def test_invalidate_when_a_slow_refresh_runs_then_what_that_fetched_is_not_kept(
    web: Web,
) -> None:
    """The refresh that `invalidate` asks for overtakes one that began before the change."""
    web.make_stale()
    web.first().get()
    late = web.take()

    def overtaken() -> None:
        web.source.before = lambda: None
        web.second().invalidate()
        web.work()

    web.source.before = overtaken
    perform_message(late)
    assert [job().get() for job in web.jobs] == [3, 3, 3]


def test_invalidate_when_something_is_kept_then_it_is_served_until_refreshed(web: Web) -> None:
    """One task, and old data meanwhile; where nothing is kept, nothing happens."""
    assert not web.first().invalidate()
    assert web.sent == 0
    assert web.first().get() == 1
    assert web.first().invalidate()
    assert web.second().get() == 1
    web.work()
    assert web.second().get() == 2


def test_invalidate_when_its_refresh_is_lost_then_a_stale_read_repeats_it(web: Web) -> None:
    """What a worker or broker has lost is asked for again after the timeout, once for all."""
    web.first().get()
    assert web.first().invalidate()
    for _ in range(2):
        web.take()  # and nobody ever performs it
        web.clock.advance(REFRESH_TIMEOUT - 1)
        assert [job().get() for job in web.jobs] == [1, 1, 1]
        assert web.sent == 0
        web.clock.advance(2)
        assert [job().get() for job in web.jobs] == [1, 1, 1]
        assert web.sent == 1
    web.work()
    assert [job().get() for job in web.jobs] == [2, 2, 2]


def test_invalidate_when_its_refresh_is_done_then_the_next_one_needs_no_timeout(web: Web) -> None:
    """Also where it was asked for twice, and the first message did the work of both."""
    for job in web.jobs:
        job.lifetime = 10  # shorter than the timeout
    web.first().get()
    web.first().invalidate()
    first = web.take()
    web.second().invalidate()
    perform_message(first)
    web.work()
    assert [job().get() for job in web.jobs] == [2, 2, 2]
    web.clock.advance(11)
    assert [job().get() for job in web.jobs] == [2, 2, 2]
    assert web.sent == 1


def test_invalidate_when_readers_have_asked_already_then_its_own_timeout_counts(web: Web) -> None:
    """Its refresh is enqueued at once, and readers leave it the whole time."""
    web.make_stale()
    web.first().get()
    web.take()
    web.clock.advance(REFRESH_TIMEOUT - 1)
    web.second().invalidate()
    web.take()
    web.clock.advance(2)
    assert [job().get() for job in web.jobs] == [1, 1, 1]
    assert web.sent == 0
    web.clock.advance(REFRESH_TIMEOUT)
    assert [job().get() for job in web.jobs] == [1, 1, 1]
    assert web.sent == 1


def test_async_refresh_when_called_then_is_enqueued_without_fetching(web: Web) -> None:
    """Also where nothing is kept."""
    web.first().async_refresh("ann")
    assert web.source.fetched == []
    web.work()
    assert web.source.fetched == [("ann", None)]


async def test_refresh_when_fetch_is_a_coroutine_method_then_the_worker_awaits_it(
    broker: ListBroker,
) -> None:
    """The same in asynchronous code."""
    web = Web(broker, 0, awaited=True)
    assert await web.first().aget() == 1
    web.clock.advance(LIFETIME + 1)
    assert [await job().aget() for job in web.jobs] == [1, 1, 1]
    await aperform_message(web.take())
    assert [await job().aget() for job in web.jobs] == [2, 2, 2]
    web.close()


# Where the broker or the fetch fails


def test_refresh_when_no_broker_takes_it_then_is_done_at_once(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """One caller of all refreshes here, and gets the stale data; the log says why."""
    web.make_stale()
    web.broker.down = True
    with caplog.at_level(logging.WARNING):
        assert web.first().get() == 1
    assert "a refresh was not accepted, so it is done at once: no broker" in caplog.text
    assert [job().get() for job in web.jobs] == [2, 2, 2]
    web.first().async_refresh()
    assert web.second().get() == 3 or web.caches[1].engine.memory is not None


def test_refresh_when_neither_broker_nor_source_works_then_nothing_is_raised(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """Callers have stale data; it is tried once for each timeout."""
    web.make_stale()
    web.broker.down = web.source.fails = True
    with caplog.at_level(logging.WARNING):
        assert [job().get() for job in web.jobs for _ in range(3)] == [1] * 9
        web.first().async_refresh()
    assert "a refresh failed: the source is away" in caplog.text
    assert len(web.source.fetched) == 3
