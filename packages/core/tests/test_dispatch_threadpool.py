"""The thread pool: bounded, one task per work, safe to fork, drained at exit."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tiercel.contracts.dispatcher import TaskKind
from tiercel.dispatch import FunctionTask, QueueFull, ThreadPoolDispatcher
from tiercel.errors import ConfigurationError
from tiercel.testing.servers import wait_until

Make = Callable[..., ThreadPoolDispatcher]

PATIENCE = 60.0


async def nothing() -> None:
    """The asynchronous side of a task that is never run so."""


def task(
    run: Callable[[], object], dedup: str = "", kind: TaskKind = TaskKind.REFRESH
) -> FunctionTask:
    return FunctionTask(kind=kind, function="shop.price", run=run, arun=nothing, dedup=dedup)


class Gate:
    """A task that occupies a worker until the gate is opened."""

    def __init__(self) -> None:
        self.started, self.opened = threading.Event(), threading.Event()

    def run(self) -> None:
        self.started.set()
        assert self.opened.wait(PATIENCE)


@pytest.fixture
def make() -> Iterator[Make]:
    """Make pools that are closed afterwards."""
    pools = []

    def make(**options: Any) -> ThreadPoolDispatcher:
        pools.append(ThreadPoolDispatcher(**options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close(PATIENCE)


@pytest.fixture
def busy(make: Make) -> Iterator[Callable[..., ThreadPoolDispatcher]]:
    """Make pools whose only worker waits until the test is over or opens the gate."""
    gates = []

    def busy(**options: Any) -> ThreadPoolDispatcher:
        pool, gate = make(max_workers=1, **options), Gate()
        gates.append(gate)
        pool.dispatch(task(gate.run))
        assert gate.started.wait(PATIENCE)
        pool.gate = gate  # type: ignore[attr-defined]
        return pool

    yield busy
    for gate in gates:
        gate.opened.set()


def rests(pool: ThreadPoolDispatcher) -> bool:
    with pool._changed:
        return not (pool._waiting or pool._busy)


def drain(pool: Any) -> None:
    pool.gate.opened.set()
    pool.close(PATIENCE)


def test_dispatch_when_given_tasks_runs_each_in_a_daemon_thread(make: Make) -> None:
    """Tasks run beside the caller, in threads that never keep a process alive."""
    pool, seen = make(), []
    for _ in range(50):
        pool.dispatch(task(lambda: seen.append(threading.current_thread())))
    pool.close(PATIENCE)
    assert len(seen) == 50
    assert all(thread.daemon for thread in seen)
    assert threading.current_thread() not in seen


def test_dispatch_when_workers_are_busy_starts_no_more_than_allowed(make: Make) -> None:
    """Threads are started as needed, up to `max_workers`."""
    pool, gates = make(max_workers=2), [Gate() for _ in range(3)]
    for gate in gates:
        pool.dispatch(task(gate.run))
    assert gates[0].started.wait(PATIENCE)
    assert gates[1].started.wait(PATIENCE)
    assert not gates[2].started.is_set()
    names = {thread.name for thread in threading.enumerate()}
    assert {"tiercel-threadpool-0", "tiercel-threadpool-1"} <= names
    for gate in gates:
        gate.opened.set()
    pool.close(PATIENCE)
    assert gates[2].started.is_set()


def test_dispatch_when_a_worker_is_idle_starts_no_other(make: Make) -> None:
    """One task at a time needs one thread."""
    pool, seen = make(max_workers=4), set()
    for _ in range(5):
        pool.dispatch(task(lambda: seen.add(threading.get_ident())))
        # That a task is done is known a moment before its worker is idle.
        wait_until(lambda: rests(pool), "the pool to rest")
    assert len(seen) == 1


@pytest.mark.parametrize("kind", list(TaskKind))
def test_dispatch_when_the_same_work_waits_runs_it_once(
    busy: Callable[..., ThreadPoolDispatcher], kind: TaskKind
) -> None:
    """Tasks that have not started collapse if kind, function and dedup are equal."""
    pool, seen = busy(), []
    for dedup in ("a", "a", "b", "", ""):
        pool.dispatch(task(lambda dedup=dedup: seen.append(dedup), dedup, kind))  # type: ignore[misc]
    other = TaskKind.WARM if kind is TaskKind.REFRESH else TaskKind.REFRESH
    pool.dispatch(task(lambda: seen.append("other kind"), "a", other))
    drain(pool)
    assert sorted(seen) == ["", "", "a", "b", "other kind"]


def test_dispatch_when_the_same_work_has_started_runs_it_again(make: Make) -> None:
    """A running task may have read its data already, so it does not stand for a new one."""
    pool, gate, again = make(), Gate(), threading.Event()
    pool.dispatch(task(gate.run, "a"))
    assert gate.started.wait(PATIENCE)
    pool.dispatch(task(again.set, "a"))
    assert again.wait(PATIENCE)
    gate.opened.set()


def test_dispatch_when_full_gives_up_the_oldest_and_says_so(
    busy: Callable[..., ThreadPoolDispatcher], caplog: pytest.LogCaptureFixture
) -> None:
    """By default the task that waited longest goes, with a warning that names its function."""
    pool, seen = busy(max_queue=2), []
    for number in range(4):
        pool.dispatch(task(lambda number=number: seen.append(number)))  # type: ignore[misc]
    drain(pool)
    assert seen == [2, 3]
    text = "refresh of shop.price was given up: 2 tasks are waiting"
    assert [record.getMessage() for record in caplog.records] == [text] * 2


def test_dispatch_when_full_never_gives_up_an_invalidation(
    busy: Callable[..., ThreadPoolDispatcher],
) -> None:
    """Refreshes make room for invalidations; the last resort is to run one inline."""
    pool = busy(max_queue=2)
    seen: list[Any] = []
    pool.dispatch(task(lambda: seen.append("refresh")))
    for number in range(3):
        run = lambda number=number: seen.append(number)  # noqa: E731
        pool.dispatch(task(run, kind=TaskKind.INVALIDATE))
    assert seen == [2]
    pool.dispatch(task(lambda: seen.append("late refresh")))
    drain(pool)
    assert seen == [2, 0, 1]


def test_dispatch_when_full_and_told_so_runs_inline(
    busy: Callable[..., ThreadPoolDispatcher],
) -> None:
    """`run_inline` makes the caller pay instead of dropping work."""
    pool, seen = busy(max_queue=1, when_full="run_inline"), []
    for _ in range(2):
        pool.dispatch(task(lambda: seen.append(threading.current_thread())))
    assert seen == [threading.current_thread()]


async def test_adispatch_when_full_and_told_so_does_not_block_the_loop(
    busy: Callable[..., ThreadPoolDispatcher],
) -> None:
    """On an event loop, inline work that would block runs in a thread."""
    pool, seen = busy(max_queue=1, when_full="run_inline"), []
    for _ in range(2):
        await pool.adispatch(task(lambda: seen.append(threading.current_thread())))
    assert len(seen) == 1
    assert seen != [threading.current_thread()]


def test_dispatch_when_full_and_told_so_rejects(
    busy: Callable[..., ThreadPoolDispatcher],
) -> None:
    """`reject` leaves it to the caller, and what waits stays."""
    pool, seen = busy(max_queue=1, when_full="reject"), []
    pool.dispatch(task(lambda: seen.append(1)))
    with pytest.raises(QueueFull, match="1 tasks are waiting"):
        pool.dispatch(task(lambda: seen.append(2)))
    drain(pool)
    assert seen == [1]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_dispatch_when_a_task_fails_logs_its_function_and_goes_on(
    make: Make, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """No failure is silent, and none ends a worker."""
    pool, after = make(max_workers=1), threading.Event()

    def fail() -> None:
        raise error

    pool.dispatch(task(fail))
    pool.dispatch(task(after.set))
    assert after.wait(PATIENCE)
    assert "refresh of shop.price failed in the background" in caplog.text
    assert repr(error).partition("(")[0] in caplog.text


def test_dispatch_when_the_task_is_asynchronous_uses_one_loop_per_worker(make: Make) -> None:
    """Connections that belong to a loop serve the next task of the same worker."""
    pool, loops, done = make(max_workers=1), [], threading.Event()

    async def arun() -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        if len(loops) == 2:
            done.set()

    for _ in range(2):
        pool.dispatch(
            FunctionTask(
                kind=TaskKind.REFRESH, function="f", run=list, arun=arun, asynchronous=True
            )
        )
    assert done.wait(PATIENCE)
    assert loops[0] is loops[1]


def test_dispatch_when_context_variables_are_set_the_task_sees_them(make: Make) -> None:
    """A trace context goes with the task, as it does with tasks of an event loop."""
    variable = contextvars.ContextVar("variable", default="none")
    pool, seen = make(), []
    variable.set("mine")

    def run() -> None:
        seen.append(variable.get())
        variable.set("theirs")

    pool.dispatch(task(run))
    pool.close(PATIENCE)
    assert seen == ["mine"]
    assert variable.get() == "mine"


def test_close_when_tasks_wait_finishes_them_invalidations_first(
    busy: Callable[..., ThreadPoolDispatcher],
) -> None:
    """What was accepted is done before closing ends; nothing more is accepted."""
    pool, seen = busy(), []
    pool.dispatch(task(lambda: seen.append("refresh")))
    for word in ("first", "second"):
        run = lambda word=word: seen.append(word)  # noqa: E731
        pool.dispatch(task(run, kind=TaskKind.INVALIDATE))
    drain(pool)
    assert seen == ["first", "second", "refresh"]
    with pytest.raises(RuntimeError, match="closed"):
        pool.dispatch(task(list))


def test_close_when_time_is_up_says_what_it_gave_up(
    busy: Callable[..., ThreadPoolDispatcher], caplog: pytest.LogCaptureFixture
) -> None:
    """Closing is bounded, and honest about what it did not finish."""
    pool, seen = busy(), []
    pool.dispatch(task(lambda: seen.append(1)))
    start = time.monotonic()
    pool.close(0.05)
    assert time.monotonic() - start < PATIENCE / 2
    assert "refresh of shop.price was given up: not started 0.05 s after closing" in caplog.text
    assert "1 tasks are still running 0.05 s after closing" in caplog.text
    drain(pool)
    assert seen == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_workers": 0}, "max_workers must be an integer of at least 1, not 0"),
        ({"max_workers": 2.5}, "max_workers must be an integer of at least 1, not 2.5"),
        ({"max_queue": True}, "max_queue must be an integer of at least 1, not True"),
        ({"shutdown_timeout": -1}, "shutdown_timeout must be a number of at least 0, not -1"),
        (
            {"when_full": "drop"},
            "when_full must be one of drop_oldest, run_inline, reject, not 'drop'",
        ),
    ],
)
def test_pool_when_an_option_cannot_work_refuses(options: dict[str, Any], text: str) -> None:
    """Options are checked when the pool is made, not when the first task comes."""
    with pytest.raises(ConfigurationError) as caught:
        ThreadPoolDispatcher(**options)
    assert str(caught.value) == text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_pool_when_forked_works_in_the_child_and_leaves_the_queue_to_the_parent(
    busy: Callable[..., ThreadPoolDispatcher],
) -> None:
    """A child has none of its parent's threads, so it starts its own, with nothing queued."""
    pool, seen = busy(), []
    pool.dispatch(task(lambda: seen.append(os.getpid())))
    reader, writer = os.pipe()
    with pool._changed:  # as if another thread were inside at this very moment
        child = os.fork()
        if child == 0:
            done = threading.Event()
            pool.dispatch(task(done.set))
            answered = done.wait(PATIENCE)
            os.write(writer, b"ok" if answered and not seen else b"no")
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"ok"
    drain(pool)
    assert seen == [os.getpid()]


