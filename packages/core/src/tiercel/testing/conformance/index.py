"""The index of a function: what it lists, what it may lose, and whom its fence keeps out."""

from __future__ import annotations

import pytest

from tiercel.contracts.backend import (
    Begin,
    Capability,
    Clear,
    DropKey,
    DropScopes,
    Fill,
    Granted,
    Held,
    Key,
    ReadThenBegin,
    Scope,
)
from tiercel.contracts.index import Index, ListEntries, Probe
from tiercel.errors import BackendRefused
from tiercel.testing.conformance.channel import SOON
from tiercel.testing.conformance.entries import ALLOWED
from tiercel.testing.conformance.tier import LONG, TICK, Tier, entry, needs


@needs(Capability.ATOMIC, Capability.INDEX)
class IndexTests:
    """Entries that were filled with a note are listed with it."""

    def test_index_lists_what_was_filled_with_its_notes(self, tier: Tier) -> None:
        """Keys and notes come back, of any bytes, and those of other functions do not."""
        index, other = tier.index(), tier.index("g")
        notes = [b"", b"\0\n\r\0", bytes(range(256)), b"x" * 5_000, "ä".encode()]
        keys = [tier.key(f"k{n}", partition=f"p{n}") for n in range(len(notes))]
        for key, note in zip(keys, notes, strict=True):
            tier.file(key, index, note)
        tier.file(tier.key("other", function="g"), other, b"other")
        found, complete = tier.listed()
        assert found == {key.text: note for key, note in zip(keys, notes, strict=True)}
        assert complete
        assert tier.listed("g") == ({tier.key("other", function="g").text: b"other"}, True)

    def test_index_of_an_unknown_function_is_empty_and_complete(self, tier: Tier) -> None:
        """Where no entry can be read, none is missing."""
        assert tier.listed() == ({}, True)
        tier.take(tier.key(), index=tier.index())
        assert tier.listed() == ({}, True)

    def test_index_when_filled_without_a_note_lists_nothing(self, tier: Tier) -> None:
        """Functions without an index keep no notes, whatever they fill."""
        tier.store(tier.key(), b"value")
        assert tier.listed()[0] == {}

    def test_index_names_of_any_allowed_character_are_told_apart(self, tier: Tier) -> None:
        """Keys and functions whose names differ in one character are listed for what they are."""
        keys = [_key(tier, f"{tier.space}:s{char}", f"k{char}") for char in ALLOWED]
        for key in keys:
            tier.file(key, _index(key), key.text.encode())
        for key in keys:
            listing = tier.run(ListEntries(key.scopes[0]))
            assert list(listing.entries) == [(key.text, key.text.encode())]

    def test_index_of_many_entries_is_listed_in_parts(self, tier: Tier) -> None:
        """Every entry comes, however few are wanted at a time, and not all come at once."""
        keys = [tier.key(f"k{n}", partition=f"p{n % 20}") for n in range(600)]
        notes = {key.text: key.text.encode() * 10 for key in keys}
        for key in keys:
            tier.file(key, tier.index(), notes[key.text])
        assert tier.listed(count=40) == (notes, True)
        first = tier.run(ListEntries(tier.function().name, count=40))
        assert first.cursor
        assert len(first.entries) < 600

    def test_index_of_one_place_lists_all_that_is_there(self, tier: Tier) -> None:
        """Asked for what has one spread, it leaves out nothing that has it."""
        keys = [tier.key(f"k{n}", partition=f"p{n % 5}") for n in range(50)]
        for key in keys:
            tier.file(key, tier.index())
        found, complete = tier.listed(spread="p3")
        assert {key.text for key in keys if key.spread == "p3"} <= found.keys()
        assert complete

    def test_index_while_others_fill_leaves_out_nothing_that_stays(self, tier: Tier) -> None:
        """What is there from the beginning to the end of a listing is in it, refilled or not."""
        index, note = tier.index(), b"note" * 20
        keys = [tier.key(f"k{n}", partition=f"p{n % 8}") for n in range(400)]
        for key in keys:
            tier.file(key, index, note)
        listing, turn = tier.run(ListEntries(index.name, count=20)), 0
        found = {text for text, _ in listing.entries}
        while listing.cursor:
            for number in range(10):
                new = tier.key(f"new{turn}.{number}", partition=f"p{number % 8}")
                tier.file(new, index, note, life=LONG * (0.5 + turn % 2))
                tier.file(keys[(turn * 37 + number) % 400], index, note, life=LONG / (2 + turn))
                tier.run(DropKey(new))
            listing, turn = tier.run(ListEntries(index.name, None, listing.cursor, 20)), turn + 1
            found |= {text for text, _ in listing.entries}
        assert turn > 3
        assert {key.text for key in keys} <= found

    def test_index_when_a_fill_is_refused_does_not_list_it(self, tier: Tier) -> None:
        """Neither a stranger's fill nor one whose lease was dropped leaves a note."""
        key, index = tier.key(), tier.index()
        granted = tier.take(key, index=index)
        payload = entry(key, granted.stamps, b"value")
        stranger = bytes(len(granted.token))
        assert not tier.run(Fill(key, stranger, payload, LONG, index=index, note=b"note"))
        tier.run(DropKey(key))
        assert not tier.fill_noted(key, granted, index)
        assert tier.listed()[0] == {}

    def test_index_when_an_entry_is_filled_again_has_the_last_note(self, tier: Tier) -> None:
        """One note per key; a refused fill does not change it."""
        key, index = tier.key(), tier.index(limit=2)
        for number in range(5):
            tier.file(key, index, b"%d" % number)
        tier.run(Fill(key, bytes(16), b"intruder", LONG, index=index, note=b"intruder"))
        assert tier.listed() == ({key.text: b"4"}, True)

    def test_index_beyond_its_limit_says_that_entries_may_be_missing(self, tier: Tier) -> None:
        """Those that end last are kept. Once the others have ended, nothing is missing."""

        def fill(span: float) -> tuple[str, dict[str, bytes], bool]:
            function = f"f{span:g}"
            index = tier.index(function, limit=4)
            for n in range(12):
                life = LONG if n % 3 == 0 else span
                tier.file(tier.key(f"k{n}", function=function), index, life=life)
            return function, *tier.listed(function)

        span, (function, found, complete) = tier.within(fill)
        kept = {tier.key(f"k{n}", function=function).text for n in range(0, 12, 3)}
        assert kept <= found.keys()
        assert complete is (len(found) == 12)
        tier.advance(1.4 * span)
        found, complete = tier.listed(function)
        assert kept <= found.keys()
        assert complete

    def test_index_makes_room_where_entries_have_ended(self, tier: Tier) -> None:
        """Notes of what has ended do not count, so nothing that lives is left out for them."""
        index = tier.index(limit=10)
        for n in range(10):
            tier.file(tier.key(f"short{n}"), index, life=TICK)
        tier.advance(2 * TICK)
        keys = [tier.key(f"long{n}") for n in range(10)]
        for key in keys:
            tier.file(key, index)
        found, complete = tier.listed()
        assert {key.text for key in keys} <= found.keys()
        assert complete

    def test_index_when_entries_are_older_says_that_they_may_be_missing(self, tier: Tier) -> None:
        """What was filled without a note is not listed, until nothing so old can be left."""

        def fill(span: float) -> tuple[Key, str, tuple[dict[str, bytes], bool]]:
            function = f"f{span:g}"
            old, new = tier.key("old", function=function), tier.key("new", function=function)
            tier.store(old, b"value", life=span)
            tier.file(new, tier.index(function, longest=span))
            return new, function, tier.listed(function)

        span, (new, function, listed) = tier.within(fill)
        assert listed == ({new.text: b"note"}, False)
        tier.advance(1.4 * span)
        assert tier.listed(function) == ({new.text: b"note"}, True)

    def test_index_when_its_function_is_dropped_begins_anew(self, tier: Tier) -> None:
        """Nothing older can be read, so nothing is missing, wherever entries are put."""
        index = tier.index()
        tier.store(tier.key("old"), b"value")
        tier.run(DropScopes((tier.function(),), LONG, indexes=(index,)))
        assert tier.listed() == ({}, True)
        keys = [tier.key(f"k{n}", partition=f"p{n}") for n in range(40)]
        for key in keys:
            tier.file(key, index)
        assert tier.listed() == ({key.text: b"note" for key in keys}, True)

    def test_index_when_cleared_is_forgotten(self, tier: Tier) -> None:
        """Clearing forgets notes as well."""
        tier.file(tier.key(), tier.index())
        tier.run(Clear(tier.space))
        assert tier.listed() == ({}, True)

    def test_index_of_another_client_is_the_same(self, tier: Tier) -> None:
        """What one client has filled, another one lists at once."""
        with tier.other() as other:
            tier.file(tier.key(), tier.index())
            assert other.listed() == ({tier.key().text: b"note"}, True)


