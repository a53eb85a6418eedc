"""The dispatcher that sends tasks to Celery's workers."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from celery import Celery, current_task

from tiercel.spi import ConfigurationError, Message, QueueDispatcher
from tiercel_celery.apps import check_app, find_app
from tiercel_celery.publisher import publisher_of
from tiercel_celery.queues import MAX_PRIORITY
from tiercel_celery.tasks import NAME, as_header

logger = logging.getLogger("tiercel.dispatch")


class CeleryDispatcher(QueueDispatcher):
    """Sends tasks to Celery's workers.

    Args:
        app: The Celery app, or its path; None: the one given to `install`, else the current one,
            else the only one of the process.
        beat: Whether a `celery beat` runs: it then keeps the schedules of periodic tasks.
        **common: See `QueueDispatcher`. `priority` is 0 to 9, and 9 goes first on every broker.

    Raises:
        ConfigurationError: A value that cannot work.
    """

    name = "celery"
    default_dedup_window = 0.5

    def __init__(self, *, app: Celery | str | None = None, beat: bool = False, **common: Any):
        super().__init__(**common)
        check_app(app)
        if not isinstance(beat, bool):
            raise ConfigurationError(f"beat must be True or False, not {beat!r}")
        if self.priority is not None and not 0 <= self.priority <= MAX_PRIORITY:
            raise ConfigurationError(
                f"priority must be 0 to {MAX_PRIORITY} for Celery, not {self.priority!r}"
            )
        self._given = app
        self._beat = beat

    @cached_property
    def app(self) -> Celery:
        """The Celery app that tasks are sent to.

        Raises:
            ConfigurationError: It is not clear which one that is.
        """
        return find_app(self._given)

    def send(self, message: Message) -> None:
        """Publish a message; raises within two seconds if the broker does not take it."""
        publisher_of(self.app).publish(
            self.app.tasks[NAME],
            message.text,
            task_id=message.id,
            countdown=message.delay or None,
            **_shown_as(message),
            **self._options,
        )

    def in_worker(self) -> bool:
        """Tell whether the calling code is run as a task of any Celery app, also an eager one."""
        task: Any = current_task
        return bool(task) and not task.request.called_directly

    def schedule(self, name: str, every: float, message: Message) -> bool:
        """Add an entry to Celery beat's schedule, if the option `beat` says that beat runs."""
        if self._beat:
            task = self.app.tasks[NAME]
            options = _shown_as(message) | self._options
            self.app.add_periodic_task(every, task.s(message.text), name=name, **options)
        return self._beat

    def close(self, timeout: float) -> None:
        """Close connections that nobody uses."""
        if "app" in self.__dict__:
            publisher_of(self.app).close()

    @cached_property
    def _options(self) -> dict[str, Any]:
        options = {"queue": self.queue, "priority": self._priority()}
        return {"headers": as_header(self.retries)} | {
            name: value for name, value in options.items() if value is not None
        }

    def _priority(self) -> int | None:
        if self.priority is None:
            return None
        driver = self.app.connection_for_write().transport.driver_type
        if driver == "redis":
            return MAX_PRIORITY - self.priority  # there 0 goes first
        if driver == "amqp":
            self._warn_without_priorities()
        return self.priority

    def _warn_without_priorities(self) -> None:
        queue = self.app.amqp.queues[self.queue or self.app.conf.task_default_queue]
        if "x-max-priority" not in (queue.queue_arguments or {}):
            logger.warning(
                "queue %r keeps no priorities, so priority=%r has no effect: declare it with "
                "tiercel_celery.install(app, %r)",
                queue.name,
                self.priority,
                queue.name,
            )


def _shown_as(message: Message) -> dict[str, str]:
    """Return what logs and monitors show: the function, but none of the call's arguments."""
    return {"shadow": f"{message.kind} of {message.function}", "argsrepr": "(...)"}
