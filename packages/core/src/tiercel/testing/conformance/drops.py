"""Dropping keys, functions, partitions and tags: what was computed before is never read after."""

from __future__ import annotations

import pytest

from tiercel.contracts.backend import (
    STAMP_BYTES,
    Begin,
    Capability,
    Clear,
    DropKey,
    DropScopes,
    Fill,
    Found,
    Granted,
    Key,
    MintTags,
    Read,
    Scope,
)
from tiercel.contracts.sizes import PROVENANCE_BYTES, TOMBSTONE
from tiercel.errors import BackendRefused
from tiercel.testing.conformance.tier import LONG, TICK, Tier, entry, needs


class DropTests:
    """Drops of keys and scopes."""

    def test_drop_key_removes_the_entry_and_says_so(self, tier: Tier) -> None:
        """The reply tells whether there was an entry; its neighbour stays."""
        key, neighbour = tier.key("a"), tier.key("b")
        tier.store(key, b"value")
        tier.store(neighbour, b"value")
        assert tier.run(DropKey(key)) is True
        assert tier.run(Read(key)).payload is None
        assert tier.run(DropKey(key)) is False
        assert tier.value(neighbour) == b"value"

    def test_drop_key_voids_the_lease(self, tier: Tier) -> None:
        """A computation that began before the drop cannot store (H2, H3)."""
        key = tier.key()
        before = tier.take(key)
        tier.run(DropKey(key))
        assert tier.fill(key, before, b"old") is False
        assert tier.value(key) is None
        assert tier.fill(key, tier.take(key), b"new") is True
        assert tier.value(key) == b"new"

    def test_drop_key_while_the_next_holder_computes_refuses_the_first(self, tier: Tier) -> None:
        """The first token stays void after the key is leased again."""
        key = tier.key()
        before = tier.take(key)
        tier.run(DropKey(key))
        after = tier.take(key)
        assert tier.fill(key, before, b"old") is False
        assert tier.fill(key, after, b"new") is True
        assert tier.value(key) == b"new"

    def test_drop_of_a_partition_covers_its_entries_only(self, tier: Tier) -> None:
        """One stamp drops all entries of a partition; others stay readable."""
        inside = [tier.key(f"k{n}", partition="in") for n in range(5)]
        outside = [tier.key("k0", partition="out"), tier.key("k0", "in", function="g")]
        for key in (*inside, *outside):
            tier.store(key, b"value")
        tier.drop(tier.partition("in"))
        assert {tier.value(key) for key in inside} == {None}
        assert {tier.value(key) for key in outside} == {b"value"}

    def test_drop_of_a_function_covers_all_its_partitions(self, tier: Tier) -> None:
        """One stamp drops a whole function, wherever its entries are spread."""
        inside = [tier.key("k", partition=f"p{n}") for n in range(20)]
        outside = tier.key(function="g")
        for key in (*inside, outside):
            tier.store(key, b"value")
        tier.drop(tier.function())
        assert {tier.value(key) for key in inside} == {None}
        assert tier.value(outside) == b"value"

    def test_drop_of_several_scopes_covers_each(self, tier: Tier) -> None:
        """A drop is acknowledged when every scope in it has a new stamp."""
        keys = [tier.key("k", partition=f"p{n}") for n in range(6)]
        for key in keys:
            tier.store(key, b"value")
        tier.drop(*(tier.partition(f"p{n}") for n in range(5)))
        assert [tier.value(key) for key in keys] == [None] * 5 + [b"value"]

    def test_drop_during_a_computation_makes_its_fill_unreadable(self, tier: Tier) -> None:
        """What was computed before the drop carries an old stamp (P1)."""
        for name, scope in (("a", tier.partition()), ("b", tier.function())):
            key = tier.key(name)
            before = tier.take(key)
            tier.drop(scope)
            tier.fill(key, before, b"old")
            assert tier.value(key) is None
            assert not isinstance(tier.run(Begin(key, LONG, LONG)), Found)

    def test_drop_of_a_scope_leaves_no_lease_to_wait_for(self, tier: Tier) -> None:
        """A reader after the drop computes instead of waiting for a void fill (H6)."""
        key = tier.key()
        before = tier.take(key)
        tier.drop(tier.partition())
        after = tier.take(key)
        tier.fill(key, before, b"old")
        assert tier.value(key) is None
        assert tier.fill(key, after, b"new") is True
        assert tier.value(key) == b"new"

    def test_drop_of_a_dropped_entry_keeps_it_from_being_found(self, tier: Tier) -> None:
        """Begin compares stamps as a read does."""
        key = tier.key()
        tier.store(key, b"value")
        tier.drop(tier.partition())
        assert isinstance(tier.run(Begin(key, LONG, LONG)), Granted)

    def test_drop_never_gives_a_stamp_twice(self, tier: Tier) -> None:
        """Fifty drops, fifty stamps; a counter or a clock would repeat after a loss."""
        key = tier.key()
        seen = {tier.take(key).stamps[1]}
        for _ in range(50):
            tier.drop(tier.partition())
            seen.add(tier.run(Read(key)).stamps[1] or b"")
        assert len(seen) == 51

    def test_drop_keeps_its_provenance_behind_the_stamp(self, tier: Tier) -> None:
        """Readers learn who dropped what, and stamps still compare by their first bytes."""
        key, provenance = tier.key(), bytes(range(256))[-PROVENANCE_BYTES:]
        tier.run(DropScopes((tier.partition(),), LONG, provenance))
        stamp = tier.run(Read(key)).stamps[1]
        assert stamp is not None
        assert stamp[STAMP_BYTES:] == provenance
        tier.store(key, b"value")
        assert tier.value(key) == b"value"

    def test_drop_of_a_key_leaves_no_more_than_who_did_it(self, tier: Tier) -> None:
        """A tombstone is no entry: not for a read, a lease, nor a further drop, which keeps it."""
        key, tombstone = tier.key(), TOMBSTONE + bytes(range(PROVENANCE_BYTES))
        tier.store(key, b"value")
        assert tier.run(DropKey(key, tombstone)) is True
        assert tier.run(Read(key)).payload in (None, tombstone)
        left = tier.run(Read(key)).payload
        assert tier.run(DropKey(key, TOMBSTONE + b"another")) is False
        assert tier.run(Read(key)).payload == left
        assert tier.fill(key, tier.take(key), b"new") is True
        assert tier.value(key) == b"new"

    def test_drop_by_another_client_is_seen_at_once(self, tier: Tier) -> None:
        """No client answers from what it read before an acknowledged drop."""
        keys = [tier.key("a"), tier.key("b"), tier.key("c", partition="q")]
        with tier.other() as other:
            for key in keys:
                tier.store(key, b"value")
                assert tier.value(key) == other.value(key) == b"value"
            other.run(DropKey(keys[0]))
            other.drop(tier.partition())
            other.drop(tier.function())
            assert [tier.value(key) for key in keys] == [None] * 3
            assert tier.run(Read(keys[0])).payload is None

    @needs(Capability.NATIVE_TTL)
    def test_stamp_when_lost_is_minted_anew(self, tier: Tier) -> None:
        """A lost stamp makes entries unreadable and never comes back (P3)."""
        key = tier.key()
        begun = tier.run(Begin(key, TICK, TICK))
        assert isinstance(begun, Granted)
        tier.advance(2 * TICK)
        assert set(tier.run(Read(key)).stamps) == {None}
        assert not {*begun.stamps} & {*tier.take(key).stamps}

    @needs(Capability.ATOMIC, Capability.NATIVE_TTL)
    def test_fill_when_stamps_are_lost_does_not_mint_them(self, tier: Tier) -> None:
        """Stamps are minted before a computation or not at all (H1)."""
        key = tier.key()
        begun = tier.run(Begin(key, LONG, TICK))
        assert isinstance(begun, Granted)
        tier.advance(2 * TICK)
        tier.fill(key, begun, b"old")
        assert set(tier.run(Read(key)).stamps) == {None}
        assert isinstance(tier.run(Begin(key, LONG, LONG)), Granted)
        assert tier.value(key) is None


