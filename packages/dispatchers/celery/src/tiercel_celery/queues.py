"""Queues that keep dead letters and priorities, declared alike by senders and workers."""

from __future__ import annotations

from typing import Any

from kombu.entity import Queue

MAX_PRIORITY = 9
"""The highest priority of a task; also what Celery's own documentation knows."""

DEAD_LETTERS = ".dead"
"""What stands behind a queue's name in that of its dead letters."""


class DeadLetteredQueue(Queue):
    """A queue whose dead letters have a place to go, wherever it is declared."""

    def declare(self, nowait: bool = False, channel: Any = None) -> Any:
        """Declare the queue of the dead letters, then this one."""
        used: Any = channel or self.channel
        if used.connection.client.transport.driver_type == "amqp":
            arguments: dict[str, Any] = getattr(self, "queue_arguments")  # noqa: B009 - for types
            name = arguments["x-dead-letter-routing-key"]
            used.queue_declare(queue=name, durable=True, auto_delete=False)
        return super().declare(nowait, channel)  # type: ignore[no-untyped-call]


def queue(name: str, *, max_priority: int | None = MAX_PRIORITY) -> Queue:
    """Return the declaration of a queue for tasks, to be used in `app.conf.task_queues`.

    On RabbitMQ what failed for good goes to the queue `name.dead`, and priorities are kept. On
    other brokers it is a queue like any other.

    Args:
        name: Its name; also its routing key.
        max_priority: The highest priority that RabbitMQ tells apart; None: there are none.
    """
    arguments: dict[str, Any] = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": name + DEAD_LETTERS,
    }
    if max_priority is not None:
        arguments["x-max-priority"] = max_priority
    options: dict[str, Any] = {"routing_key": name, "queue_arguments": arguments}
    return DeadLetteredQueue(name, **options)  # type: ignore[no-untyped-call]
