"""Tasks are handed over such that no invalidation is lost; which dispatcher takes them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker, ListDispatcher, plugged
from packages.core.tests.stages import wait_until
from tiercel import Cache
from tiercel.dispatch import (
    AsyncioDispatcher,
    FunctionTask,
    InlineDispatcher,
    ThreadPoolDispatcher,
    ahand_over,
    hand_over,
)
from tiercel.spi import ConfigurationError, Dispatcher, Integration, Task, TaskKind
from tiercel.testing import SimulatedBackend, VirtualClock


class Refusing(Dispatcher):
    """Accepts nothing."""

    name = "refusing"

    def dispatch(self, task: Task) -> None:
        raise ConnectionError("no broker")


class Work:
    """Work that counts how often, and where, it was done."""

    def __init__(self, *, fails: bool = False) -> None:
        self.done: list[str] = []
        self.threads: list[threading.Thread] = []
        self._fails = fails

    def run(self) -> None:
        self._note("sync")

    async def arun(self) -> None:
        await asyncio.sleep(0)
        self._note("async")

    def task(
        self, kind: TaskKind = TaskKind.INVALIDATE, *, asynchronous: bool = False
    ) -> FunctionTask:
        return FunctionTask(
            kind=kind, function="m:f", run=self.run, arun=self.arun, asynchronous=asynchronous
        )

    def _note(self, how: str) -> None:
        self.done.append(how)
        self.threads.append(threading.current_thread())
        if self._fails:
            raise ValueError("no shared tier")


def test_invalidation_when_it_is_not_accepted_is_done_once_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller does it, and the log says which dispatcher failed, and how."""
    work = Work()
    hand_over(Refusing(), work.task())
    assert work.done == ["sync"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "invalidate of m:f was not accepted by dispatcher 'refusing' and is done at once: "
        "ConnectionError: no broker"
    )


