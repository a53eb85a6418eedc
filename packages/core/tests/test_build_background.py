"""`async_compute`: one build in the background, and what callers are told meanwhile."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from packages.core.tests.stages import Stage, until, wait_until
from tiercel import (
    CACHE_MISSING,
    AsyncValueBeingBuiltException,
    AsyncValueFailedToBeBuiltException,
    Cache,
    ConfigurationError,
)
from tiercel.engine.builds import HEALS

TIMEOUT = 300.0


class Report:
    """A function that is built in the background, and waits there until it may go on."""

    def __init__(self, stage: Stage, **options: Any) -> None:
        self.go_on = threading.Event()
        self.built: list[int] = []
        self.error: Exception | None = None
        options = {"ttl": 7200, "async_compute": True, "dispatcher": "threadpool", **options}
        self.cached = stage.cached(**options)(self.compute)

    def compute(self, company: int) -> int:
        """Build."""
        self.built.append(company)
        assert self.go_on.wait(60)
        if self.error is not None:
            raise self.error
        return company * 10 + len(self.built)

    def pending(self, company: int = 1) -> AsyncValueBeingBuiltException:
        """Call while there is no value."""
        with pytest.raises(AsyncValueBeingBuiltException) as raised:
            self.cached(company)
        return raised.value

    def failed(self, company: int = 1) -> AsyncValueFailedToBeBuiltException:
        """Call after a build has failed."""
        with pytest.raises(AsyncValueFailedToBeBuiltException) as raised:
            self.cached(company)
        return raised.value

    def finish(self) -> None:
        """Let all builds end."""
        self.go_on.set()
        builds = self.cached.cached_function.subject.builds
        wait_until(lambda: all(each.over for each in list(builds._by_key.values())))
        self.go_on.clear()


@pytest.fixture
def report(stage: Stage) -> Iterator[Report]:
    """A report on a cache of every kind."""
    report = Report(stage)
    yield report
    report.go_on.set()


def test_first_call_starts_one_build_and_all_are_told_of_it(report: Report) -> None:
    """Pattern 5: pending callers get one answer; afterwards it is a hit."""
    first = report.pending()
    others = [report.pending() for _ in range(3)]
    assert first.task_id is not None
    assert first.since is not None
    assert {(each.task_id, each.since) for each in others} == {(first.task_id, first.since)}
    assert report.cached.get_cache_only(1) is CACHE_MISSING
    report.finish()
    assert report.cached(1) == 11
    assert report.cached.get_with_metadata(1)[1]["cache_status"] == "HIT"
    assert report.built == [1]


def test_builds_of_two_keys_are_two(report: Report) -> None:
    """What is being built for one call says nothing of another."""
    assert report.pending(1).task_id != report.pending(2).task_id
    report.finish()
    assert {report.cached(1) // 10, report.cached(2) // 10} == {1, 2}


def test_threads_start_one_build(report: Report) -> None:
    """Of many threads that find nothing at once, one starts a build."""
    ids: list[str | None] = []
    barrier = threading.Barrier(8)

    def call() -> None:
        barrier.wait(60)
        ids.append(report.pending().task_id)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    report.finish()
    assert len(ids) == 8
    assert report.built == [1]
    assert len(set(ids) - {None}) == 1


def test_failure_is_told_for_a_moment(
    report: Report, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed build names its cause, is not repeated at once, and heals."""
    report.error = ValueError("no such company")
    with caplog.at_level(logging.CRITICAL, "tiercel.dispatch"):
        started = report.pending()
        report.finish()
    failed = report.failed()
    assert (failed.cause_type, failed.cause_text) == ("ValueError", "no such company")
    assert failed.__cause__ is report.error
    assert (failed.task_id, failed.since) == (started.task_id, started.since)
    assert "ValueError: no such company" in str(failed)
    assert report.failed().task_id == started.task_id
    assert report.built == [1]
    report.error = None
    stage.advance(HEALS + 0.1)
    report.pending()
    report.finish()
    assert report.cached(1) == 12


