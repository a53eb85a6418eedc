"""The base of dispatchers that send tasks to workers in other processes."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from tiercel.contracts.dispatcher import Dispatcher, Message, Task
from tiercel.dispatch.options import check_integer, check_number, check_text
from tiercel.dispatch.retries import Retries
from tiercel.dispatch.stall import Stall
from tiercel.dispatch.task import same_work
from tiercel.dispatch.window import CollapseWindow

COMMON_OPTIONS = frozenset(
    {"dedup_window", "max_backoff", "max_retries", "min_backoff", "priority", "queue"}
)
"""The options of every queue dispatcher; a plugin adds its own in its spec."""


def check_common_options(options: Mapping[str, Any]) -> None:
    """Check the values of common options, before a dispatcher is made with them.

    Raises:
        ConfigurationError: A value that cannot work; names the option.
    """
    pauses = {name: options[name] for name in _OF_RETRIES & options.keys()}
    Retries(**pauses)
    _check(options.get("queue"), options.get("priority"), options.get("dedup_window") or 0.0)


_OF_RETRIES = frozenset({"max_backoff", "max_retries", "min_backoff"})


def _check(queue: Any, priority: Any, window: Any) -> None:
    if queue is not None:
        check_text("queue", queue)
    if priority is not None:
        check_integer("priority", priority)
    check_number("dedup_window", window, 0.0)


class QueueDispatcher(Dispatcher):
    """Sends each task as one JSON text; workers give it to `perform_message`.

    A subclass puts a message into its broker with `send`. Its worker calls `perform_message` with
    the text; if that raises, the broker delivers the message again after `retries.delay(n)`
    seconds, at most `retries.max_retries` times, and then keeps it among its dead letters.
    `BadMessage` is not worth a retry.

    Of tasks that do the same work within `dedup_window` seconds the first is sent at once and a
    second one is held back until the window is over. Further ones are left out for as long as
    that second one cannot have started: a task that may run already has perhaps read what has
    changed since.

    Attributes:
        default_dedup_window: Seconds; more than 0 only where the broker can hold messages back.
        queue: Name of the queue; None: the broker's default.
        priority: As the broker understands it; None: its default.
        retries: How failed tasks are to be repeated.
        dedup_window: Seconds within which tasks that do the same work are collapsed; 0: never.
    """

    crosses_processes = True
    default_dedup_window: ClassVar[float] = 0.0

    def __init__(
        self,
        *,
        queue: str | None = None,
        priority: int | None = None,
        max_retries: int = 5,
        min_backoff: float = 1.0,
        max_backoff: float = 300.0,
        dedup_window: float | None = None,
    ) -> None:
        """Check the options; nothing is connected.

        Raises:
            ConfigurationError: A value that cannot work; names the option.
        """
        window = self.default_dedup_window if dedup_window is None else dedup_window
        _check(queue, priority, window)
        self.queue = queue
        self.priority = priority
        self.retries = Retries(max_retries, min_backoff, max_backoff)
        self.dedup_window = window
        self._window = CollapseWindow(window)
        self._stall = Stall()

    @abstractmethod
    def send(self, message: Message) -> None:
        """Put a message into the broker; it is there when this returns.

        Raises:
            Exception: The broker did not take it, within a few seconds.
        """

    def dispatch(self, task: Task) -> None:
        """Send a task, unless a message that cannot have started yet will do its work.

        A broker that let somebody wait in vain is not asked again for some seconds.

        Raises:
            TypeError: An argument of the call cannot be carried to another process.
            Exception: The broker did not take it.
        """
        if not self.dedup_window or not task.dedup:
            self._send(task, 0.0)
            return
        self._window.pass_on(same_work(task), lambda delay: self._send(task, delay))

    async def adispatch(self, task: Task) -> None:
        """Do what `dispatch` does, in a thread."""
        await asyncio.to_thread(self.dispatch, task)

    def _send(self, task: Task, delay: float) -> None:
        text = task.to_json()
        with self._stall.noted():
            self.send(Message(text, task.id, task.kind, task.function, task.dedup, delay))
