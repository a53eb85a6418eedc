"""What queue dispatchers share: options, retries, the window in which duplicates collapse."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel import Cache
from tiercel.dispatch import FunctionTask, refresh_task
from tiercel.dispatch.stall import PAUSE, Stall
from tiercel.dispatch.window import CLOCK_SKEW, CollapseWindow
from tiercel.spi import (
    COMMON_OPTIONS,
    ConfigurationError,
    Message,
    QueueDispatcher,
    Retries,
    TaskKind,
)
from tiercel.testing import VirtualClock


class ListQueue(QueueDispatcher):
    """Keeps messages in a list; `down` makes its broker fail."""

    name = "list"
    default_dedup_window = 0.5

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sent: list[Message] = []
        self.threads: list[threading.Thread] = []
        self.down = False

    def send(self, message: Message) -> None:
        if self.down:
            raise ConnectionError("no broker")
        self.sent.append(message)
        self.threads.append(threading.current_thread())


class CannotDelay(ListQueue):
    name = "cannot_delay"
    default_dedup_window = 0.0


cache = Cache(name="shop")


@cache.cached(name="shop:price")
def price(product: int) -> int:
    return product


def task(product: int = 1) -> FunctionTask:
    function = price.cached_function
    return refresh_task(function.subject, function.call((product,), {}))


def test_message_says_what_the_task_is() -> None:
    """A broker can show what it carries without reading our text."""
    queue = ListQueue()
    queue.dispatch(task())
    message = queue.sent[0]
    assert message.kind is TaskKind.REFRESH
    assert message.function == "shop:price"
    assert message.dedup == "tiercel:shop/price:v1:product=1"
    assert message.id in message.text
    assert message.delay == 0.0


async def test_dispatch_when_awaited_sends_in_a_thread() -> None:
    """A broker's client may block; the event loop does not."""
    queue = ListQueue()
    await queue.adispatch(task())
    assert queue.threads != [threading.current_thread()]


class Stalled(ListQueue):
    """Waits for a broker that does not answer."""

    def __init__(self, clock: VirtualClock, patience: float) -> None:
        super().__init__()
        self._stall = Stall(clock.monotonic)
        self.clock, self.patience, self.asked = clock, patience, 0

    def send(self, message: Message) -> None:
        self.asked += 1
        self.clock.advance(self.patience)
        raise TimeoutError("no answer")


def test_dispatch_when_the_broker_did_not_answer_then_others_do_not_wait_for_it() -> None:
    """One of them finds out whether it does again, after a while."""
    queue = Stalled(VirtualClock(), patience=1.0)
    with pytest.raises(TimeoutError):
        queue.dispatch(task(1))
    for product in range(2, 12):
        with pytest.raises(ConnectionError, match="not asked yet"):
            queue.dispatch(task(product))
    assert queue.asked == 1
    queue.clock.advance(PAUSE)
    with pytest.raises(TimeoutError):
        queue.dispatch(task(1))
    assert queue.asked == 2


def test_dispatch_when_the_broker_refuses_at_once_then_it_is_asked_each_time() -> None:
    """That costs nobody anything, and it may be back at any time."""
    queue = Stalled(VirtualClock(), patience=0.01)
    for product in range(5):
        with pytest.raises(TimeoutError):
            queue.dispatch(task(product))
    assert queue.asked == 5


def test_dispatch_when_the_broker_is_down_raises() -> None:
    """The caller has to know."""
    queue = ListQueue()
    queue.down = True
    with pytest.raises(ConnectionError):
        queue.dispatch(task())
    queue.down = False
    queue.dispatch(task())
    assert [message.delay for message in queue.sent] == [0.0]


def test_dispatch_when_an_argument_cannot_be_carried_names_it() -> None:
    """Nothing is sent that a worker could not read."""
    queue = ListQueue()
    function = price.cached_function
    call = function.call((1,), {})
    call.args = (object(),)
    broken = refresh_task(function.subject, call)
    with pytest.raises(TypeError, match=r"argument 'product' of shop:price .* builtins\.object"):
        queue.dispatch(broken)
    assert queue.sent == []


def test_task_when_it_is_of_this_process_only_cannot_be_sent() -> None:
    """A task made of plain callables has nothing that another process could do."""

    async def nothing() -> None:
        """Do nothing."""

    local = FunctionTask(kind=TaskKind.WARM, function="m:f", run=list, arun=nothing)
    with pytest.raises(TypeError, match="warm of m:f can be done in this process only"):
        ListQueue().dispatch(local)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("queue", ""),
        ("queue", 3),
        ("priority", "high"),
        ("priority", True),
        ("priority", 1.5),
        ("max_retries", -1),
        ("max_retries", 2.0),
        ("min_backoff", -0.1),
        ("min_backoff", "1"),
        ("max_backoff", float("inf")),
        ("max_backoff", 0.5),
        ("dedup_window", -1),
        ("dedup_window", float("nan")),
    ],
)
def test_option_when_its_value_cannot_work_is_refused(option: str, value: Any) -> None:
    """The error names the option and what was given."""
    with pytest.raises(ConfigurationError, match=rf"{option}.*{value}"):
        ListQueue(**{option: value})


def test_options_when_not_given_have_defaults() -> None:
    """The common options and their defaults are a contract with plugins."""
    queue = ListQueue()
    assert (queue.queue, queue.priority, queue.dedup_window) == (None, None, 0.5)
    assert queue.retries == Retries(5, 1.0, 300.0)
    assert CannotDelay().dedup_window == 0.0
    names = ["dedup_window", "max_backoff", "max_retries", "min_backoff", "priority", "queue"]
    assert sorted(COMMON_OPTIONS) == names


