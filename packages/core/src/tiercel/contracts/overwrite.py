"""Storing a value without a lease, where its stamps are known: one round trip instead of two."""

from __future__ import annotations

from tiercel.contracts.backend import Command, Key


class Overwrite(Command[bool], frozen=True, gc=False):
    """Store an entry, whoever holds its lease, if it carries the stamps that are in force.

    Does in one atomic step what a forced `Begin` and a `Fill` do in two: ends the lease, so that
    the fill of its holder is refused, and wakes the waiters; extends the life of the stamps to at
    least `life`; tells the memory tiers of other processes that the key has changed. Where a stamp
    is missing or another, it does nothing and replies False. Needs `Capability.OVERWRITE`.

    Attributes:
        key: The entry, whose function has no index.
        payload: Its bytes; the header carries the stamps (`STAMPS_OFFSET`).
        life: Seconds that it lives.
    """

    key: Key
    payload: bytes
    life: float
