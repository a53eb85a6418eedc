"""Drops that are made again, for a store that came back in an earlier state."""

from __future__ import annotations

import pytest

from tiercel.contracts.backend import Begin, Capability, Granted, Poll
from tiercel.contracts.reversal import Replay, Revertible
from tiercel.testing.conformance.channel import start
from tiercel.testing.conformance.claims import claim, take
from tiercel.testing.conformance.tier import LONG, Tier, needs


def replay(tier: Tier, *names: str) -> None:
    """Drop again what was announced under these names, on every channel."""
    if not isinstance(tier.backend, Revertible):
        pytest.skip("not offered: a store that may come back in an earlier state")
    tier.run(Replay(tuple(start(tier)), names))


@needs(Capability.PUSH)
class ReversalTests:
    """A replay knows names, and not whether they are those of keys or of scopes (rule 14)."""

    def test_replay_of_keys_ends_their_entries_and_leases(self, tier: Tier) -> None:
        """What was stored is gone, and who computes may not store it."""
        stored, led, other = tier.key("stored"), tier.key("led"), tier.key("other")
        for key in (stored, other):
            tier.store(key, b"value")
        granted = tier.take(led)
        replay(tier, stored.text, led.text)
        assert tier.value(stored) is None
        assert tier.value(other) == b"value"
        assert not tier.fill(led, granted, b"old")
        assert isinstance(tier.run(Begin(led, LONG, LONG)), Granted)

    @needs(Capability.CLAIM)
    def test_replay_of_a_key_ends_its_claim(self, tier: Tier) -> None:
        """It may be computed once more, as after any drop."""
        key, other = tier.key(), tier.key("other")
        take(tier, key)
        take(tier, other)
        replay(tier, key.text)
        assert isinstance(claim(tier, key), Granted)
        assert not isinstance(claim(tier, other), Granted)

    def test_replay_of_a_scope_voids_what_depends_on_it(self, tier: Tier) -> None:
        """Also what is stored later under a lease from before; other partitions stay."""
        key, late, other = tier.key(), tier.key("late"), tier.key(partition="other")
        for each in (key, other):
            tier.store(each, b"old")
        granted = tier.take(late)
        replay(tier, tier.partition().name)
        tier.fill(late, granted, b"old")
        assert [tier.value(each) for each in (key, late, other)] == [None, None, b"old"]
        tier.store(key, b"new")
        assert tier.value(key) == b"new"

    def test_replay_is_one_message_on_each_channel(self, tier: Tier) -> None:
        """With all names, so that memory drops them, whether or not the store knew them."""
        replay(tier, tier.key().text)
        positions, names = start(tier), (tier.key().text, tier.function().name, "unknown")
        tier.run(Replay(tuple(positions), names))
        for channel in tier.run(Poll(positions, 0.0)).values():
            assert [message.names for message in channel.messages] == [names]
