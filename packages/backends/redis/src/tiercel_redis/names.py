"""Where things stand in Redis: physical names, and on a Cluster the hash tag of each.

A stamp stands under its scope's name, what belongs to a key under the key's text with an ending
that begins with `!`, which neither has: so a key and a scope may be called the same. The index of
a function stands under its scope's name with two other endings. On a Cluster
every name begins with one of 16 hash tags, so that an entry, its lease, its stamps and the stream
that announces them share a slot (protocol rule 15).
"""

from __future__ import annotations

from binascii import crc_hqx
from zlib import crc32

from msgspec import Struct

TAGS = 16
"""Hash tags of a cache on a Cluster; part of the format, so never to be changed."""

CHANNELS = tuple(f"{tag:02d}" for tag in range(TAGS))
"""Names of the push channels: one for each hash tag; the first one where nothing is spread."""

SLOTS = tuple(crc_hqx(channel.encode(), 0) % 16384 for channel in CHANNELS)
"""The Cluster slot of each hash tag (CRC16, as in the Cluster specification)."""


class Names(Struct, frozen=True):
    """Physical names below one prefix."""

    prefix: str
    spread: bool

    @property
    def tags(self) -> range:
        """All tags in use."""
        return range(TAGS if self.spread else 1)

    def tag(self, spread: str) -> int:
        """Return the hash tag of everything with this `Key.spread`; the same in all processes."""
        return crc32(spread.encode()) % TAGS if self.spread else 0

    def place(self, tag: int) -> str:
        """Return what every physical name in `tag` begins with."""
        return f"{{{CHANNELS[tag]}}}" if self.spread else ""

    def stream(self, tag: int) -> str:
        """Return the name of the stream that announces what is dropped in `tag`."""
        return f"{self.place(tag)}{self.prefix}!stream"

    @property
    def wake(self) -> str:
        """What the pub/sub channel of a waiter begins with."""
        return f"{self.prefix}!wake:"


def value_name(name: str) -> str:
    """Return where the entry of the key `name` stands."""
    return f"{name}!v"


def lease_name(name: str) -> str:
    """Return where the lease of the key `name` stands."""
    return f"{name}!lease"


def claim_name(name: str) -> str:
    """Return where the claim to the only computation of the key `name` stands."""
    return f"{name}!claim"


def draft_name(name: str, token: bytes) -> str:
    """Return where the payload of a fill waits until its lease is checked."""
    return f"{name}!fill:{token.hex()}"


def index_names(stamp: str) -> tuple[str, str]:
    """Return where the index of a function stands, and its notes; `stamp`: where its stamp is."""
    return f"{stamp}!index", f"{stamp}!notes"
