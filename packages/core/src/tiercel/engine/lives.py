"""How long what stands beside the entries of a function lives, in seconds."""

from __future__ import annotations

from collections.abc import Set

from tiercel.contracts.backend import Capability
from tiercel.entry import FOREVER
from tiercel.errors import ConfigurationError
from tiercel.policy import Policy


def longest_life(policy: Policy) -> float:
    """Return how long an entry lives at most."""
    ttl = policy.ttl
    if ttl is None or callable(ttl):
        return FOREVER
    return min(FOREVER, max(ttl, policy.negative_ttl or 0.0) + policy.grace)


def stamp_life(policy: Policy) -> float:
    """Return how long a stamp lives at least."""
    return min(FOREVER, max(2 * longest_life(policy), 86_400.0))


def claim_life(owner: str, policy: Policy, capabilities: Set[Capability]) -> float:
    """Return how long a claim to the only allowed computation lives; 0 if none is needed.

    It is renewed together with the lease, so it lives as long as an entry would that was stored
    when the holder was last heard of.

    Raises:
        ConfigurationError: It is needed, and no shared tier keeps it.
    """
    if policy.atomic_writes != "at_most_once":
        return 0.0
    if Capability.CLAIM not in capabilities:
        raise ConfigurationError(
            f'{owner}: atomic_writes="at_most_once" needs a shared tier that keeps claims: '
            "Redis or Valkey; without one, each process would compute for itself"
        )
    return min(FOREVER, longest_life(policy) + policy.lease)