EXIT = """
import sys, threading, time
from tiercel.contracts.dispatcher import TaskKind
from tiercel.dispatch import FunctionTask, ThreadPoolDispatcher

def say(word):
    time.sleep({pause})
    sys.stdout.write(word + "\\n")
    sys.stdout.flush()

async def asay(word):
    say(word)

pool = ThreadPoolDispatcher(max_workers=1, shutdown_timeout={timeout})
for word in "abc":
    pool.dispatch(FunctionTask(
        kind=TaskKind.REFRESH, function="f", run=lambda word=word: say(word),
        arun=lambda word=word: asay(word), asynchronous=word == "b",
    ))
"""


def run_to_the_end(pause: float, timeout: float) -> tuple[subprocess.CompletedProcess[str], float]:
    source = textwrap.dedent(EXIT).format(pause=pause, timeout=timeout)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done, time.monotonic() - start


def test_exit_when_tasks_wait_finishes_them() -> None:
    """Work that was accepted is not lost when the program ends right after."""
    done, _ = run_to_the_end(pause=0.05, timeout=PATIENCE)
    assert done.stdout.split() == ["a", "b", "c"]
    assert done.stderr == ""


def test_exit_when_tasks_take_too_long_is_not_held_up() -> None:
    """The exit is bounded, and the log says what was given up."""
    done, seconds = run_to_the_end(pause=100, timeout=0.2)
    assert done.stdout == ""
    assert seconds < 80
    assert done.stderr.count("refresh of f was given up: not started 0.2 s after closing") == 2
    assert "1 tasks are still running" in done.stderr
