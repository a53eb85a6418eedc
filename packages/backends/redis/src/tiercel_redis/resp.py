"""Packed bytes for the Redis protocol (RESP), and requests made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from hiredis import pack_command
from msgspec import Struct

from tiercel_redis.scripts import Script

Argument = bytes | str | int

ASKING = b"*1\r\n$6\r\nASKING\r\n"
FOREVER = 10**14
"""Milliseconds (3,000 years) that a time is cut to, so that no server refuses it."""


# Its stub names a tuple of one element. It takes numbers, too, but where one is made a text at the
# limit of recursion, hiredis ends the process.
pack_tuple: Callable[[tuple[bytes | str, ...]], bytes] = pack_command  # type: ignore[assignment]
"""Returns one command as the server reads it."""


def bulk(argument: bytes) -> bytes:
    """Return one argument as it stands in a packed command."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


@lru_cache(maxsize=4096)
def pack_part(*arguments: str | int) -> bytes:
    """Return arguments as they stand in a packed command; for those that come again and again."""
    return b"".join([bulk(str(argument).encode()) for argument in arguments])


def pack(*arguments: bytes | str) -> bytes:
    """Return one command as the server reads it."""
    return pack_tuple(arguments)


@lru_cache(maxsize=1024)
def milliseconds(seconds: float) -> int:
    """Return a life in whole milliseconds, at least one: rounded down, to err towards a miss."""
    return max(1, int(min(seconds * 1000, FOREVER)))


class Call(Struct, frozen=True):
    """One run of a script; `arguments` makes them anew for each attempt where it is a function."""

    script: Script
    names: Sequence[str]
    arguments: Sequence[Argument] | Callable[[], Sequence[Argument]]

    def pack(self, *, by_source: bool) -> bytes:
        """Return the command; by source for a server that does not know the digest."""
        arguments = self.arguments() if callable(self.arguments) else self.arguments
        verb, script = (
            ("EVAL", self.script.source) if by_source else ("EVALSHA", self.script.digest)
        )
        texts = [b"%d" % each if isinstance(each, int) else each for each in arguments]
        return pack(verb, script, b"%d" % len(self.names), *self.names, *texts)


class Request(Struct, frozen=True):
    """Commands that one server answers in one round trip.

    Attributes:
        tag: The hash tag that says which server.
        commands: Packed, in order.
        call: A script that runs after them.
        wait: Seconds that the server may take longer than usual.
    """

    tag: int
    commands: tuple[bytes, ...] = ()
    call: Call | None = None
    wait: float = 0.0

    @property
    def replies(self) -> int:
        """How many replies come back."""
        return len(self.commands) + (self.call is not None)

    def pack(self, *, by_source: bool = False) -> bytes:
        """Return all commands as the server reads them."""
        return b"".join(self._pieces(by_source))

    def pack_asking(self, *, by_source: bool = False) -> bytes:
        """Return all commands for a server that is taking the slot over; twice the replies."""
        return b"".join(ASKING + piece for piece in self._pieces(by_source))

    def _pieces(self, by_source: bool) -> Sequence[bytes]:
        if self.call is None:
            return self.commands
        return (*self.commands, self.call.pack(by_source=by_source))


class Plan(Struct, frozen=True):
    """What a command sends, and how its reply is made of what comes back.

    Attributes:
        requests: One for each server and tag concerned.
        decode: Called with the replies to each request.
        patient: Keep trying until the time limit, as part of it may have been done.
    """

    requests: Sequence[Request]
    decode: Callable[[Sequence[Sequence[Any]]], Any]
    patient: bool = False