@pytest.mark.parametrize("kind", [TaskKind.REFRESH, TaskKind.WARM])
def test_refresh_when_it_is_not_accepted_is_given_up(
    kind: TaskKind, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller does not compute what was meant for the background."""
    work = Work()
    hand_over(Refusing(), work.task(kind))
    assert work.done == []
    assert f"{kind} of m:f was not accepted by dispatcher 'refusing' and is given up" in caplog.text


async def test_invalidation_when_awaited_and_not_accepted_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same on an event loop, blocking work in a thread of it."""
    work = Work()
    await ahand_over(Refusing(), work.task())
    await ahand_over(Refusing(), work.task(asynchronous=True))
    assert work.done == ["sync", "async"]
    assert work.threads[0] is not threading.current_thread()
    assert work.threads[1] is threading.current_thread()


async def test_invalidation_when_it_is_asynchronous_in_a_thread_with_a_loop_is_done_beside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where two event loops would meet in a thread, another thread does the work."""
    work = Work()
    hand_over(InlineDispatcher(), work.task(asynchronous=True))
    assert work.done == ["async"]
    assert work.threads[0] is not threading.current_thread()


def test_invalidation_when_it_fails_too_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Handing over never raises."""
    work = Work(fails=True)
    hand_over(Refusing(), work.task())
    assert work.done == ["sync"]
    assert "invalidate of m:f failed in the background" in caplog.text


# The event loop that waits for a thread


CALLER: ContextVar[str] = ContextVar("caller", default="nobody")


class Framework(Integration):
    """Runs synchronous code in threads for an event loop, as asgiref does."""

    name = "framework"

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.default: str | None = None
        self.options: Mapping[str, Any] = {}

    def running_loop(self) -> asyncio.AbstractEventLoop | None:
        return self.loop

    def default_dispatcher(self) -> str | None:
        return self.default

    def dispatcher_options(self, name: str) -> Mapping[str, Any]:
        return self.options if name == "threadpool" else {}


@pytest.fixture
def framework() -> Iterator[Framework]:
    """Install an integration."""
    framework = Framework()
    with plugged(ListBroker(), integration=framework):
        yield framework


async def test_asyncio_when_an_integration_knows_the_loop_reaches_it(framework: Framework) -> None:
    """A signal handler in a thread has its work done by the loop that waits for the thread."""
    dispatcher, work = AsyncioDispatcher(), Work()
    framework.loop = asyncio.get_running_loop()
    caller: list[str] = []

    async def arun() -> None:
        caller.append(CALLER.get())
        await work.arun()

    task = FunctionTask(
        kind=TaskKind.INVALIDATE, function="m:f", run=work.run, arun=arun, asynchronous=True
    )

    def handler() -> None:
        CALLER.set("alice")
        dispatcher.dispatch(task)
        dispatcher.dispatch(work.task())

    await asyncio.to_thread(handler)
    await dispatcher.aclose(5.0)
    assert sorted(work.done) == ["async", "sync"]
    assert threading.current_thread() in work.threads
    assert caller == ["alice"]


async def test_asyncio_when_many_threads_hand_over_the_same_work_does_it_once(
    framework: Framework,
) -> None:
    """Work that waits on the loop is kept once, whoever brings it."""
    dispatcher, work = AsyncioDispatcher(), Work()
    framework.loop = asyncio.get_running_loop()

    def handler() -> None:
        for _ in range(5):
            task = work.task(asynchronous=True)
            task.dedup = "same"
            dispatcher.dispatch(task)

    thread = threading.Thread(target=handler)
    thread.start()
    thread.join()  # the loop stands still: nothing has started
    await dispatcher.aclose(5.0)
    assert work.done == ["async"]


def test_asyncio_when_the_known_loop_does_not_run_works_inline(framework: Framework) -> None:
    """A loop that has ended is no use."""
    dispatcher, work = AsyncioDispatcher(), Work()
    framework.loop = asyncio.new_event_loop()
    dispatcher.dispatch(work.task())
    framework.loop.close()
    dispatcher.dispatch(work.task())
    assert work.threads == [threading.current_thread()] * 2


def test_asyncio_when_the_known_loop_ends_at_once_does_invalidations(
    framework: Framework, caplog: pytest.LogCaptureFixture
) -> None:
    """What was handed to a loop that stopped before it arrived is done when closing."""
    dispatcher, work = AsyncioDispatcher(), Work()
    loop = framework.loop = asyncio.new_event_loop()

    def in_thread() -> None:
        dispatcher.dispatch(work.task(asynchronous=True))
        dispatcher.dispatch(work.task(TaskKind.REFRESH))

    def stop_first() -> None:
        loop.stop()
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()

    loop.call_soon(stop_first)
    loop.run_forever()
    assert work.done == []
    dispatcher.close(5.0)
    wait_until(lambda: work.done == ["async"])
    assert "refresh of m:f was cancelled with its loop" in caplog.text
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert work.done == ["async"]


# Which dispatcher


@pytest.fixture
def shared() -> Iterator[Cache]:
    """Give a cache with a shared tier."""
    cache = Cache(backend=SimulatedBackend(VirtualClock()), clock=VirtualClock(), name="shared")
    yield cache
    cache.close()


def test_choice_when_nobody_has_chosen_is_what_the_caller_says(framework: Framework) -> None:
    """Functions and rules have defaults of their own."""
    cache = Cache()
    assert cache.dispatcher(None, None, "inline").name == "inline"
    assert cache.dispatcher(None, None, "threadpool").name == "threadpool"


def test_choice_when_the_framework_is_configured_is_its_own(
    framework: Framework, shared: Cache
) -> None:
    """Below what a function, a rule or a cache says."""
    framework.default = "list"
    assert shared.dispatcher(None, None, "inline").name == "list"
    assert shared.dispatcher("threadpool", None, "inline").name == "threadpool"
    assert Cache(dispatcher="asyncio").dispatcher(None, None, "inline").name == "asyncio"


def test_choice_when_the_frameworks_crosses_processes_stays_here_without_a_shared_tier(
    framework: Framework,
) -> None:
    """A default for all caches must not break those that live in memory."""
    framework.default = "list"
    assert Cache().dispatcher(None, None, "inline").name == "inline"
    with pytest.raises(ConfigurationError, match="dispatcher 'list' performs tasks in other"):
        Cache().dispatcher("list", None, "inline")


def test_options_of_the_framework_stand_below_those_given(framework: Framework) -> None:
    """`dispatcher_config=` wins, option by option."""
    framework.options = {"max_workers": 2, "max_queue": 7}
    pool = Cache().dispatcher("threadpool", {"max_queue": 9}, "inline")
    assert isinstance(pool, ThreadPoolDispatcher)
    assert (pool.max_workers, pool.max_queue) == (2, 9)


def test_options_of_the_framework_when_unknown_are_errors(framework: Framework) -> None:
    """A misspelt setting is not passed over."""
    framework.options = {"max_worker": 2}
    with pytest.raises(ConfigurationError, match="did you mean 'max_workers'"):
        Cache().dispatcher("threadpool", None, "inline")


def test_dispatcher_when_asked_for_again_is_the_same(framework: Framework, shared: Cache) -> None:
    """Equal options give one dispatcher per cache, others another."""
    slow = shared.dispatcher("list", {"queue": "slow"}, "inline")
    assert isinstance(slow, ListDispatcher)
    assert shared.dispatcher("list", {"queue": "slow"}, "inline") is slow
    assert shared.dispatcher("list", {"queue": "fast"}, "inline") is not slow
