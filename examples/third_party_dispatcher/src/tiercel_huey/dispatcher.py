"""The dispatcher: each message is a task in a queue of huey."""

from __future__ import annotations

from typing import Any

from tiercel import ConfigurationError
from tiercel.spi import Message, QueueDispatcher, check_number, check_text
from tiercel_huey.queues import DEFAULT_URL, open_queue, task_of


class HueyDispatcher(QueueDispatcher):
    """Sends tasks to consumers of huey."""

    name = "huey"
    default_dedup_window = 0.5

    def __init__(self, *, url: str = DEFAULT_URL, timeout: float = 1.0, **options: Any) -> None:
        """Check the options; nothing is connected.

        Args:
            url: URL of Redis.
            timeout: Seconds that Redis may take to answer.
            options: See `QueueDispatcher`.

        Raises:
            ConfigurationError: A value that cannot work.
        """
        super().__init__(**options)
        check_text("url", url)
        check_number("timeout", timeout, 0.001)
        try:
            self._task = task_of(open_queue(self.queue, url, timeout))
        except ValueError as error:
            raise ConfigurationError("url must be the URL of a Redis") from error

    def send(self, message: Message) -> None:
        """Put a message into the queue, or into huey's schedule if it has to wait.

        Raises:
            redis.RedisError: Redis did not take it.
        """
        times = self.retries.max_retries
        pauses = [self.retries.delay(attempt) for attempt in range(1, times + 1)]
        options: dict[str, Any] = {"retries": times, "priority": self.priority}
        if message.delay:
            options["delay"] = message.delay
        task = self._task.s(message.text, message.function, pauses, **options)
        self._task.huey.enqueue(task)
