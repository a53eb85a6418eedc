"""Publishes tasks so that they are in the broker afterwards, or an error comes soon."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakSet

from celery import Celery
from kombu.connection import Connection
from kombu.messaging import Producer

TIMEOUT = 1.0
"""Seconds that connecting, and publishing on a connection, may take at most."""

PAUSE = 5.0
"""Seconds for which a broker that did not answer in time is not asked again."""

MAX_IDLE = 10
"""Connections that are kept while nobody uses them."""

Line = tuple[Connection, Producer]

BOUNDED = {
    "confirm_publish": True,  # RabbitMQ: what is not confirmed may be lost with the connection
    "max_retries": 0,
    "read_timeout": TIMEOUT,
    "socket_connect_timeout": TIMEOUT,
    "socket_timeout": TIMEOUT,
    "write_timeout": TIMEOUT,
}
"""Transport options, each read by the transports that know it."""


class BrokerStuck(ConnectionError):
    """The broker was not asked, since it let somebody wait in vain a moment ago."""


class Publisher:
    """Publishes tasks of one app, on connections apart from Celery's own.

    Those of Celery wait for a broker much longer than a request can, and do not notice a message
    that was lost on the way.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._idle: list[Line] = []
        self._inherited: list[object] = []
        self._stuck_until = float("-inf")
        _publishers.add(self)

    def publish(self, task: Any, text: str, **options: Any) -> None:
        """Publish a task.

        Raises:
            BrokerStuck: The broker has not answered somebody else in time, less than `PAUSE` ago.
            Exception: The broker did not take it.
        """
        if time.monotonic() < self._stuck_until:
            raise BrokerStuck("the broker has not answered in time a moment ago")
        started = time.monotonic()
        try:
            self._publish(started, task, text, options)
        except Exception:
            if _took_long(started):
                self._stuck_until = time.monotonic() + PAUSE
            raise

    def _publish(self, started: float, task: Any, text: str, options: dict[str, Any]) -> None:
        """Publish on the connection at hand; on a new one if that is broken."""

        def send(producer: Producer) -> None:
            task.apply_async((text,), producer=producer, retry=False, timeout=TIMEOUT, **options)

        line = self._take()
        if line is not None:
            try:
                return self._send(line, send)
            except Exception:
                self.close()  # the others are broken, too
                if _took_long(started):
                    raise
        return self._send(self._open(), send)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.collect()

    def leave_to_parent(self) -> None:
        """Use none of the connections of the process that this one was forked from."""
        # Kept, since their destructors would end the parent's connections.
        self._inherited.append(self._idle)
        self._idle = []

    def _take(self) -> Line | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> Line:
        connection = self._app.connection_for_write(
            connect_timeout=TIMEOUT, transport_options=BOUNDED
        )
        return connection, self._app.amqp.Producer(connection, auto_declare=False)

    def _send(self, line: Line, send: Callable[[Producer], None]) -> None:
        connection, producer = line
        try:
            send(producer)
        except BaseException:
            connection.collect()  # a late answer must not be taken for that to another message
            raise
        if len(self._idle) < MAX_IDLE:
            self._idle.append(line)
        else:
            connection.release()


def _took_long(started: float) -> bool:
    return time.monotonic() - started > TIMEOUT / 2


_publishers: WeakSet[Publisher] = WeakSet()


@cache
def publisher_of(app: Celery) -> Publisher:
    """Return the publisher of an app, the same for everybody in this process."""
    return Publisher(app)


def _after_fork() -> None:
    for publisher in list(_publishers):
        publisher.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