def test_refresh_heals(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """A value that comes by another way is served, whatever failed before."""
    report.error = ValueError()
    with caplog.at_level(logging.CRITICAL, "tiercel.dispatch"):
        report.pending()
        report.finish()
    report.error = None
    report.go_on.set()
    assert report.cached.refresh(1) == 12
    assert report.cached(1) == 12


def test_none_is_a_value(stage: Stage) -> None:
    """A build that returns None has succeeded."""
    cached = stage.cached(ttl=60, async_compute=True)(lambda: None)
    with pytest.raises(AsyncValueBeingBuiltException):
        cached()
    wait_until(lambda: cached.get_cache_only() is None)
    assert cached() is None


def test_result_that_may_not_be_cached_is_a_failure(stage: Stage) -> None:
    """Nobody waits for ever for a value that nobody keeps."""
    report = Report(stage, cache_if=lambda result: False)
    report.pending()
    report.finish()
    assert report.failed().cause_text == "its result may not be cached"


def test_drop_while_building_starts_another(report: Report) -> None:
    """What was begun before a drop is not stored, and does not keep others from building."""
    first = report.pending()
    wait_until(lambda: report.built)
    report.cached.invalidate_all()
    assert report.pending().task_id != first.task_id
    report.finish()
    wait_until(lambda: len(report.built) == 2)
    assert report.cached(1) == 12


def test_lost_build_is_noticed_at_its_timeout(stage: Stage) -> None:
    """A build that does not end in time is started again; what it brings later is not stored."""
    report = Report(stage, async_compute_job_timeout=timedelta(seconds=TIMEOUT))
    first = report.pending()
    wait_until(lambda: report.built)
    stage.advance(TIMEOUT - 1)
    if not stage.shares:
        assert report.pending().task_id == first.task_id
    stage.advance(TIMEOUT)
    assert report.pending().task_id != first.task_id
    wait_until(lambda: len(report.built) == 2)
    report.finish()
    wait_until(lambda: report.cached.get_cache_only(1) is not CACHE_MISSING)
    assert len(report.built) == 2


def test_inline_dispatcher_computes_at_once(stage: Stage) -> None:
    """Where there is no background the caller computes, and gets what is raised as it is."""
    cached = stage.cached(ttl=60, async_compute=True, dispatcher="inline")(lambda n: 6 // n)
    assert cached(2) == 3
    assert cached.get_with_metadata(2)[1]["cache_status"] == "HIT"
    with pytest.raises(ZeroDivisionError):
        cached(0)


def test_task_computes_at_once(stage: Stage) -> None:
    """Within a task a value is computed and returned."""
    inner = Report(stage)
    inner.go_on.set()
    cached = stage.cached(ttl=60, async_compute=True)(lambda n: inner.cached(n) + 1)
    with pytest.raises(AsyncValueBeingBuiltException):
        cached(1)
    wait_until(lambda: cached.get_cache_only(1) is not CACHE_MISSING)
    assert cached(1) == inner.cached(1) + 1


def test_stale_value_is_served_while_another_is_built(stage: Stage) -> None:
    """Nobody is told to wait as long as a stale value may be served."""
    report = Report(stage, ttl=10, stale=1000)
    report.pending()
    report.finish()
    stage.advance(11)
    assert report.cached(1) == 11
    report.go_on.set()
    wait_until(lambda: report.cached(1) == 12)


def test_old_value_stands_in_for_a_failed_build(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """`stale_on_error` holds for builds, too."""
    report = Report(stage, ttl=10, stale_on_error=1000)
    report.pending()
    report.finish()
    stage.advance(11)
    report.error = ValueError()
    report.pending()
    report.finish()
    assert report.cached(1) == 11


def test_cached_exception_is_the_result_of_a_build(stage: Stage) -> None:
    """An exception that is cached is raised as such."""
    report = Report(stage, cache_exceptions=ValueError)
    report.error = ValueError("no")
    report.pending()
    report.finish()
    with pytest.raises(ValueError, match="no"):
        report.cached(1)


async def test_coroutine_function_is_built_on_its_loop(stage: Stage) -> None:
    """A coroutine function is built by a task of its event loop."""
    go_on = asyncio.Event()
    built = []

    @stage.cached(ttl=60, async_compute=True)  # type: ignore[untyped-decorator]
    async def load(number: int) -> int:
        built.append(number)
        await go_on.wait()
        return number

    for _ in range(3):
        with pytest.raises(AsyncValueBeingBuiltException):
            await load(1)
    go_on.set()

    async def is_stored() -> bool:
        return await load.aget_cache_only(1) is not CACHE_MISSING

    await until(is_stored)
    assert await load(1) == 1
    assert built == [1]


def test_exceptions_survive_pickling(report: Report) -> None:
    """What tells of a build can be sent to another process."""
    raised = report.pending()
    copy = pickle.loads(pickle.dumps(raised))
    assert (copy.since, copy.task_id, str(copy)) == (raised.since, raised.task_id, str(raised))


def test_builds_do_not_pile_up(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """What is known of failed builds is forgotten with time."""
    report = Report(stage)
    report.error = ValueError()
    report.go_on.set()
    with caplog.at_level(logging.CRITICAL, "tiercel.dispatch"):
        for number in range(20):
            report.pending(number)
        wait_until(lambda: len(report.built) == 20)
        stage.advance(HEALS + 1)
        report.pending(99)
    assert len(report.cached.cached_function.subject.builds) <= 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"async_compute": 1}, "async_compute=1"),
        ({"async_compute_job_timeout": 5}, "needs async_compute=True"),
        ({"async_compute": True, "async_compute_job_timeout": 0}, "more than 0"),
        ({"async_compute": True, "async_compute_job_timeout": "5"}, "seconds or a timedelta"),
        ({"async_compute": True, "atomic_writes": "at_most_once"}, "async_compute"),
    ],
)
def test_wrong_options_are_refused(options: Any, says: str) -> None:
    """What cannot work is an error at decoration."""
    with pytest.raises(ConfigurationError, match=says):
        Cache().cached(**options)(lambda: 1)
