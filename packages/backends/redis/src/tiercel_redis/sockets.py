"""Connections that redis-py has opened, read and written without its client code.

redis-py finds the server and opens, encrypts and authenticates a connection. What its own methods
then add to each exchange is a fifth of a read on loopback, so from there on the socket is used
directly, with the same parser (hiredis) and the same errors. For that, attributes of redis-py's
connections are used that it calls private; the versions this package allows all have them.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as SlowError

BUFFER: Final = 65_536
"""Bytes that are read from a socket at once."""

UNFINISHED: Final = object()
"""What a reader returns where a reply is not complete yet."""

PUSH: Final = getattr(hiredis, "PushNotification", None)
"""The type of what a server sends unasked; versions before 3.2 do not tell it apart."""

REST: Final = 5.0
"""How many times the limit of one call a reply may take that has begun: it may be large."""

_TIMEVAL: Final = struct.Struct("ll")


def open_reader(connection: Any, failed: Callable[[], object]) -> Any:
    """Return a parser of replies that returns errors of the server as redis-py's exceptions.

    Args:
        connection: One of redis-py's, connected.
        failed: Called for each of these errors.
    """
    parse: Callable[[str], Any] = connection._parser.parse_error

    def error(text: str) -> Exception:
        failed()
        try:
            found = parse(text)
        except Exception:  # where to go on, in words that redis-py does not understand
            found = ResponseError(text)
        found.status_code = text.partition(" ")[0]  # redis-py 6 keeps it to itself
        return cast("Exception", found)

    return hiredis.Reader(protocolError=InvalidResponse, replyError=error, notEnoughData=UNFINISHED)


class Socket:
    """One connection to one server, for one exchange at a time.

    Attributes:
        send: Sends bytes, all of them.
        failed: Whether an error was among the replies since this was last set to False.
    """

    __slots__ = (
        "_buffer",
        "_connection",
        "_feed",
        "_gets",
        "_patience",
        "_read",
        "_socket",
        "failed",
        "send",
    )

    def __init__(self, connection: Any) -> None:
        reader = open_reader(connection, self._fail)
        self._connection = connection
        self._socket: socket.socket = connection._sock
        self._buffer = bytearray(BUFFER)
        self._read, self._feed, self._gets = self._socket.recv_into, reader.feed, reader.gets
        self.send: Callable[[bytes], object] = self._socket.sendall
        self.failed = False
        self._patience = math.inf
        self.limit(self._socket.gettimeout())

    def receive(self, count: int) -> list[Any]:
        """Return the replies to what was sent, at least one, errors of the server among them.

        Raises:
            OSError: Nothing came in time, or the connection broke.
            RedisError: The server closed it, what came is no reply, or its rest came too late.
        """
        replies: list[Any] = []
        buffer, gets, until = self._buffer, self._gets, 0.0
        while True:
            size = self._read(buffer)
            if not size:
                raise LostError("the server closed the connection")
            self._feed(buffer, 0, size)
            while (reply := gets()) is not UNFINISHED:
                if type(reply) is PUSH:
                    continue
                if count == 1:
                    return [reply]
                replies.append(reply)
                if len(replies) == count:
                    return replies
            # The system bounds the wait for the next bytes, however few these are.
            now = time.monotonic()
            until = until or now + REST * self._patience
            if now > until:
                raise SlowError("the rest of a reply did not come in time")

    def limit(self, seconds: float | None) -> None:
        """Bound each system call that reads or writes.

        Left to the kernel where that is possible: Python would ask it before each of them
        whether it may.
        """
        if seconds is None:
            return
        self._patience = seconds
        if os.name == "posix" and type(self._socket).__module__ == "socket":
            limit = _TIMEVAL.pack(*divmod(max(1, int(seconds * 1e6)), 1_000_000))
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        else:
            self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close it, whatever is under way."""
        self._connection.disconnect()

    def _fail(self) -> None:
        self.failed = True