class TagTests:
    """Stamps that are named by results."""

    def test_tags_are_minted_once_and_read_in_order(self, tier: Tier) -> None:
        """Minting twice gives the same stamps; a read returns them in the order asked for."""
        key, names = tier.key(), tuple(f"{tier.space}:t{n}" for n in range(3))
        minted = tier.run(MintTags(names[:2], key.spread, LONG))
        assert all(len(stamp) >= STAMP_BYTES for stamp in minted)
        assert len(set(minted)) == 2
        assert tier.run(MintTags(names[:2], key.spread, LONG)) == minted
        reading = tier.run(Read(key, (names[2], names[1], names[0])))
        assert list(reading.tags) == [None, minted[1], minted[0]]

    def test_tag_when_dropped_has_another_stamp(self, tier: Tier) -> None:
        """A drop of one tag leaves the others."""
        key, names = tier.key(), tuple(f"{tier.space}:t{n}" for n in range(2))
        minted = tier.run(MintTags(names, key.spread, LONG))
        granted = tier.take(key)
        payload = entry(key, granted.stamps, b"value")
        assert tier.run(Fill(key, granted.token, payload, LONG, names))
        tier.drop(Scope(names[0]))
        first, second = tier.run(Read(key, names)).tags
        assert first is not None
        assert first != minted[0]
        assert second == minted[1]

    @needs(Capability.ATOMIC, Capability.NATIVE_TTL)
    def test_tags_of_an_entry_are_prolonged_by_its_fill(self, tier: Tier) -> None:
        """They outlive the entry, else it would be lost early."""

        def fill(span: float) -> tuple[Key, tuple[str], list[bytes]]:
            key, names = tier.key(f"k{span:g}"), (f"{tier.space}:t{span:g}",)
            minted, granted = tier.run(MintTags(names, key.spread, span)), tier.take(key)
            payload = entry(key, granted.stamps, b"value")
            assert tier.run(Fill(key, granted.token, payload, LONG, names))
            return key, names, minted

        span, (key, names, minted) = tier.within(fill)
        tier.advance(1.4 * span)
        assert list(tier.run(Read(key, names)).tags) == minted