@needs(Capability.ATOMIC, Capability.INDEX)
class ProbeTests:
    """Which entries could be served is told without moving them."""

    def test_probe_tells_in_order_what_could_be_served(self, tier: Tier) -> None:
        """Present and absent keys of several partitions, one of them twice."""
        keys = [tier.key(f"k{n}", partition=f"p{n % 4}") for n in range(40)]
        for key in keys[::3]:
            tier.store(key, b"value")
        asked = [*keys, keys[0], keys[1]]
        assert tier.run(Probe(asked)) == [tier.value(key) is not None for key in asked]
        assert tier.run(Probe(())) == []

    def test_probe_when_dropped_is_false(self, tier: Tier) -> None:
        """A key, a partition and a function are dropped; what came after that is live."""
        keys = [tier.key("a"), tier.key("b", partition="q"), tier.key("c", function="g")]
        kept = tier.key("d", partition="r", function="h")
        for key in (*keys, kept):
            tier.store(key, b"value")
        assert tier.run(Probe([*keys, kept])) == [True] * 4
        tier.run(DropKey(keys[0]))
        tier.drop(tier.partition("q"))
        tier.drop(tier.function("g"))
        assert tier.run(Probe([*keys, kept])) == [False, False, False, True]
        for key in keys:
            tier.store(key, b"new")
        assert tier.run(Probe([*keys, kept])) == [True] * 4

    def test_probe_when_the_life_is_over_is_false(self, tier: Tier) -> None:
        """What has ended cannot be served."""
        short, long = tier.key("short"), tier.key("long")
        tier.store(short, b"value", life=TICK)
        tier.store(long, b"value")
        tier.advance(2 * TICK)
        assert tier.run(Probe([short, long])) == [False, True]

    def test_probe_of_a_late_fill_is_false(self, tier: Tier) -> None:
        """What was computed before a drop and stored after it was never live."""
        key = tier.key()
        before = tier.take(key)
        tier.drop(tier.partition())
        tier.fill(key, before, b"old")
        assert tier.run(Probe([key])) == [False]


