"""Tasks, the inline and the asyncio dispatcher, and dispatchers made by name."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tiercel.contracts.dispatcher import Dispatcher, DispatcherSpec, TaskKind
from tiercel.contracts.version import SPI_VERSION
from tiercel.dispatch import (
    BUILTIN_DISPATCHERS,
    AsyncioDispatcher,
    FunctionTask,
    InlineDispatcher,
    ThreadPoolDispatcher,
    make_dispatcher,
)
from tiercel.errors import ConfigurationError, UnknownPlugin
from tiercel.plugins import Registry, hookimpl

PATIENCE = 60.0


def refuse() -> Any:
    raise AssertionError("the wrong side of the task was run")


def sync_task(
    run: Callable[[], object], dedup: str = "", kind: TaskKind = TaskKind.REFRESH
) -> FunctionTask:
    return FunctionTask(kind=kind, function="shop.price", run=run, arun=refuse, dedup=dedup)


def async_task(
    arun: Callable[[], Awaitable[object]],
    dedup: str = "",
    kind: TaskKind = TaskKind.REFRESH,
    run: Callable[[], object] = refuse,
) -> FunctionTask:
    return FunctionTask(
        kind=kind, function="shop.price", run=run, arun=arun, asynchronous=True, dedup=dedup
    )


class Seen(list[Any]):
    """Remembers in which thread and on which loop it was asked to."""

    def here(self) -> None:
        self.append(threading.current_thread())

    async def ahere(self) -> None:
        await asyncio.sleep(0)
        self.append(asyncio.get_running_loop())


@pytest.fixture
def seen() -> Seen:
    """An empty record."""
    return Seen()


def test_task_when_made_has_an_id_and_a_time_of_its_own() -> None:
    """Two tasks for the same work can be told apart in logs."""
    first, second = sync_task(list), sync_task(list)
    assert len(first.id) == 32
    assert first.id != second.id
    assert abs(first.created - time.time()) < 60


def test_inline_when_dispatching_runs_in_this_thread(seen: Seen) -> None:
    """Inline means: done when `dispatch` returns."""
    InlineDispatcher().dispatch(sync_task(seen.here))
    assert seen == [threading.current_thread()]


def test_inline_when_the_task_is_asynchronous_runs_it_on_a_loop(seen: Seen) -> None:
    """Without a running loop the task gets one for itself."""
    InlineDispatcher().dispatch(async_task(seen.ahere))
    assert len(seen) == 1


async def test_inline_when_a_loop_runs_refuses_an_asynchronous_task(seen: Seen) -> None:
    """A second loop in the same thread is impossible; the error says what to call."""
    with pytest.raises(RuntimeError, match=r"refresh of shop\.price .* await adispatch\(\)"):
        InlineDispatcher().dispatch(async_task(seen.ahere))
    assert seen == []


async def test_inline_when_awaited_uses_the_loop_or_a_thread(seen: Seen) -> None:
    """Asynchronous work runs on the loop; blocking work never does."""
    inline = InlineDispatcher()
    await inline.adispatch(async_task(seen.ahere))
    await inline.adispatch(sync_task(seen.here))
    assert seen[0] is asyncio.get_running_loop()
    assert seen[1] is not threading.current_thread()


async def test_inline_when_a_task_fails_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    """An accepted task is not given back, so its failure is logged with the function's name."""
    inline = InlineDispatcher()
    inline.dispatch(sync_task(lambda: 1 / 0))
    await inline.adispatch(sync_task(lambda: 1 / 0))
    text = "refresh of shop.price failed in the background"
    assert [record.getMessage() for record in caplog.records] == [text] * 2
    assert "ZeroDivisionError" in caplog.text


async def test_asyncio_when_dispatching_schedules_and_returns(seen: Seen) -> None:
    """The caller goes on at once; the work is done by the same loop."""
    dispatcher = AsyncioDispatcher()
    dispatcher.dispatch(async_task(seen.ahere))
    await dispatcher.adispatch(async_task(seen.ahere))
    assert seen == []
    await dispatcher.aclose(PATIENCE)
    assert seen == [asyncio.get_running_loop()] * 2


async def test_asyncio_when_the_task_blocks_runs_it_in_a_thread(seen: Seen) -> None:
    """Blocking work does not hold up the loop."""
    dispatcher = AsyncioDispatcher()
    await dispatcher.adispatch(sync_task(seen.here))
    await dispatcher.aclose(PATIENCE)
    assert seen != [threading.current_thread()]
    assert len(seen) == 1


async def test_asyncio_when_the_same_work_waits_runs_it_once() -> None:
    """Tasks collapse until they start; a started one stands for itself only."""
    dispatcher, runs, go = AsyncioDispatcher(), [], asyncio.Event()

    async def run() -> None:
        runs.append("a")
        await go.wait()

    for _ in range(3):
        await dispatcher.adispatch(async_task(run, "a"))
    await asyncio.sleep(0)
    assert runs == ["a"]
    await dispatcher.adispatch(async_task(run, "a"))
    go.set()
    await dispatcher.aclose(PATIENCE)
    assert runs == ["a", "a"]


