"""Wakes for one process over pub/sub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tiercel.spi import BackendUnavailable, Mailbox
from tiercel_redis.connections import THREADS, open_pool
from tiercel_redis.decoding import message, subscribed, taken_apart
from tiercel_redis.failures import TRANSPORT_ERRORS, failure
from tiercel_redis.options import Address, Settings
from tiercel_redis.resp import pack

Made = TypeVar("Made")

SLICE = 0.25
"""Seconds after which a waiting `receive` notices that its mailbox was closed."""


class RedisMailbox(Mailbox):
    """A subscribed connection; live when constructed.

    Raises:
        BackendUnavailable: No server confirmed the subscription in time.
    """

    def __init__(self, settings: Settings, node: Address | None, channel: str) -> None:
        self._settings = settings
        self._closed = False
        self._receiving = threading.Lock()
        self._connection: Any = open_pool(THREADS, settings, node).make_connection()
        try:
            self._connection.connect()
            self._connection.send_packed_command((pack("SUBSCRIBE", channel),), check_health=False)
            self._read(subscribed)
        except TRANSPORT_ERRORS as error:
            raise self._lost(error) from error

    def receive(self, timeout: float) -> Sequence[str]:
        """Wait at most `timeout` seconds for wakes; each text comes once."""
        texts: dict[str, None] = {}
        deadline = time.monotonic() + timeout
        with self._receiving:
            try:
                while self._can_read(0.0 if texts else deadline - time.monotonic()):
                    texts[self._read(message)] = None
            except TRANSPORT_ERRORS as error:
                raise self._lost(error) from error
        return list(texts)

    def close(self) -> None:
        """Close the connection, once a `receive` in another thread has noticed and ended."""
        self._closed = True
        with self._receiving:
            self._connection.disconnect()

    def _can_read(self, seconds: float) -> bool:
        """Wait in slices: a connection must not be closed while another thread looks at it."""
        deadline = time.monotonic() + seconds
        while not self._closed:
            left = max(0.0, deadline - time.monotonic())
            if self._connection.can_read(timeout=min(left, SLICE)):
                return True
            if not left:
                return False
        raise BackendUnavailable("the mailbox is closed; open another")

    def _read(self, decode: Callable[[Any], Made]) -> Made:
        # Under RESP3 a message is a push, which redis-py hands out only when asked to.
        return taken_apart(decode, self._connection.read_response(push_request=True))

    def _lost(self, error: Exception) -> BackendUnavailable:
        self._connection.disconnect()
        settings = self._settings
        return BackendUnavailable(str(failure(error, settings.label, settings.timeout)))
