"""Input and output for threads: connections on a free list, one packed write, one read."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import TimeoutError as SlowError

from tiercel_redis.conductor import Node, Outcome, Shipment, Step, Steps
from tiercel_redis.connections import THREADS, open_pool
from tiercel_redis.failures import TRANSPORT_ERRORS, Misunderstood, is_lost, is_useless
from tiercel_redis.lineage import Lineages
from tiercel_redis.options import Settings
from tiercel_redis.sockets import Socket


class Line:
    """Connections from this process to one server; each carries one exchange at a time."""

    def __init__(self, settings: Settings, node: Node, lineages: Lineages) -> None:
        self._settings = settings
        self._node = node
        self._lineages = lineages
        self._pool = open_pool(THREADS, settings, node)
        self._free: list[Socket] = []
        self._open = 0
        self._waiting = 0
        self._changed = threading.Condition()

    def exchange(self, data: bytes, replies: int) -> Sequence[Any]:
        """Send packed commands and return their replies, errors among them as values.

        Raises:
            OSError, RedisError: The connection broke or was too slow; it is closed then.
        """
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._take()
        try:
            connection.send(data)
            answers = connection.receive(replies)
        except BaseException as error:
            self.discard(connection, error)
            raise
        if connection.failed or self._waiting:
            self._give_back(connection, answers)
        else:
            self._free.append(connection)
        return answers

    def send(self, data: bytes) -> Socket:
        """Send packed commands and return the connection that will bring the replies."""
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._take()
        try:
            connection.send(data)
        except BaseException as error:
            self.discard(connection, error)
            raise
        return connection

    def receive(self, connection: Socket, replies: int, wait: float = 0.0) -> Sequence[Any]:
        """Return the replies to what was sent on a connection; the first takes `wait` longer."""
        try:
            if wait:
                connection.limit(wait + self._settings.timeout)
            answers = connection.receive(replies)
            if wait:
                connection.limit(self._settings.timeout)
        except BaseException as error:
            self.discard(connection, error)
            raise
        self._give_back(connection, answers)
        return answers

    def _give_back(self, connection: Socket, answers: Sequence[Any]) -> None:
        if connection.failed and is_useless(answers):
            self.discard(connection)
            self.close()
            return
        connection.failed = False
        self._free.append(connection)
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def discard(self, connection: Socket, error: BaseException | None = None) -> None:
        """Close a connection on which a reply may still be under way."""
        connection.close()
        self._count_out()
        if error is not None and is_lost(error):
            self.close()

    def close(self) -> None:
        """Close all connections that nobody uses now."""
        while self._free:
            with suppress(IndexError):
                self.discard(self._free.pop())

    def _take(self) -> Socket:
        """Return a new connection or, where there are enough, the next one that comes back."""
        deadline = time.monotonic() + self._settings.timeout
        with self._changed:
            # Counted before it looks: who gives one back afterwards sees that it must notify.
            self._waiting += 1
            try:
                while self._open >= self._settings.max_connections:
                    with suppress(IndexError):
                        return self._free.pop()
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise SlowError("all connections are busy")
                self._open += 1
            finally:
                self._waiting -= 1
        return self._connect()

    def _connect(self) -> Socket:
        # Not by way of the pool's get_connection: after an interruption in the middle of a
        # handshake that would hand the connection to the next caller, late replies and all.
        connection = self._pool.make_connection()
        try:
            connection.connect()
            self._lineages.ask(self._node, connection)
            return Socket(connection)
        except BaseException:
            connection.disconnect()
            self._count_out()
            raise

    def _count_out(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify()


class Lines:
    """All lines of one backend, by server."""

    def __init__(self, settings: Settings, lineages: Lineages) -> None:
        self._settings = settings
        self._lineages = lineages
        self._lines: dict[Node, Line] = {}
        self._lock = threading.Lock()

    def line(self, node: Node) -> Line:
        """Return the line to a server."""
        line = self._lines.get(node)
        if line is None:
            with self._lock:
                line = self._lines.setdefault(node, Line(self._settings, node, self._lineages))
        return line

    def drive(self, steps: Steps) -> Any:
        """Do what the conductor says until there is a reply."""
        try:
            step = next(steps)
            while True:
                step = steps.send(self._perform(step))
        except StopIteration as end:
            return end.value
        except Misunderstood:
            self.close()
            raise

    def _perform(self, step: Step) -> Sequence[Outcome]:
        if step.pause:
            time.sleep(step.pause)
        under_way = deque((shipment, self._send(shipment)) for shipment in step.shipments)
        outcomes: list[Outcome] = []
        try:
            while under_way:
                outcomes.append(self._receive(*under_way.popleft()))
        finally:
            # Only after an interruption: nobody may read the replies that are still to come.
            for shipment, sent in under_way:
                if not isinstance(sent, Exception):
                    self.line(shipment.node).discard(sent)
        return outcomes

    def _send(self, shipment: Shipment) -> Any:
        try:
            return self.line(shipment.node).send(shipment.data)
        except TRANSPORT_ERRORS as error:
            return error

    def _receive(self, shipment: Shipment, sent: Any) -> Outcome:
        if isinstance(sent, Exception):
            return sent
        try:
            line = self.line(shipment.node)
            return line.receive(sent, shipment.replies, shipment.wait)
        except TRANSPORT_ERRORS as error:
            return error

    def close(self) -> None:
        """Close all connections that nobody uses now."""
        for line in list(self._lines.values()):
            line.close()

    def forget(self) -> None:
        """Begin anew in a child process: the connections are its parent's."""
        self.__init__(self._settings, self._lineages)  # type: ignore[misc]
