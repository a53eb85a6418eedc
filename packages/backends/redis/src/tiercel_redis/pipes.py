"""A connection that many tasks of one event loop share, taken over from redis-py once it is open.

Replies go to those who asked, in order, straight from the transport's callback: no task stands in
between, which would cost each exchange two more turns of the loop. Who is cancelled meanwhile
leaves a place behind that takes the late reply, so nobody gets another's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ConnectionError as LostError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as SlowError

from tiercel_redis.failures import is_useless
from tiercel_redis.sockets import BUFFER, PUSH, UNFINISHED, open_reader

Answers = asyncio.Future[Sequence[Any]]


class Pipe(asyncio.BufferedProtocol):
    """One connection to one server.

    Attributes:
        usable: Whether more can be asked.
    """

    def __init__(self, connection: Any) -> None:
        reader = open_reader(connection, self._fail)
        self._feed, self._gets = reader.feed, reader.gets
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(BUFFER)
        # A part of a bytearray is a copy: what asyncio decrypts into one, for the second record
        # of TLS and those behind it, would be lost.
        self._view = memoryview(self._buffer)
        self._asked: deque[tuple[Answers, int, float]] = deque()
        self._answers: list[Any] = []
        self._unsent: list[bytes] = []
        self._failed = False
        self._timer: asyncio.TimerHandle | None = None
        self.usable = not self._transport.is_closing()
        self._transport.set_protocol(self)

    def ask(self, data: bytes, replies: int, answers: Answers, deadline: float) -> None:
        """Send packed commands.

        What is asked while replies are under way goes out in one write per turn of the loop.

        Args:
            data: The commands.
            replies: How many replies they bring, at least one.
            answers: Takes the replies, errors of the server among them as values.
            deadline: By the clock of the loop; not before those of what was asked earlier.
        """
        if not self._asked:
            self._transport.write(data)
        else:
            if not self._unsent:
                self._loop.call_soon(self._send)
            self._unsent.append(data)
        self._asked.append((answers, replies, deadline))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._check)

    def close(self, error: Exception) -> None:
        """Close the connection; whoever waits for a reply gets the error."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        # So that redis-py does not close it once more, or complain that nobody has.
        self._connection._reader = self._connection._writer = None
        asked, self._asked = self._asked, deque()
        for answers, _, _ in asked:
            if not answers.done():
                answers.set_exception(error)

    # What the transport calls

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to put what arrives."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Hand out the replies that are complete."""
        try:
            self._feed(self._buffer, 0, nbytes)
            while (reply := self._gets()) is not UNFINISHED:
                if type(reply) is not PUSH:
                    self._answers.append(reply)
                    if len(self._answers) == self._asked[0][1]:
                        self._settle()
        except (InvalidResponse, IndexError) as error:
            self.close(InvalidResponse(f"not a reply: {error}"))

    def eof_received(self) -> None:
        """Let the transport close."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.close(LostError(str(exc or "the server closed the connection")))

    def _settle(self) -> None:
        answers, _, _ = self._asked.popleft()
        replies, self._answers = self._answers, []
        if not answers.done():
            answers.set_result(replies)
        if self._failed:
            self.usable, self._failed = self.usable and not is_useless(replies), False
        if not self.usable and not self._asked:
            self.close(LostError("the server does not take writes"))

    def _send(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if not self._transport.is_closing():
            self._transport.write(data)

    def _check(self) -> None:
        """Give up if the oldest reply is late; one timer serves many exchanges."""
        self._timer = None
        if not self._asked:
            return
        deadline = self._asked[0][2]
        if self._loop.time() < deadline:
            self._timer = self._loop.call_at(deadline, self._check)
        else:
            self.close(SlowError("no reply in time"))

    def _fail(self) -> None:
        self._failed = True