def test_asyncio_when_the_same_work_waits_on_another_loop_schedules_it_again() -> None:
    """Work that waits on a loop that stands still does not swallow it on a running one."""
    dispatcher, runs = AsyncioDispatcher(), []

    async def run() -> None:
        runs.append(asyncio.get_running_loop())

    async def schedule() -> None:
        await dispatcher.adispatch(async_task(run, "a"))
        await dispatcher.aclose(PATIENCE)

    still = asyncio.new_event_loop()
    still.call_soon(dispatcher.dispatch, async_task(run, "a"))
    still.call_soon(still.stop)
    still.run_forever()
    assert runs == []
    asyncio.run(schedule())
    assert len(runs) == 1
    still.run_until_complete(asyncio.sleep(0))
    still.close()
    assert runs[1:] == [still]


def test_asyncio_when_no_loop_runs_works_inline_and_says_so(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread without a loop does the work itself."""
    with caplog.at_level(logging.DEBUG, "tiercel.dispatch"):
        AsyncioDispatcher().dispatch(sync_task(seen.here))
    assert seen == [threading.current_thread()]
    assert "no event loop: refresh of shop.price runs inline" in caplog.text


async def test_asyncio_when_a_task_fails_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    """No exception of a background task waits for garbage collection to be seen."""

    async def fail() -> None:
        raise ValueError("no stock")

    dispatcher = AsyncioDispatcher()
    await dispatcher.adispatch(async_task(fail))
    await dispatcher.aclose(PATIENCE)
    assert "refresh of shop.price failed in the background" in caplog.text
    assert "no stock" in caplog.text


def test_asyncio_when_its_loop_ends_does_invalidations_and_warns_of_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An accepted invalidation is never lost, not even with the loop it was to run on."""
    dispatcher, dropped = AsyncioDispatcher(), threading.Event()

    async def wait() -> None:
        await asyncio.Event().wait()

    async def drop() -> None:
        if threading.current_thread() is threading.main_thread():
            await wait()
        dropped.set()

    async def end_at_once() -> None:
        await dispatcher.adispatch(async_task(drop, kind=TaskKind.INVALIDATE))
        await dispatcher.adispatch(async_task(wait))

    asyncio.run(end_at_once())
    assert dropped.wait(PATIENCE)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["refresh of shop.price was cancelled with its loop"]


async def test_asyncio_when_closed_accepts_no_more(seen: Seen) -> None:
    """After closing the caller has to do the work."""
    dispatcher = AsyncioDispatcher()
    await dispatcher.aclose(PATIENCE)
    with pytest.raises(RuntimeError, match="closed"):
        await dispatcher.adispatch(async_task(seen.ahere))


async def test_asyncio_when_closed_from_a_thread_waits_for_the_loop(seen: Seen) -> None:
    """`close` may be called by a thread that ends an application; the loop goes on."""
    dispatcher = AsyncioDispatcher()

    async def slow() -> None:
        await asyncio.sleep(0.05)
        seen.append("done")

    await dispatcher.adispatch(async_task(slow))
    await asyncio.to_thread(dispatcher.close, PATIENCE)
    assert seen == ["done"]


def test_builtin_dispatchers_when_made_by_name_are_of_their_class() -> None:
    """Specs, names and classes agree."""
    made = [make_dispatcher(spec.name) for spec in BUILTIN_DISPATCHERS]
    assert [type(each) for each in made] == [
        InlineDispatcher,
        ThreadPoolDispatcher,
        AsyncioDispatcher,
    ]
    assert [each.name for each in made] == [spec.name for spec in BUILTIN_DISPATCHERS]


def test_make_dispatcher_when_given_options_passes_them_on() -> None:
    """Options reach the dispatcher."""
    pool = make_dispatcher("threadpool", {"max_workers": 2, "when_full": "reject"})
    assert isinstance(pool, ThreadPoolDispatcher)
    assert (pool.max_workers, pool.when_full) == (2, "reject")


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        (
            "threadpool",
            "max_worker",
            (
                "dispatcher 'threadpool' has no option 'max_worker'; its options: max_queue, "
                "max_workers, shutdown_timeout, when_full; did you mean 'max_workers'?"
            ),
        ),
        ("inline", "x", "dispatcher 'inline' has no option 'x'; its options: none"),
    ],
)
def test_make_dispatcher_when_an_option_is_unknown_refuses(
    name: str, option: str, text: str
) -> None:
    """A misspelt option is an error, with the options there are."""
    with pytest.raises(ConfigurationError) as caught:
        make_dispatcher(name, {option: 1})
    assert str(caught.value) == text


def test_make_dispatcher_when_the_name_is_unknown_refuses() -> None:
    """Dispatchers are looked up like every plugin."""
    with pytest.raises(UnknownPlugin, match="did you mean 'threadpool'"):
        make_dispatcher("thredpool")


def test_make_dispatcher_when_a_plugin_provides_it_uses_the_given_registry() -> None:
    """A plugin's dispatcher is made the same way, from whichever registry has it."""

    class Mine(Dispatcher):
        name = "mine"

        def dispatch(self, task: Any) -> None:
            task.perform()

    class Plugin:
        @hookimpl
        def tiercel_dispatchers(self) -> list[DispatcherSpec]:
            return [DispatcherSpec("mine", lambda options: Mine(), SPI_VERSION)]

    registry = Registry()
    registry.register(Plugin())
    assert isinstance(make_dispatcher("mine", registry=registry), Mine)