@needs(Capability.ATOMIC, Capability.INDEX)
class FenceTests:
    """Whoever was computing when the fence changed may not store."""

    def test_fence_when_read_in_the_same_round_trip_is_that_of_the_lease(self, tier: Tier) -> None:
        """A function that misses often is listed as well, and kept out as well."""
        index = tier.index()
        for key, changed in ((tier.key("a"), False), (tier.key("b"), True)):
            _, begun = tier.run(ReadThenBegin(Begin(key, LONG, LONG, index=index)))
            assert isinstance(begun, Granted)
            if changed:
                tier.drop(Scope(index.fence))
            assert tier.fill_noted(key, begun, index) is not changed
        assert tier.listed() == ({tier.key("a").text: b"note"}, True)

    def test_fence_when_changed_refuses_who_has_begun_before(self, tier: Tier) -> None:
        """Also for keys that nobody has ever seen; entries that are there stay."""
        index, there, fresh = tier.index(), tier.key("there"), tier.key("fresh")
        tier.file(there, index)
        begun = [(key, tier.take(key, force=True, index=index)) for key in (there, fresh)]
        tier.drop(Scope(index.fence))
        assert [tier.fill_noted(key, granted, index, b"late") for key, granted in begun] == [
            False,
            False,
        ]
        assert tier.value(there) == b"note"
        assert tier.listed() == ({there.text: b"note"}, True)
        tier.file(fresh, index)
        assert tier.value(fresh) == b"note"

    def test_fence_when_changed_concerns_its_own_function_only(self, tier: Tier) -> None:
        """Other functions go on, with an index or without."""
        other, plain = tier.key(function="g"), tier.key(function="h")
        noted, unnoted = tier.take(other, index=tier.index("g")), tier.take(plain)
        tier.drop(Scope(tier.index().fence))
        assert tier.fill_noted(other, noted, tier.index("g"))
        assert tier.fill(plain, unnoted, b"value")

    def test_fence_when_changed_leaves_no_lease_to_wait_for(self, tier: Tier) -> None:
        """Who comes later computes anew instead of waiting for a fill that will be refused."""
        key, index = tier.key(), tier.index()
        before = tier.take(key, index=index)
        assert isinstance(tier.run(Begin(key, LONG, LONG, index=index)), Held)
        tier.drop(Scope(index.fence))
        after = tier.take(key, index=index)
        assert not tier.fill_noted(key, before, index)
        assert tier.fill_noted(key, after, index)

    def test_fence_when_a_fill_is_refused_the_lease_ends(self, tier: Tier) -> None:
        """Nobody waits for who has been refused."""
        key, index = tier.key(), tier.index()
        before = tier.take(key, index=index)
        tier.drop(Scope(index.fence))
        assert not tier.fill_noted(key, before, index)
        assert isinstance(tier.run(Begin(key, LONG, LONG, index=index)), Granted)

    @needs(Capability.PUSH)
    def test_fence_when_a_fill_is_refused_waiters_are_woken(self, tier: Tier) -> None:
        """They need not sleep until the lease would have ended."""
        key, index, address = tier.key(), tier.index(), f"{tier.space}-fenced"
        before = tier.take(key, index=index)
        mailbox = tier.backend.open_mailbox(address)
        assert mailbox is not None
        try:
            held = tier.run(Begin(key, LONG, LONG, waiter=address, index=index))
            assert isinstance(held, Held)
            tier.drop(Scope(index.fence))
            assert not tier.fill_noted(key, before, index)
            assert list(mailbox.receive(SOON)) == [key.text]
        finally:
            mailbox.close()

    @needs(Capability.PUSH)
    def test_lease_with_a_fence_wakes_its_waiters(self, tier: Tier) -> None:
        """A fill, a drop and a forced lease find the waiters of an indexed function."""
        index, address = tier.index(), f"{tier.space}-waiting"
        mailbox = tier.backend.open_mailbox(address)
        assert mailbox is not None
        try:
            for name, ends in (("fill", "fill"), ("drop", "drop"), ("forced", "fill")):
                key = tier.key(name)
                granted = tier.take(key, index=index)
                assert isinstance(
                    tier.run(Begin(key, LONG, LONG, waiter=address, index=index)), Held
                )
                if name == "forced":
                    granted = tier.take(key, force=True, index=index)
                if ends == "fill":
                    assert tier.fill_noted(key, granted, index)
                else:
                    tier.run(DropKey(key))
                assert list(mailbox.receive(SOON)) == [key.text]
        finally:
            mailbox.close()


class NoIndexTests:
    """What is not offered is refused, not imitated."""

    def test_listing_without_an_index_is_refused(self, tier: Tier) -> None:
        """Nobody must take what cannot be listed for what is not there."""
        if Capability.INDEX in tier.backend.capabilities:
            assert tier.run(ListEntries(tier.function().name)).complete
        else:
            with pytest.raises(BackendRefused):
                tier.run(ListEntries(tier.function().name))
            with pytest.raises(BackendRefused):
                tier.run(Probe([tier.key()]))


def _key(tier: Tier, function: str, name: str) -> Key:
    text = f"{tier.space}:{name}"
    return Key(text, (function,), text)


def _index(key: Key) -> Index:
    name = key.scopes[0]
    return Index(name, f"{name}!fence", 10, LONG, LONG)
