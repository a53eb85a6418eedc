"""Storing a value without a lease, under stamps that are known already."""

from __future__ import annotations

import pytest

from tiercel.contracts.backend import Begin, Capability, Granted, Key, Poll, Read
from tiercel.testing.conformance.channel import SOON, names_in, start, waiting
from tiercel.testing.conformance.tier import LONG, TICK, Tier, needs


@needs(Capability.OVERWRITE)
class OverwriteTests:
    """One step that does what a forced lease and its fill do, or nothing at all."""

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_overwrite_under_the_stamps_in_force_is_served(self, tier: Tier, size: int) -> None:
        """In the place of what was there, and where nothing was; for as long as it says."""
        stored, empty = tier.key("stored"), tier.key("empty")
        granted = tier.store(stored, b"old")
        for key in (stored, empty):
            assert tier.overwrite(key, granted, bytes(size), 50.0) is True
            assert tier.value(key) == bytes(size)
            assert 40.0 < tier.run(Read(key)).remaining <= 50.0

    def test_overwrite_under_other_stamps_changes_nothing(self, tier: Tier) -> None:
        """It may have been known before a drop, of which the caller has not heard."""
        for dropped in (tier.partition(), tier.function()):
            key = tier.key()
            granted = tier.take(key, force=True)
            tier.drop(dropped)
            heir = tier.take(key)
            assert tier.overwrite(key, granted, b"late") is False
            assert tier.value(key) is None
            assert tier.fill(key, heir, b"heir") is True
            assert tier.overwrite(key, granted, b"late") is False
            assert tier.value(key) == b"heir"

    def test_overwrite_without_stamps_mints_none(self, tier: Tier) -> None:
        """Who has lost a stamp has lost what it covered, and asks for a lease."""
        known, other = tier.key(), tier.key(partition="other")
        assert tier.overwrite(other, tier.take(known), b"value") is False
        assert tier.run(Read(other)).stamps[-1] is None
        assert tier.value(other) is None

    def test_overwrite_ends_the_lease(self, tier: Tier) -> None:
        """Who computes meanwhile cannot put an older value in its place."""
        key = tier.key()
        granted = tier.take(key)
        assert tier.overwrite(key, granted, b"set") is True
        assert tier.fill(key, granted, b"computed") is False
        assert tier.value(key) == b"set"
        tier.drop(tier.partition())
        assert isinstance(tier.run(Begin(key, LONG, LONG)), Granted)

    def test_overwrite_wakes_who_waits(self, tier: Tier) -> None:
        """There is a value now, and no lease that would end."""
        key = tier.key()
        granted = tier.take(key)
        with waiting(tier, key.text) as mailbox:
            assert tier.overwrite(key, granted, b"set") is True
            assert list(mailbox.receive(SOON)) == [key.text]

    @needs(Capability.PUSH)
    def test_overwrite_is_announced_where_it_stored(self, tier: Tier) -> None:
        """Memory tiers elsewhere may hold what it replaces."""
        key, other = tier.key(), tier.key(partition="other")
        granted, positions = tier.store(key, b"old"), start(tier)
        tier.overwrite(key, granted, b"new")
        tier.overwrite(other, granted, b"new")
        assert names_in(tier.run(Poll(positions, 0.0))) == [key.text]

    @needs(Capability.NATIVE_TTL)
    def test_overwrite_prolongs_the_stamps(self, tier: Tier) -> None:
        """They outlive the entry that depends on them."""

        def keep(span: float) -> tuple[Key, Granted, bool]:
            key = tier.key(function=f"kept{span:g}")
            begun = tier.run(Begin(key, TICK, span))
            assert isinstance(begun, Granted)
            return key, begun, tier.overwrite(key, begun, b"value")

        span, (key, begun, stored) = tier.within(keep)
        assert stored
        tier.advance(1.4 * span)
        assert list(tier.run(Read(key)).stamps) == list(begun.stamps)
