"""Every command does what the contract says: on one server and a Cluster, sync and async."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from tiercel.spi import (
    Begin,
    Clear,
    DropKey,
    DropScopes,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    MintTags,
    Read,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
    Scope,
)
from tiercel.testing.servers import RedisServer

Caller = Any  # conftest.py, which tests cannot import


def test_read_when_nothing_is_stored_then_everything_is_missing(call: Caller) -> None:
    """A key nobody has used has no payload, no life and no stamps."""
    reading = call(Read(call.key("a")))
    assert reading.payload is None
    assert reading.remaining == 0
    assert list(reading.stamps) == [None, None]


@pytest.mark.parametrize("size", [0, 100, 4_096, 5_000, 200_000])
def test_fill_when_granted_then_read_returns_it_with_its_stamps(call: Caller, size: int) -> None:
    """What was filled under a lease is read back, whatever its size, with life and stamps."""
    key = call.key("a")
    granted = call.granted(key)
    stored = call.payload(granted, bytes(range(256)) * (size // 256) + b"\r\n")
    assert call(Fill(key, granted.token, stored, 30.0)) is True
    reading = call(Read(key))
    assert reading.payload == stored
    assert 10 < reading.remaining <= 30
    assert list(reading.stamps) == list(granted.stamps)


def test_fill_when_life_is_short_then_the_entry_expires(call: Caller) -> None:
    """An entry is gone after its life, also one that came by way of a draft."""
    for name, body in (("small", b""), ("large", b"x" * 10_000)):
        call.fill(call.key(name), body, life=0.05)
    time.sleep(0.06)
    readings = call(ReadMany([call.key("small"), call.key("large")]))
    assert [reading.payload for reading in readings] == [None, None]


@pytest.mark.parametrize("body", [b"small", b"x" * 10_000])
def test_fill_when_the_token_is_not_the_leases_then_nothing_is_stored(
    call: Caller, body: bytes
) -> None:
    """Another's token, a second use of one's own and an absent lease are all refused."""
    key = call.key("a")
    granted = call.granted(key)
    stored = call.payload(granted, body)
    assert call(Fill(key, b"t" * 16, stored, 30.0)) is False
    assert call(Read(key)).payload is None
    assert call(Fill(key, granted.token, stored, 30.0)) is True
    assert call(Fill(key, granted.token, stored + b"!", 30.0)) is False
    assert call(Read(key)).payload == stored


def test_fill_when_life_exceeds_the_stamps_then_their_life_is_extended(call: Caller) -> None:
    """Stamps outlive the entry that depends on them, tags included."""
    span = 0.05
    while True:
        span *= 4
        key, tag, began = call.key(f"k{span:g}"), f"tag{span:g}", time.monotonic()
        call(MintTags((tag,), key.spread, span))
        granted = call.granted(key, stamp_life=span)
        call(Fill(key, granted.token, call.payload(granted), 300.0, tags=(tag,)))
        took = time.monotonic() - began
        if took < 0.8 * span:  # on a busy machine again, with stamps that live longer
            break
    time.sleep(1.5 * span)
    reading = call(Read(key, tags=(tag,)))
    assert list(reading.stamps) == list(granted.stamps)
    assert reading.tags[0]


def test_begin_when_the_key_is_free_then_it_mints_one_stamp_per_scope(call: Caller) -> None:
    """Stamps are random, differ from each other and stay what they are."""
    key = call.key("a")
    first, second = call.granted(key), call.granted(key, force=True)
    assert len({*first.stamps, first.token, second.token}) == 4
    assert list(first.stamps) == list(second.stamps)
    assert all(len(stamp) == 16 for stamp in first.stamps)


def test_begin_when_another_holds_the_lease_then_held_tells_whose(call: Caller) -> None:
    """The second caller learns token, stamps and remaining time of the first."""
    key = call.key("a")
    granted = call.granted(key)
    held = call.begin(key)
    assert isinstance(held, Held)
    assert held.token == granted.token
    assert list(held.stamps) == list(granted.stamps)
    assert 20 < held.remaining <= 60


def test_begin_when_a_lease_expires_then_the_next_is_granted(call: Caller) -> None:
    """A dead holder is outlived, and its late fill refused."""
    key = call.key("a")
    late = call.granted(key, lease=0.05)
    time.sleep(0.06)
    call.granted(key)
    assert call(Fill(key, late.token, call.payload(late), 30.0)) is False


def test_begin_when_forced_then_the_lease_changes_hands(call: Caller) -> None:
    """Force overrides a holder and a valid entry; the old holder's fill is refused."""
    key = call.key("a")
    call.fill(key)
    old = call.granted(key, force=True)
    new = call.granted(key, force=True)
    assert call(Fill(key, old.token, call.payload(old), 30.0)) is False
    assert call(Fill(key, new.token, call.payload(new), 30.0)) is True


