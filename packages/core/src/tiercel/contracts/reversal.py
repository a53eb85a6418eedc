"""What a backend adds whose store may come back in an earlier state (protocol rule 14).

A failover to a replica that had not got the last writes, or a restart from a snapshot, takes back
drops that were acknowledged. Only the processes that know of them can make them again.
"""

from __future__ import annotations

from collections.abc import Callable

from tiercel.contracts.backend import Command


class Revertible:
    """Another base of a `Backend` whose store may come back in an earlier state.

    Attributes:
        reverted: Called whenever the store has another past than the one that was known so far,
            before any command is sent to it; must be quick and never raise. A backend calls it
            once too often rather than once too seldom. Set by the cache.
    """

    reverted: Callable[[], object] = staticmethod(lambda: None)


class Replay(Command[None], frozen=True, gc=False):
    """Drop again what was announced in push channels; needs a `Revertible` backend.

    Nobody knows any more which names are those of keys and which those of scopes, so both goes
    under each name: entry, lease and claim, and the stamp. A stamp that is missing drops as well
    as a new one. All memory tiers are told, in one message on each channel. Whoever waits for a
    lease that goes need not be woken.

    Attributes:
        channels: As `Poll` calls them.
        names: What was announced in each of them.
    """

    channels: tuple[str, ...]
    names: tuple[str, ...]
