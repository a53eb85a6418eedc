"""What a process tells: who it is, how calls were served, and what has happened lately."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import msgspec
from msgspec import Struct

from tiercel.errors import Undecodable

MOST_EVENTS: Final = 256
"""Events that one bulletin holds; of more, the oldest are left out and counted."""

MOST_FUNCTIONS: Final = 500
"""Functions whose counts one bulletin holds; of more, those with the fewest calls are left out."""


class Happening(Struct, frozen=True, omit_defaults=True):
    """Something that has happened in a process.

    Attributes:
        at: When it was over, in seconds since the Unix epoch, by the clock of that process.
        kind: The name of an operation (`read`, `wait`, `compute`, `fill`, `drop`, `dispatch`,
            `task`) or of an event (`eviction`, `coalesced`, `breaker_opened`, ...).
        cache: The name of the cache.
        function: The name of the function; empty for manual use of a cache.
        key: The text of the key, or the names of the scopes that were dropped; may be empty.
        status: How a call was served, where that is known.
        cause: Why a value was not there, where that is known.
        seconds: How long it took; 0 for an event.
        size: Bytes of the value, where known.
        age: Seconds since the entry was filled, where known.
        error: The type of what it ended with; empty if it did not fail.
        rule: The rule that dropped something; empty if none did.
        source: What that rule listens to.
        trace_id: The trace in which something was dropped, in hexadecimal digits; may be empty.
        count: How often it happened, for events that are counted together.
    """

    at: float
    kind: str
    cache: str
    function: str = ""
    key: str = ""
    status: str | None = None
    cause: str | None = None
    seconds: float = 0.0
    size: int | None = None
    age: float | None = None
    error: str = ""
    rule: str = ""
    source: str = ""
    trace_id: str = ""
    count: int = 1


class Bulletin(Struct, frozen=True):
    """What one process tells at one time.

    Attributes:
        process: Names the process: host, process id, and a random part.
        number: How many bulletins it has published before.
        at: When, in seconds since the Unix epoch, by its clock.
        counts: For each function how its calls were served since the process began, by kind.
        events: What has happened since the last bulletin.
        lost: How many events were left out of it.
    """

    process: str
    number: int
    at: float
    counts: Mapping[str, Mapping[str, int | float]]
    events: Sequence[Happening] = ()
    lost: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Bulletin).decode


def pack_bulletin(bulletin: Bulletin) -> bytes:
    """Return a bulletin as bytes."""
    return _encode(bulletin)


def unpack_bulletin(data: object) -> Bulletin:
    """Undo `pack_bulletin`.

    Raises:
        Undecodable: It did not make this.
    """
    try:
        return _decode(data)  # type: ignore[arg-type]
    except (msgspec.MsgspecError, TypeError) as error:
        raise Undecodable("this is no bulletin of this version") from error


def new_process_name() -> str:
    """Return a name for this process that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


def sum_counts(
    several: Iterable[Mapping[str, Mapping[str, Any]]],
) -> dict[str, Counter[str]]:
    """Return the counts of several processes together, by function."""
    total: dict[str, Counter[str]] = {}
    for counts in several:
        for function, each in counts.items():
            total.setdefault(function, Counter()).update(each)
    return total
