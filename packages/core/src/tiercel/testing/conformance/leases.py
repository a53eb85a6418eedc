"""Begin, renew, release: who may fill a key."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from tiercel.contracts.backend import (
    STAMP_BYTES,
    Begin,
    Capability,
    Found,
    Granted,
    Held,
    Key,
    Read,
    ReadThenBegin,
    Release,
    Renew,
)
from tiercel.testing.conformance.tier import LEASES, LONG, TICK, Tier, needs, served

Prolong = Callable[[Key, Granted], bool]

FORGETTING = 4
"""Seconds after which a store has forgotten what lived a moment: most round up, some twice."""


class LeaseTests:
    """One holder per key and generation, known by its token."""

    def test_begin_when_nothing_is_stored_grants_and_mints(self, tier: Tier) -> None:
        """The first caller gets a lease and the stamps that everyone reads from then on."""
        key = tier.key()
        granted = tier.take(key)
        assert len(granted.token) >= STAMP_BYTES
        assert len(granted.stamps) >= len(key.scopes)
        assert len(set(granted.stamps)) == len(granted.stamps)
        assert list(tier.run(Read(key)).stamps) == list(granted.stamps)

    def test_begin_when_stamps_exist_keeps_them(self, tier: Tier) -> None:
        """A second key of the partition is granted under the same function and partition stamps."""
        first, second = tier.take(tier.key("a")), tier.take(tier.key("b"))
        assert list(first.stamps)[:2] == list(second.stamps)[:2]

    def test_begin_when_the_entry_is_current_finds_it(self, tier: Tier) -> None:
        """A caller whose read missed just before another filled does not compute again (H5)."""
        key = tier.key()
        assert tier.value(key) is None
        tier.store(key, b"value")
        assert isinstance(tier.run(Begin(key, LONG, LONG)), Found)

    def test_begin_when_the_entry_lives_too_short_for_the_floor_grants(self, tier: Tier) -> None:
        """A refresh ahead of time asks for an entry that lives longer; infinity means any."""
        key = tier.key()
        tier.store(key, b"value", life=50.0)
        assert isinstance(tier.run(Begin(key, LONG, LONG, floor=20.0)), Found)
        begun = tier.run(Begin(key, LONG, LONG, floor=60.0))
        assert isinstance(begun, Granted)
        tier.run(Release(key, begun.token))
        assert isinstance(tier.run(Begin(key, LONG, LONG, floor=inf)), Granted)

    def test_tokens_and_generations_never_repeat(self, tier: Tier) -> None:
        """Fifty leases of one key have fifty tokens."""
        key = tier.key()
        assert len({tier.take(key, force=True).token for _ in range(50)}) == 50

    @needs(LEASES)
    def test_begin_when_another_holds_the_lease_is_held(self, tier: Tier) -> None:
        """The second caller learns the holder's token, the stamps and how long the lease lasts."""
        key = tier.key()
        granted = tier.take(key, lease=50.0)
        held = tier.run(Begin(key, LONG, LONG))
        assert isinstance(held, Held)
        assert held.token == granted.token
        assert list(held.stamps) == list(granted.stamps)
        assert 40.0 < held.remaining <= 50.0

    @needs(LEASES)
    def test_begin_by_many_at_once_grants_one(self, tier: Tier) -> None:
        """Of eight callers that begin together one computes and seven wait for it (P4)."""
        for number in range(8):
            key = tier.key(f"k{number}")
            replies = tier.together([Begin(key, LONG, LONG)] * 8)
            granted = [reply for reply in replies if isinstance(reply, Granted)]
            held = [reply for reply in replies if isinstance(reply, Held)]
            assert (len(granted), len(held)) == (1, 7)
            assert {reply.token for reply in held} == {granted[0].token}

    def test_begin_when_forced_takes_the_lease_from_its_holder(self, tier: Tier) -> None:
        """A refresh after a change voids the computation that began before it (H8)."""
        key = tier.key()
        before = tier.take(key)
        after = tier.take(key, force=True)
        assert tier.fill(key, before, b"old") is False
        assert tier.fill(key, after, b"new") is True
        assert tier.value(key) == b"new"

    def test_begin_when_forced_grants_despite_a_current_entry(self, tier: Tier) -> None:
        """Force never replies Found."""
        key = tier.key()
        tier.store(key, b"value")
        assert isinstance(tier.run(Begin(key, LONG, LONG, force=True)), Granted)

    @needs(Capability.ATOMIC)
    def test_entry_when_a_refresh_is_forced_is_served_until_the_fill(self, tier: Tier) -> None:
        """A forced lease leaves the entry readable, so that others need not wait."""
        key = tier.key()
        tier.store(key, b"value")
        tier.take(key, force=True)
        assert tier.value(key) == b"value"

    @needs(LEASES)
    def test_lease_when_it_expires_passes_to_the_next_caller(self, tier: Tier) -> None:
        """A dead holder is replaced, and cannot fill if it was only slow."""
        key = tier.key()
        late = tier.take(key, lease=TICK)
        tier.advance(2 * TICK)
        heir = tier.take(key)
        assert tier.fill(key, late, b"late") is False
        assert tier.fill(key, heir, b"heir") is True
        assert tier.value(key) == b"heir"

    @needs(LEASES)
    def test_lease_when_it_expired_refuses_its_holder(self, tier: Tier) -> None:
        """An absent lease means refused, even if nobody else took it (H3)."""
        key = tier.key()
        late = tier.take(key, lease=TICK)
        tier.advance(2 * TICK)
        assert tier.run(Renew(key, late.token, LONG)) is False
        assert tier.fill(key, late, b"late") is False
        assert tier.run(Read(key)).payload is None

    def test_renew_by_its_holder_prolongs_the_lease(self, tier: Tier) -> None:
        """A long computation keeps its lease by renewing it."""

        def renew(span: float) -> tuple[Key, Granted, bool]:
            key = tier.key(f"k{span:g}")
            granted = tier.take(key, lease=span)
            return key, granted, tier.run(Renew(key, granted.token, LONG))

        span, (key, granted, renewed) = tier.within(renew)
        assert renewed is True
        tier.advance(1.4 * span)
        assert tier.fill(key, granted, b"value") is True

    def test_renew_by_a_stranger_is_refused(self, tier: Tier) -> None:
        """Nobody prolongs a lease with another token, nor one that does not exist."""
        key = tier.key()
        stranger = bytes(len(tier.take(key).token))
        assert tier.run(Renew(key, stranger, LONG)) is False
        assert tier.run(Renew(tier.key("other"), stranger, LONG)) is False

    def test_release_by_its_holder_frees_the_lease(self, tier: Tier) -> None:
        """The next caller is granted at once."""
        key = tier.key()
        granted = tier.take(key)
        assert tier.run(Release(key, granted.token)) is None
        tier.take(key)

    @needs(LEASES)
    def test_release_by_a_stranger_changes_nothing(self, tier: Tier) -> None:
        """A late holder cannot free the lease of the one after it."""
        key = tier.key()
        granted = tier.take(key)
        tier.run(Release(key, bytes(len(granted.token))))
        assert isinstance(tier.run(Begin(key, LONG, LONG)), Held)
        assert tier.fill(key, granted, b"value") is True

    @needs(LEASES)
    def test_fill_ends_the_lease(self, tier: Tier) -> None:
        """A token fills once."""
        key = tier.key()
        granted = tier.store(key, b"first")
        assert tier.fill(key, granted, b"second") is False
        assert tier.value(key) == b"first"

    @needs(Capability.ATOMIC)
    def test_read_then_begin_heeds_the_floor_and_who_forces(self, tier: Tier) -> None:
        """What a refresh asks for in one round trip is what it gets."""
        key = tier.key()
        tier.store(key, b"value", life=50.0)
        _, begun = tier.run(ReadThenBegin(Begin(key, LONG, LONG, floor=60.0)))
        assert isinstance(begun, Granted)
        _, forced = tier.run(ReadThenBegin(Begin(key, LONG, LONG, force=True)))
        assert isinstance(forced, Granted)
        assert tier.fill(key, begun, b"old") is False
        assert tier.fill(key, forced, b"new") is True

    def test_stamps_are_not_shortened_by_who_needs_them_for_less(self, tier: Tier) -> None:
        """A short entry does not take those with it that share its function and partition."""
        long, short = tier.key("long"), tier.key("short")
        tier.store(long, b"value")
        begun = tier.run(Begin(short, LONG, TICK))
        assert isinstance(begun, Granted)
        tier.fill(short, begun, b"value", life=TICK)  # refused where it took longer than that
        tier.advance(2 * TICK)
        assert tier.value(short) is None
        assert tier.value(long) == b"value"

    @needs(LEASES)
    def test_stamps_end_whichever_way_they_were_written(self, tier: Tier) -> None:
        """A store that forgets what it was told to set does so with what it was told to add."""
        added, changed = (tier.key(partition=name) for name in ("added", "changed"))
        tier.run(Begin(added, LONG, 5 * TICK))
        tier.run(Begin(changed, LONG, 5 * TICK, force=True))
        for wait in (6 * TICK, *[1.0] * FORGETTING):
            tier.advance(wait)
            if tier.run(Read(changed)).stamps[-1] is None:
                assert tier.run(Read(added)).stamps[-1] is None
                return
        pytest.skip("not offered: a store that forgets")

    def test_leases_of_different_keys_are_independent(self, tier: Tier) -> None:
        """A token opens its own key only."""
        first, second = tier.key("a"), tier.key("b")
        granted, other = tier.take(first), tier.take(second)
        assert tier.fill(second, granted, b"crossed") is False
        assert tier.fill(second, other, b"value") is True
        assert tier.fill(first, granted, b"value") is True

    def test_read_then_begin_replies_as_the_two_would(self, tier: Tier) -> None:
        """The combined command reads first, then begins."""
        key = tier.key()
        reading, begun = tier.run(ReadThenBegin(Begin(key, LONG, LONG)))
        assert reading.payload is None
        assert set(reading.stamps) == {None}
        assert isinstance(begun, Granted)
        assert tier.fill(key, begun, b"value")
        reading, begun = tier.run(ReadThenBegin(Begin(key, LONG, LONG)))
        assert served(key, reading) == b"value"
        assert isinstance(begun, Found)

    @needs(Capability.ATOMIC, Capability.NATIVE_TTL)
    def test_stamps_are_prolonged_by_begin_and_by_fill(self, tier: Tier) -> None:
        """Stamps outlive every entry that depends on them, else it would be lost early."""

        def by_begin(key: Key, begun: Granted) -> bool:
            return bool(tier.take(key, force=True))

        def by_fill(key: Key, begun: Granted) -> bool:
            return tier.fill(key, begun, b"value")

        for prolong in (by_begin, by_fill):

            def keep(span: float, prolong: Prolong = prolong) -> tuple[Key, Granted, bool]:
                key = tier.key(function=f"{prolong.__name__}{span:g}")
                begun = tier.run(Begin(key, LONG, span))
                assert isinstance(begun, Granted)
                return key, begun, prolong(key, begun)

            span, (key, begun, prolonged) = tier.within(keep)
            assert prolonged
            tier.advance(1.4 * span)
            assert list(tier.run(Read(key)).stamps) == list(begun.stamps)
