"""Claims: one computation per key and generation, whatever becomes of its holder."""

from __future__ import annotations

from tiercel.contracts.backend import (
    Begin,
    Begun,
    Capability,
    DropKey,
    Found,
    Granted,
    Held,
    Key,
    ReadThenBegin,
    Release,
    Renew,
    Settle,
)
from tiercel.contracts.claim import ClaimState, Spent
from tiercel.testing.conformance.tier import LONG, TICK, Tier, needs


def claim(
    tier: Tier, key: Key, *, lease: float = LONG, life: float = LONG, force: bool = False
) -> Begun:
    """Ask for the only computation of a key."""
    return tier.run(Begin(key, lease, LONG, force=force, claim=life))


def take(
    tier: Tier, key: Key, *, lease: float = LONG, life: float = LONG, force: bool = False
) -> Granted:
    """Claim, which must be granted."""
    begun = claim(tier, key, lease=lease, life=life, force=force)
    assert isinstance(begun, Granted), f"expected a claim to {key.text}, got {begun}"
    return begun


@needs(Capability.CLAIM)
class ClaimTests:
    """A claim outlives the lease of its holder (protocol rule 13)."""

    def test_claim_by_many_at_once_grants_one(self, tier: Tier) -> None:
        """Of eight callers one computes, and seven wait for it."""
        key = tier.key()
        replies = tier.together([Begin(key, LONG, LONG, claim=LONG)] * 8)
        assert sum(isinstance(reply, Granted) for reply in replies) == 1
        assert sum(isinstance(reply, Held) for reply in replies) == 7

    def test_claim_when_its_lease_expired_is_running_for_ever(self, tier: Tier) -> None:
        """Nobody takes over from a holder that is silent (H9)."""
        key = tier.key()
        take(tier, key, lease=TICK)
        tier.advance(2 * TICK)
        assert claim(tier, key) == Spent(ClaimState.RUNNING)
        assert claim(tier, key) == Spent(ClaimState.RUNNING)

    def test_claim_when_its_value_is_lost_is_done(self, tier: Tier) -> None:
        """The claim stays behind when the value goes, and says that there was one (H9)."""
        kept, lost = tier.key("kept"), tier.key("lost")
        for key, life in ((kept, LONG), (lost, TICK)):
            granted = take(tier, key)
            tier.run(Settle(key, granted.token, LONG))
            assert isinstance(claim(tier, key), Held)
            assert tier.fill(key, granted, b"value", life)
        tier.advance(2 * TICK)
        assert isinstance(claim(tier, kept), Found)
        assert claim(tier, lost) == Spent(ClaimState.DONE)

    def test_claim_when_it_failed_tells_how(self, tier: Tier) -> None:
        """After a failure nobody computes, and everybody learns the type of the error."""
        key = tier.key()
        granted = take(tier, key)
        tier.run(Settle(key, granted.token, LONG, "ValueError"))
        assert isinstance(claim(tier, key), Held)
        tier.run(Release(key, granted.token))
        assert claim(tier, key) == Spent(ClaimState.FAILED, "ValueError")

    def test_claim_when_its_life_is_over_is_gone(self, tier: Tier) -> None:
        """The next computation is allowed when the life that was settled has passed."""
        key = tier.key()
        granted = take(tier, key)
        tier.run(Settle(key, granted.token, TICK, "ValueError"))
        tier.run(Release(key, granted.token))
        tier.advance(2 * TICK)
        take(tier, key)

    def test_claim_when_something_is_dropped_is_void(self, tier: Tier) -> None:
        """A drop of the key, the partition or the function begins a new generation."""
        key = tier.key()
        for drop in (
            lambda: tier.run(DropKey(key)),
            lambda: tier.drop(tier.partition()),
            lambda: tier.drop(tier.function()),
        ):
            before = take(tier, key)
            drop()
            after = take(tier, key)
            assert after.token != before.token
            tier.run(Settle(key, before.token, LONG, "KeyError"))
            tier.run(Settle(key, after.token, LONG))
            tier.run(Release(key, after.token))
            assert claim(tier, key) == Spent(ClaimState.DONE)
            tier.run(DropKey(key))

    def test_claim_when_renewed_lives_longer(self, tier: Tier) -> None:
        """A computation that takes longer than an entry lives keeps its claim."""

        def renew(span: float) -> tuple[Key, bool]:
            key = tier.key(f"k{span:g}")
            granted = take(tier, key, life=span)
            return key, tier.run(Renew(key, granted.token, span, claim=LONG))

        span, (key, renewed) = tier.within(renew)
        assert renewed is True
        tier.advance(1.4 * span)
        assert claim(tier, key) == Spent(ClaimState.RUNNING)

    def test_claim_when_given_up_is_free(self, tier: Tier) -> None:
        """Who never computed gives the claim back, even after its lease; a stranger cannot."""
        key = tier.key()
        granted = take(tier, key, lease=TICK)
        tier.advance(2 * TICK)
        tier.run(Release(key, bytes(len(granted.token)), claim=True))
        assert claim(tier, key) == Spent(ClaimState.RUNNING)
        tier.run(Release(key, granted.token, claim=True))
        take(tier, key)

    def test_claim_when_released_without_giving_it_up_stays(self, tier: Tier) -> None:
        """The end of the lease is not that of the claim."""
        key = tier.key()
        granted = take(tier, key)
        tier.run(Release(key, granted.token))
        assert claim(tier, key) == Spent(ClaimState.RUNNING)

    def test_claim_when_forced_is_taken_along(self, tier: Tier) -> None:
        """Who asks for another computation gets it, and the old holder settles nothing."""
        key = tier.key()
        before = take(tier, key)
        after = take(tier, key, force=True)
        tier.run(Settle(key, after.token, LONG))
        tier.run(Settle(key, before.token, LONG, "KeyError"))
        tier.run(Release(key, after.token))
        assert claim(tier, key) == Spent(ClaimState.DONE)

    def test_claim_when_read_in_the_same_round_trip_is_one(self, tier: Tier) -> None:
        """A function that misses often has claims as well."""
        asking = ReadThenBegin(Begin(tier.key(), TICK, LONG, claim=LONG))
        assert isinstance(tier.run(asking)[1], Granted)
        tier.advance(2 * TICK)
        assert tier.run(asking)[1] == Spent(ClaimState.RUNNING)

    def test_claim_of_an_indexed_function_is_one(self, tier: Tier) -> None:
        """A function whose entries are listed has claims as well."""
        index = tier.index()
        held = Begin(tier.key("held"), LONG, LONG, index=index, claim=LONG)
        silent = Begin(tier.key("silent"), TICK, LONG, index=index, claim=LONG)
        assert isinstance(tier.run(held), Granted)
        assert isinstance(tier.run(held), Held)
        assert isinstance(tier.run(silent), Granted)
        tier.advance(2 * TICK)
        assert tier.run(silent) == Spent(ClaimState.RUNNING)