def test_begin_when_the_entry_is_current_then_found_unless_it_ends_too_soon(call: Caller) -> None:
    """Found needs current stamps and a life beyond the floor."""
    key = call.key("a")
    call.fill(key, life=30.0)
    assert isinstance(call.begin(key), Found)
    assert isinstance(call.begin(key, floor=20.0), Found)
    assert isinstance(call.begin(key, floor=40.0), Granted)
    call(DropKey(key))
    call.fill(key)
    assert isinstance(call.begin(key, floor=math.inf), Granted)


def test_begin_when_a_scope_was_dropped_then_entry_and_lease_count_no_more(call: Caller) -> None:
    """A new generation is neither found nor held: the old holder computes what is stale."""
    filled, leased = call.key("filled"), call.key("leased")
    call.fill(filled)
    call.granted(leased)
    call(DropScopes((Scope(filled.scopes[0]),), 60.0))
    assert isinstance(call.begin(filled), Granted)
    assert isinstance(call.begin(leased), Granted)


def test_begin_when_a_stamp_is_lost_then_the_entry_is_not_found(call: Caller) -> None:
    """A lost stamp is minted anew, so what was stored under the old one is a miss."""
    key = call.key("a")
    call.fill(key)
    before = call(Read(key)).stamps
    granted = call.granted(key, stamp_life=0.01, force=True)
    assert list(granted.stamps) == list(before)
    call(Clear(key.scopes[1]))
    call(DropScopes((Scope(key.scopes[1], key.spread),), 0.02))
    time.sleep(0.05)
    assert isinstance(call.begin(key), Granted)
    assert call(Read(key)).stamps[1] != before[1]


def test_read_then_begin_when_missing_then_reading_and_lease_come_together(call: Caller) -> None:
    """One command reads and takes the lease; on a hit it finds the entry instead."""
    key = call.key("a")
    reading, begun = call(ReadThenBegin(Begin(key, 5.0, 60.0)))
    assert reading.payload is None
    assert isinstance(begun, Granted)
    call(Fill(key, begun.token, call.payload(begun), 30.0))
    reading, begun = call(ReadThenBegin(Begin(key, 5.0, 60.0)))
    assert reading.payload is not None
    assert isinstance(begun, Found)


def test_read_many_when_keys_are_mixed_then_replies_stand_in_their_order(call: Caller) -> None:
    """Present, absent and repeated keys of many partitions come back where they were asked for."""
    keys = [call.key(f"k{n}", partition=f"p{n}") for n in range(40)]
    stored = {key.text: call.fill(key, b"%d" % n) for n, key in enumerate(keys) if n % 3}
    asked = [*reversed(keys), keys[1]]
    readings = call(ReadMany(asked))
    assert [reading.payload for reading in readings] == [stored.get(key.text) for key in asked]
    assert all((reading.remaining > 0) == (reading.payload is not None) for reading in readings)
    assert call(ReadMany([])) == []


def test_renew_when_held_then_the_lease_lives_longer(call: Caller) -> None:
    """Only the holder prolongs a lease."""
    key = call.key("a")
    granted = call.granted(key, lease=30.0)
    assert call(Renew(key, granted.token, 90.0)) is True
    assert call(Renew(key, b"t" * 16, 300.0)) is False
    assert 40 < call.begin(key).remaining <= 90


def test_release_when_held_then_the_next_is_granted(call: Caller) -> None:
    """Only the holder gives a lease back."""
    key = call.key("a")
    granted = call.granted(key)
    assert call(Release(key, b"t" * 16)) is None
    assert isinstance(call.begin(key), Held)
    call(Release(key, granted.token))
    assert isinstance(call.begin(key), Granted)


def test_drop_key_when_filled_and_leased_then_both_go(call: Caller) -> None:
    """The entry is gone, the holder's fill refused; the reply says whether there was one."""
    key = call.key("a")
    call.fill(key)
    granted = call.granted(key, force=True)
    assert call(DropKey(key)) is True
    assert call(DropKey(key)) is False
    assert call(Read(key)).payload is None
    assert call(Fill(key, granted.token, call.payload(granted), 30.0)) is False


