"""The dispatcher that sends tasks to Dramatiq's workers."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import dramatiq

from tiercel.spi import ConfigurationError, Message, QueueDispatcher
from tiercel_dramatiq.actors import DEFAULT_QUEUE, NAME, declare, want
from tiercel_dramatiq.brokers import check_ability, check_broker, find_broker, known_broker
from tiercel_dramatiq.sender import Sender

_QUEUE = re.compile(r"[a-zA-Z_][a-zA-Z0-9._-]*")


class DramatiqDispatcher(QueueDispatcher):
    """Sends tasks to Dramatiq's workers.

    Args:
        broker: The broker, or its path; None: the global one.
        **common: See `QueueDispatcher`. `priority` needs a `RabbitmqBroker(max_priority=)`; its
            highest one goes first.

    Raises:
        ConfigurationError: A value that cannot work.
    """

    name = "dramatiq"
    default_dedup_window = 0.5

    def __init__(self, *, broker: dramatiq.Broker | str | None = None, **common: Any) -> None:
        super().__init__(**common)
        check_broker(broker)
        self.queue = self.queue or DEFAULT_QUEUE
        if not _QUEUE.fullmatch(self.queue):
            raise ConfigurationError(
                "queue must begin with a letter or underscore and go on with these, digits, "
                f"dots and dashes for Dramatiq, not {self.queue!r}"
            )
        self._given = broker
        self._sender = Sender()
        if (known := known_broker(broker)) is not None:
            check_ability(known, self.priority)
        want(self.queue)

    @cached_property
    def broker(self) -> dramatiq.Broker:
        """The broker that tasks are sent to, with the queue declared.

        Raises:
            ConfigurationError: There is none, or it cannot do what is asked of it.
        """
        found = find_broker(self._given)
        check_ability(found, self.priority)
        declare(found, self.queue or DEFAULT_QUEUE)
        return found

    def send(self, message: Message) -> None:
        """Enqueue a message; raises within about a second if the broker does not take it."""
        broker = self.broker
        delay = round(message.delay * 1000) or None
        enqueued: dramatiq.Message[None] = dramatiq.Message(
            queue_name=self.queue or DEFAULT_QUEUE,
            actor_name=NAME,
            args=(message.text,),
            kwargs={},
            options=dict(self._options),
        )
        self._sender.do(lambda: broker.enqueue(enqueued, delay=delay))

    def close(self, timeout: float) -> None:
        """End the thread that talks to the broker; the broker itself is its owner's to close."""
        self._sender.stop(timeout)

    @cached_property
    def _options(self) -> dict[str, int]:
        options = {
            "max_retries": self.retries.max_retries,
            "min_backoff": round(self.retries.min_backoff * 1000),
            "max_backoff": round(self.retries.max_backoff * 1000),
        }
        return options | ({} if self.priority is None else {"broker_priority": self.priority})