def test_retries_when_failures_go_on_wait_twice_as_long_each_time() -> None:
    """Exponential, up to the cap, for any number of attempts."""
    retries = Retries(10, 0.5, 5.0)
    assert [retries.delay(attempt) for attempt in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert retries.delay(0) == 0.5
    assert retries.delay(10_000) == 5.0


def test_retries_when_jittered_wait_at_least_half_as_long() -> None:
    """Tasks that failed together come back at different times."""
    retries = Retries(5, 4.0, 100.0)
    pauses = {retries.delay(2, jitter=True) for _ in range(50)}
    assert len(pauses) > 10
    assert all(4.0 <= pause <= 8.0 for pause in pauses)


class Town:
    """A window on a virtual clock, and what a broker would do with what passes it."""

    def __init__(self, length: float = 0.5) -> None:
        self.clock = VirtualClock()
        self.window = CollapseWindow(length, self.clock.monotonic)
        self.starts: list[float] = []
        self.messages: list[tuple[float, float]] = []
        self.broken = False

    def ask(self, work: str = "w") -> None:
        def send(delay: float) -> None:
            if self.broken:
                raise ConnectionError
            now = self.clock.monotonic()
            self.starts.append(now + delay)
            self.messages.append((now, now + delay))

        self.window.pass_on(work, send)


def test_window_when_many_come_sends_one_now_and_one_at_its_end() -> None:
    """The first is sent at once, the second held back, the others are left out."""
    town = Town()
    start = town.clock.monotonic()
    for _ in range(5):
        town.ask()
        town.clock.advance(0.05)
    assert town.starts == pytest.approx([start, start + 0.5])


def test_window_when_it_is_over_opens_another() -> None:
    """Each burst is served by itself."""
    town = Town()
    town.ask()
    town.clock.advance(0.51)
    town.ask()
    assert len(town.starts) == 2
    assert town.starts[1] == town.clock.monotonic()


def test_window_when_the_held_one_may_start_soon_sends_again() -> None:
    """A worker whose clock is ahead may have begun: its task absorbs nothing any more."""
    town = Town()
    town.ask()
    town.clock.advance(0.1)
    town.ask()
    town.clock.advance(0.5 - 0.1 - CLOCK_SKEW / 2)
    town.ask()
    assert len(town.starts) == 3


def test_window_when_sending_fails_forgets_the_task() -> None:
    """What the broker has not taken lets nothing else be left out."""
    town = Town()
    town.broken = True
    with pytest.raises(ConnectionError):
        town.ask()
    town.broken = False
    town.ask()
    town.broken = True
    with pytest.raises(ConnectionError):
        town.ask()
    town.broken = False
    town.ask()
    assert len(town.starts) == 2


def test_window_when_work_differs_keeps_it_apart_and_forgets_it_in_time() -> None:
    """Each kind of work has a window of its own, and costs no memory afterwards."""
    town = Town()
    for number in range(1000):
        town.ask(f"work {number}")
        town.clock.advance(0.001)
    assert len(town.starts) == 1000
    town.clock.advance(1.0)
    town.ask("last")
    assert len(town.window) == 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(0.0, 0.7), min_size=1, max_size=30),
    st.floats(0.05, 2.0),
    st.floats(0.0, CLOCK_SKEW * 0.999),
)
def test_window_when_tasks_come_at_any_time_never_loses_the_last(
    pauses: list[float], length: float, ahead: float
) -> None:
    """After each task, something starts no earlier than it came, whatever the workers' clocks."""
    town = Town(length)
    came = []
    for pause in pauses:
        town.clock.advance(pause)
        came.append(town.clock.monotonic())
        town.ask()
    for moment in came:
        assert any(max(sent, start - ahead) >= moment - 1e-9 for sent, start in town.messages)


def test_window_when_threads_race_leaves_none_out_for_nothing() -> None:
    """However threads meet, what is left out has a message after it that is held back."""
    window, delays = CollapseWindow(10.0), list[float]()
    go = threading.Barrier(8)

    def work() -> None:
        go.wait()
        for _ in range(50):
            window.pass_on("w", delays.append)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(delays) < 50
    assert max(delays) > 9.0


async def test_dispatch_when_many_are_awaited_collapses_them() -> None:
    """The window holds for both ways of dispatching."""
    queue = ListQueue(dedup_window=5.0)
    for _ in range(6):
        await queue.adispatch(task(1))
    await asyncio.gather(*(queue.adispatch(task(2)) for _ in range(6)))
    ones = [message.delay for message in queue.sent if "product=1" in message.dedup]
    assert ones[0] == 0.0
    assert 4.0 < ones[1] <= 5.0
    assert len(ones) == 2
    assert any(message.delay for message in queue.sent if "product=2" in message.dedup)


def test_dispatch_without_a_window_sends_everything() -> None:
    """Where a broker cannot hold messages back, nothing is collapsed."""
    queue = CannotDelay()
    for _ in range(4):
        queue.dispatch(task())
    assert [message.delay for message in queue.sent] == [0.0] * 4


def test_dispatch_when_work_is_nobodys_duplicate_is_sent() -> None:
    """Tasks without `dedup` never stand for each other."""
    queue = ListQueue()
    for _ in range(3):
        single = task()
        single.dedup = ""
        queue.dispatch(single)
    assert [message.delay for message in queue.sent] == [0.0] * 3