def test_drop_scopes_when_a_partition_is_dropped_then_only_its_stamp_changes(call: Caller) -> None:
    """A neighbour keeps its stamps."""
    dropped, kept = call.key("a", "one"), call.key("a2", "two")
    for key in (dropped, kept):
        call.fill(key)
    before = call(ReadMany([dropped, kept]))
    call(DropScopes((Scope(dropped.scopes[1], dropped.spread),), 60.0, b"why"))
    after = call(ReadMany([dropped, kept]))
    assert list(after[1].stamps) == list(before[1].stamps)
    assert after[0].stamps[0] == before[0].stamps[0]
    assert after[0].stamps[1][:16] != before[0].stamps[1][:16]
    assert after[0].stamps[1][16:] == b"why"


def test_drop_scopes_when_a_function_is_dropped_then_every_partition_sees_it(call: Caller) -> None:
    """The stamp of a function changes wherever its entries are, all within one reply."""
    keys = [call.key(f"k{n}", partition=f"p{n}") for n in range(40)]
    for key in keys:
        call.granted(key)
    before = call(ReadMany(keys))
    call(DropScopes((Scope(keys[0].scopes[0]),), 60.0))
    after = call(ReadMany(keys))
    assert all(a.stamps[0] != b.stamps[0] for a, b in zip(after, before, strict=True))


def test_drop_scopes_when_there_are_many_then_all_change(call: Caller) -> None:
    """More scopes than one script takes are all dropped."""
    key = call.key("a")
    names = tuple(f"{call.prefix}:tag{n}" for n in range(600))
    call(MintTags(names, key.spread, 60.0))
    before = call(Read(key, tags=names)).tags
    call(DropScopes(tuple(Scope(name) for name in names), 60.0))
    after = call(Read(key, tags=names)).tags
    assert all(a and b and a != b for a, b in zip(after, before, strict=True))


def test_stamp_when_it_has_provenance_then_entries_under_it_are_found(call: Caller) -> None:
    """Only the first 16 bytes of a stamp are compared."""
    key = call.key("a")
    call(DropScopes((Scope(key.scopes[0]), Scope(key.scopes[1], key.spread)), 60.0, b"p" * 64))
    stored = call.fill(key)
    assert call(Read(key)).payload == stored
    assert isinstance(call.begin(key), Found)


def test_mint_tags_when_some_exist_then_only_the_missing_are_new(call: Caller) -> None:
    """Minting twice gives the same stamps."""
    tags = tuple(f"{call.prefix}:t{n}" for n in range(3))
    first = call(MintTags(tags[:2], "p", 60.0))
    both = call(MintTags(tags, "p", 60.0))
    assert both[:2] == first
    assert len(set(both)) == 3
    assert list(call(Read(call.key("a"), tags=tags)).tags) == both
    assert call(MintTags((), "p", 60.0)) == []


def test_clear_when_prefixes_resemble_each_other_then_only_the_named_one_goes(
    call: Caller,
) -> None:
    """Neither a longer prefix nor one that a pattern would match is touched."""
    prefix = f"{call.prefix}[a]*c"
    mine, *others = [
        Key(f"{below}:k", (f"{below}:s",), "p")
        for below in (prefix, f"{call.prefix}aXc", f"{prefix}d", f"{prefix}-d")
    ]
    for key in (mine, *others):
        call.fill(key)
    call(Clear(prefix))
    readings = call(ReadMany([mine, *others]))
    assert [reading.payload is None for reading in readings] == [True, False, False, False]
    assert readings[0].stamps[0] is None


def test_begin_when_a_key_has_no_scopes_then_it_works_alike(call: Caller) -> None:
    """A key without stamps can be leased, filled, found and dropped."""
    key = Key(f"{call.prefix}:plain", (), "p")
    call.fill(key)
    assert isinstance(call.begin(key), Found)
    assert call(DropKey(key)) is True


@pytest.mark.parametrize("lives", [(60.0, 60.0), (60.0, 600.0), (600.0, 60.0)])
def test_begin_when_repeated_then_stamps_live_as_long_as_the_last_one_asked_for(
    server: RedisServer, open_caller: Callable[..., Caller], lives: tuple[float, float]
) -> None:
    """A life that is known to suffice is not asked for again, a longer one is."""
    call = open_caller(server.url)
    for life in lives:
        call.granted(call.key("a"), stamp_life=life, force=True)
        for scope in call.key("a").scopes:
            assert int(server.command("PTTL", scope)) >= life * 1000 - 100


def test_drop_scopes_when_the_new_stamp_is_short_lived_then_begin_extends_it(
    server: RedisServer, open_caller: Callable[..., Caller]
) -> None:
    """What was known of the old stamp's life does not hold for the new one."""
    call = open_caller(server.url)
    key = call.key("a")
    call.granted(key, stamp_life=60.0)
    call(DropScopes((Scope(key.scopes[0]),), 5.0))
    call.granted(key, stamp_life=50.0)
    assert int(server.command("PTTL", key.scopes[0])) >= 49_000
