"""Takes replies apart. What no Redis answers is an error here, so that nothing is made of it.

Everything raises `InvalidResponse`, as a reply does that breaks the protocol, or what Python raises
on its own (`MISSHAPEN`), of which `taken_apart` makes the same. Errors name types: what a server
has answered may be anybody's value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, TypeVar, cast

from redis.exceptions import InvalidResponse

from tiercel.spi import (
    STAMP_BYTES,
    Announcement,
    Begin,
    Begun,
    ClaimState,
    Found,
    Granted,
    Held,
    Key,
    Polled,
    Position,
    Reading,
    Spent,
)
from tiercel_redis.names import CHANNELS

Made = TypeVar("Made")
Wanted = TypeVar("Wanted")
Replies = Sequence[Sequence[Any]]
"""The replies to each request of a plan."""

MISSHAPEN = (TypeError, ValueError, LookupError, AttributeError)
"""What is raised where a reply has another shape than the code that takes it apart expects."""

_STATES = {b"r": ClaimState.RUNNING, b"d": ClaimState.DONE, b"f": ClaimState.FAILED}


def taken_apart(decode: Callable[[Any], Made], replies: Any) -> Made:
    """Return what `decode` makes of replies.

    Raises:
        InvalidResponse: They are none to what was asked.
    """
    try:
        return decode(replies)
    except MISSHAPEN as error:
        raise InvalidResponse(f"a reply has a strange shape ({type(error).__name__})") from error


def an(kind: type[Wanted], reply: Any) -> Wanted:
    """Return a reply that is of this type, and of none derived from it."""
    if type(reply) is not kind:
        name = type(reply).__name__
        raise InvalidResponse(f"a reply is of type {name}, not {kind.__name__}")
    return reply


def values(reply: Any, count: int) -> list[bytes | None]:
    """Return the reply to an `MGET` of `count` names."""
    found: list[bytes | None] = an(list, reply)
    if len(found) != count:
        raise InvalidResponse(f"a reply has {len(found)} values, not {count}")
    for value in found:
        if value is not None and type(value) is not bytes:
            an(bytes, value)
    return found


def are_stamps(found: Sequence[Any]) -> bool:
    """Tell whether these are stamps, of which none is missing."""
    return all(type(stamp) is bytes and len(stamp) >= STAMP_BYTES for stamp in found)


def stamps(reply: Any, count: int) -> list[bytes]:
    """Return the stamps that a script has minted or checked, so that none is missing."""
    found = values(reply, count)
    if not are_stamps(found):
        raise InvalidResponse("a reply lacks a stamp")
    return cast("list[bytes]", found)


def reading(key: Key, left: Any, reply: Any, tags: int = 0) -> Reading:
    """Return what a read found; an entry that is about to go counts as gone.

    Args:
        key: What was read.
        left: The reply to `PTTL`.
        reply: That to `MGET` of the entry, its stamps and those of the tags.
        tags: How many tags were asked for.
    """
    end = 1 + len(key.scopes)
    found = values(reply, end + tags)
    if an(int, left) <= 0:
        return Reading(None, 0.0, found[1:end], found[end:])
    return Reading(found[0], left / 1000 if found[0] else 0.0, found[1:end], found[end:])


def begun(begin: Begin, reply: Any) -> Begun:
    """Return the outcome of a `Begin`; what it does not allow is no outcome of it."""
    kind, *said = an(list, reply)
    count = len(begin.key.scopes)
    if kind == b"granted":
        token, _, *found = said
        return Granted(an(bytes, token), stamps(found, count))
    if kind == b"held" and not begin.force:
        token, left, *found = said
        return Held(an(bytes, token), stamps(found, count), max(0.0, an(int, left) / 1000))
    if kind == b"spent" and begin.claim:
        state, failure = said
        return Spent(_STATES[state], failure.decode())
    if kind == b"unsafe" and begin.claim:
        return Spent(ClaimState.UNSAFE, f"maxmemory-policy is {said[0].decode()}, not noeviction")
    if kind == b"found" and not begin.force and begin.floor < inf:
        return Found()
    raise InvalidResponse("a lease is neither granted nor held")


def truth(replies: Replies) -> bool:
    """Return whether the last command of a request has done something."""
    return bool(an(int, replies[0][-1]))


def done(replies: Replies) -> None:
    """Check that every request was carried out."""
    for answer in replies:
        an(int, answer[-1])


def described(replies: Replies) -> dict[str, str]:
    """Return the reply to `INFO`, field by field."""
    text = replies[0][0]
    lines = (text.decode() if isinstance(text, bytes) else an(str, text)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def polled(replies: Replies) -> dict[str, Polled]:
    """Return the state of each channel."""
    return {
        channel: _channel(*an(list, answer[-1]))
        for channel, answer in zip(CHANNELS, replies, strict=False)
    }


def scanned(replies: Sequence[Any]) -> tuple[bytes, list[bytes]]:
    """Return the reply to a `SCAN`: where to go on, and the names found."""
    cursor, names = an(list, replies[0])
    int(an(bytes, cursor))
    return cursor, [an(bytes, name) for name in an(list, names)]


def subscribed(reply: Any) -> None:
    """Check the reply to `SUBSCRIBE`."""
    if reply[0] != b"subscribe":
        raise InvalidResponse("a subscription is not confirmed")


def message(reply: Any) -> str:
    """Return the text of what was published in a channel."""
    kind, _, text = reply
    if kind != b"message":
        raise InvalidResponse("what was sent to a subscriber is no message")
    return an(bytes, text).decode()


def _channel(messages: Any, last: Any) -> Polled:
    found = [_message(entry) for entry in an(list, messages)]
    ends = [_message(entry).position for entry in an(list, last)]
    return Polled(found, ends[0] if ends else None)


def _message(entry: Sequence[Any]) -> Announcement:
    identity, fields = entry
    epoch, _, number = identity.decode().partition("-")
    nonce, previous, names = (an(bytes, field).decode() for field in an(list, fields)[1::2])
    return Announcement(
        Position(int(epoch), int(number), nonce), previous, tuple(names.split("\n"))
    )
