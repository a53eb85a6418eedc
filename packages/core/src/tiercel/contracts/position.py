"""Places and messages in the push channels of a backend (protocol rule 9)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Position(Struct, frozen=True, gc=False):
    """A place in a push channel: `epoch` of the channel, dense `number`, `nonce` of the message."""

    epoch: int
    number: int
    nonce: str


class Announcement(Struct, frozen=True, gc=False):
    """One announcement in a push channel.

    Attributes:
        position: Where it stands.
        previous: The nonce of the message before it; empty for the first of an epoch.
        names: What was dropped: scope names and key texts.
    """

    position: Position
    previous: str
    names: tuple[str, ...]


class Polled(Struct, frozen=True, gc=False):
    """The state of one push channel: what came after the position, and its last position."""

    messages: Sequence[Announcement]
    last: Position | None