class ClearTests:
    """Forgetting everything below a prefix."""

    @needs(Capability.ATOMIC)
    def test_clear_forgets_entries_stamps_and_leases(self, tier: Tier) -> None:
        """Nothing below the prefix is readable or fillable afterwards."""
        filled, leased = tier.key("filled"), tier.key("leased")
        tier.store(filled, b"value")
        granted = tier.take(leased)
        tier.run(Clear(tier.space))
        reading = tier.run(Read(filled))
        assert reading.payload is None
        assert set(reading.stamps) == {None}
        assert tier.fill(leased, granted, b"old") is False

    @needs(Capability.ATOMIC)
    def test_clear_takes_its_prefix_literally(self, tier: Tier) -> None:
        """Pattern characters in a prefix match themselves only."""
        tricky = [f"{tier.space}:[ab]*?%_\\:", f"{tier.space}:a%:", f"{tier.space}:a_:"]
        kept = [f"{tier.space}:{text}" for text in ("a:", "b:", "axx:", "aX%_:", "[AB]*?%_\\:")]
        for stem in (*tricky, *kept):
            tier.store(_below(stem), b"value")
        for stem in tricky:
            tier.run(Clear(stem))
        assert [tier.run(Read(_below(stem))).payload for stem in tricky] == [None] * 3
        assert [tier.value(_below(stem)) for stem in kept] == [b"value"] * 5

    def test_clear_when_the_store_cannot_list_is_refused(self, tier: Tier) -> None:
        """A backend clears, or says that it cannot."""
        if Capability.ATOMIC in tier.backend.capabilities:
            tier.run(Clear(tier.space))
        else:
            with pytest.raises(BackendRefused):
                tier.run(Clear(tier.space))


def _below(stem: str) -> Key:
    return Key(f"{stem}k", (f"{stem}s",), stem)
