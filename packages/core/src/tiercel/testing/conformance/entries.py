"""Reading and filling: bytes in and out, names, lives, order."""

from __future__ import annotations

from math import inf

from tiercel.contracts.backend import (
    STAMP_BYTES,
    Begin,
    Fill,
    Held,
    Key,
    MintTags,
    Read,
    ReadMany,
)
from tiercel.testing.conformance.tier import LONG, TICK, Tier, entry, served

ALLOWED = "".join(map(chr, range(0x21, 0x7F)))
"""Every character that a name may contain."""

LONGEST = 230
"""Bytes of the longest name."""


class EntryTests:
    """What is stored comes back, whole, for as long as it should."""

    entries: int

    def test_read_when_nothing_is_stored_finds_nothing(self, tier: Tier) -> None:
        """An unknown key has no payload, no time left and no stamps."""
        key = tier.key()
        reading = tier.run(Read(key))
        assert (reading.payload, reading.remaining) == (None, 0.0)
        assert len(reading.stamps) >= len(key.scopes)
        assert set(reading.stamps) == {None}
        assert list(reading.tags) == []

    def test_read_when_nothing_is_stored_mints_nothing(self, tier: Tier) -> None:
        """Reading leaves no stamps behind: they are captured by Begin alone."""
        key = tier.key()
        tier.run(Read(key, (f"{tier.space}:tag",)))
        reading = tier.run(Read(key, (f"{tier.space}:tag",)))
        assert {*reading.stamps, *reading.tags} == {None}

    def test_fill_then_read_returns_the_payload_and_the_captured_stamps(self, tier: Tier) -> None:
        """An entry is served under exactly the stamps it was computed under."""
        key = tier.key()
        granted = tier.store(key, b"value")
        reading = tier.run(Read(key))
        assert served(key, reading) == b"value"
        assert list(reading.stamps) == list(granted.stamps)

    def test_replies_are_bytes_and_nothing_like_them(self, tier: Tier) -> None:
        """Payloads, stamps and tokens are of the type bytes, and stamps are long enough."""
        key, tags = tier.key(), (f"{tier.space}:tag",)
        minted = tier.run(MintTags(tags, key.spread, LONG))
        granted = tier.store(key, b"value")
        reading, (one,) = tier.run(Read(key, tags)), tier.run(ReadMany([key]))
        for data in (reading.payload, one.payload, granted.token):
            assert type(data) is bytes
        for stamp in (*minted, *granted.stamps, *reading.stamps, *reading.tags, *one.stamps):
            assert type(stamp) is bytes
            assert len(stamp) >= STAMP_BYTES

    def test_times_are_numbers_that_floats_mix_with(self, tier: Tier) -> None:
        """A caller adds them to its own: no decimals, no intervals."""
        key = tier.key()
        tier.store(key, b"value")
        tier.take(key, force=True)
        begun = tier.run(Begin(key, LONG, LONG, floor=inf))
        lives = [each.remaining for each in (tier.run(Read(key)), *tier.run(ReadMany([key])))]
        for seconds in (*lives, *([begun.remaining] if isinstance(begun, Held) else [])):
            assert isinstance(seconds, (int, float))

    def test_payload_of_any_bytes_comes_back_unchanged(self, tier: Tier) -> None:
        """All byte values survive, in every place, NUL and invalid UTF-8 included."""
        bodies = [b"", b"\0", b"\0\0a\0", bytes(range(256)) * 2, b"\xff\xfe\r\n", b"1", b"None"]
        for number, body in enumerate(bodies):
            tier.store(tier.key(f"k{number}"), body)
        for number, body in enumerate(bodies):
            assert tier.value(tier.key(f"k{number}")) == body

    def test_payload_of_any_size_comes_back_whole(self, tier: Tier) -> None:
        """Nothing is cut off up to one mebibyte."""
        for size in (1, 255, 256, 4_096, 65_535, 65_536, 1_000_000, 1_048_576):
            key, body = tier.key(f"size{size}"), b"\0" + bytes(range(251)) * (size // 251 + 1)
            tier.store(key, body[:size])
            assert tier.value(key) == body[:size]

    def test_fill_when_forced_replaces_the_entry(self, tier: Tier) -> None:
        """A refresh shows its own value, and only that."""
        key = tier.key()
        tier.store(key, b"a much longer first value")
        assert tier.fill(key, tier.take(key, force=True), b"second")
        assert tier.value(key) == b"second"

    def test_remaining_is_the_life_left(self, tier: Tier) -> None:
        """Remaining begins at the life that was asked for and shrinks as time passes."""
        key = tier.key()
        tier.store(key, b"value", life=50.0)
        first = tier.run(Read(key)).remaining
        tier.advance(2 * TICK)
        second = tier.run(Read(key)).remaining
        assert 50.0 - 10.0 < first <= 50.0
        assert first - 10.0 < second <= first - 1.9 * TICK

    def test_entry_when_its_life_is_over_is_gone(self, tier: Tier) -> None:
        """An expired entry is not returned, and its neighbour still is."""
        short, long = tier.key("short"), tier.key("long")
        tier.store(short, b"value", life=TICK)
        tier.store(long, b"value")
        tier.advance(2 * TICK)
        for reading in (tier.run(Read(short)), *tier.run(ReadMany([short]))):
            assert (reading.payload, reading.remaining) == (None, 0.0)
        assert tier.value(long) == b"value"

    def test_read_that_asks_for_no_life_still_shows_only_what_lives(self, tier: Tier) -> None:
        """Who leaves out the life of an entry must be told all the more that it has ended."""
        short, long, tags = tier.key("short"), tier.key("long"), (f"{tier.space}:tag",)
        minted = tier.run(MintTags(tags, long.spread, LONG))
        tier.store(short, b"value", life=TICK)
        tier.store(long, b"value", life=50.0)
        tier.advance(2 * TICK)
        ended = tier.run(Read(short, life=False))
        assert (ended.payload, ended.remaining) == (None, 0.0)
        there = tier.run(Read(long, tags, life=False))
        assert served(long, there) == b"value"
        assert list(there.tags) == minted
        assert there.remaining == inf or 40.0 < there.remaining <= 50.0

    def test_fill_when_replacing_sets_the_new_life(self, tier: Tier) -> None:
        """The life of the entry before does not shorten that of the entry after."""
        key = tier.key()
        tier.store(key, b"first", life=TICK)
        assert tier.fill(key, tier.take(key, force=True), b"second")
        tier.advance(2 * TICK)
        assert tier.value(key) == b"second"

    def test_read_many_replies_in_the_order_of_its_keys(self, tier: Tier) -> None:
        """Present, absent and repeated keys of several partitions are answered in their places."""
        keys = [tier.key(f"k{n}", partition=f"p{n % 4}") for n in range(24)]
        for n in range(0, 24, 3):
            tier.store(keys[n], b"%d" % n)
        asked = [*reversed(keys), keys[3], keys[1], keys[3]]
        readings = tier.run(ReadMany(asked))
        assert len(readings) == len(asked)
        expected = [tier.value(key) for key in asked]
        assert [served(*pair) for pair in zip(asked, readings, strict=True)] == expected
        for key, reading in zip(asked, readings, strict=True):
            single = tier.run(Read(key))
            assert (reading.payload, list(reading.stamps)) == (single.payload, list(single.stamps))

    def test_read_many_of_nothing_is_nothing(self, tier: Tier) -> None:
        """No keys, no readings, no error."""
        assert tier.run(ReadMany(())) == []

    def test_names_of_any_allowed_character_are_told_apart(self, tier: Tier) -> None:
        """Names that differ in one character, or in its case, are different keys and scopes."""
        keys = [_key(f"{tier.space}:{char}", f"{tier.space}:s{char}") for char in ALLOWED]
        for number, key in enumerate(keys):
            tier.store(key, b"%d" % number)
        assert [tier.value(key) for key in keys] == [b"%d" % n for n in range(len(keys))]

    def test_names_of_the_longest_size_are_told_apart(self, tier: Tier) -> None:
        """Names of 230 bytes that differ in the last one only are different keys and scopes."""
        stem = f"{tier.space}:{ALLOWED * 3}"[: LONGEST - 1]
        keys = [_key(f"{stem}{end}", f"{stem}{end}") for end in "abAB"]
        for key in keys:
            tier.store(key, key.text[-1:].encode())
        assert [tier.value(key) for key in keys] == [b"a", b"b", b"A", b"B"]

    def test_many_entries_all_stay(self, tier: Tier) -> None:
        """Small entries by the thousand fit into a store of ordinary size."""
        keys = [tier.key(f"k{n}", partition=f"p{n % 50}") for n in range(self.entries)]
        for n, key in enumerate(keys):
            tier.store(key, b"%d" % n)
        readings = tier.run(ReadMany(keys))
        expected = [b"%d" % n for n in range(self.entries)]
        assert [served(*pair) for pair in zip(keys, readings, strict=True)] == expected

    def test_reads_at_the_same_time_get_their_own_answers(self, tier: Tier) -> None:
        """No caller ever gets the reply to another's command."""
        keys = [tier.key(f"k{n}", partition=f"p{n}") for n in range(16)]
        for key in keys:
            tier.store(key, key.text.encode())
        for _ in range(20):
            readings = tier.together([Read(key) for key in keys])
            for key, reading in zip(keys, readings, strict=True):
                assert served(key, reading) == key.text.encode()

    def test_second_client_reads_what_the_first_stored(self, tier: Tier) -> None:
        """The tier is shared: a fill by one client is a hit for another, at once."""
        key = tier.key()
        with tier.other() as other:
            for body in (b"first", b"second"):
                assert tier.fill(key, tier.take(key, force=True), body)
                assert other.value(key) == body

    def test_fill_without_a_lease_stores_nothing(self, tier: Tier) -> None:
        """The only write to a value is a fill under a live lease (H2, H4)."""
        key = tier.key()
        granted = tier.store(key, b"value")
        stranger = bytes(len(granted.token))
        payload = entry(key, granted.stamps, b"intruder")
        assert tier.run(Fill(key, stranger, payload, LONG)) is False
        assert tier.value(key) == b"value"
        unknown = tier.key("unknown")
        assert tier.run(Fill(unknown, stranger, payload, LONG)) is False
        assert tier.run(Read(unknown)).payload is None


def _key(text: str, scope: str) -> Key:
    return Key(text, (scope,), text)
