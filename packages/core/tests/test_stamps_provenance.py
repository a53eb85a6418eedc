"""What a stamp says of who made it, and that this takes no part in any decision."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.core.tests.stages import Stage, Way
from tiercel import ArgsKeyField, Cause
from tiercel.contracts.backend import STAMP_BYTES, STAMPS_OFFSET, DropKey, DropScopes
from tiercel.contracts.sizes import PROVENANCE_BYTES, TOMBSTONE
from tiercel.engine.telling import LastDrops, trace_ids
from tiercel.events import Provenance
from tiercel.stamps import (
    carries,
    is_tombstone,
    join_stamps,
    new_stamp,
    pack_provenance,
    pack_tombstone,
    provenance_of,
    who_dropped,
)

BY_USER = {"user": ArgsKeyField("user", partition=True)}

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
traces = st.one_of(
    st.just((b"", b"")),
    st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)).filter(
        lambda ids: any(ids[0]) and any(ids[1])
    ),
)
people = st.builds(
    lambda rule, source, time, ids: Provenance(rule, source, time, *ids),
    names,
    names,
    st.integers(0, 2**40).map(lambda micros: micros / 1e6),
    traces,
)


@settings(deadline=None)
@given(who=people)
def test_provenance_when_packed_then_fits_and_is_read_again(who: Provenance) -> None:
    """Names that are too long lose their beginning, and nothing else is lost."""
    packed = pack_provenance(who)
    assert len(packed) <= PROVENANCE_BYTES
    read = provenance_of(new_stamp() + packed)
    assert read is not None
    assert who.rule.endswith(read.rule)
    assert who.source.endswith(read.source)
    assert (read.trace_id, read.span_id) == (who.trace_id, who.span_id)
    assert read.time == pytest.approx(who.time, abs=2e-6)
    if len(who.rule.encode()) <= 40:
        assert read.rule == who.rule


@settings(deadline=None)
@given(tail=st.binary(max_size=200))
def test_provenance_when_damaged_then_is_none_or_harmless(tail: bytes) -> None:
    """Whatever stands behind a stamp, nothing is raised and stamps compare as before."""
    stamp = new_stamp()
    provenance_of(stamp + tail)
    header = bytes(STAMPS_OFFSET) + stamp
    assert carries(header, [stamp + tail])
    assert join_stamps([stamp + tail]) == stamp


def test_dropper_when_several_stamps_differ_then_is_the_last() -> None:
    """Of those that are as the entry says, none is asked."""
    kept, first, last = (
        new_stamp() + pack_provenance(Provenance(rule, time=time))
        for rule, time in (("kept", 9.0), ("first", 1.0), ("last", 2.0))
    )
    stored = bytes(STAMPS_OFFSET) + kept[:STAMP_BYTES] + new_stamp() + new_stamp()
    who = who_dropped(stored, [kept, first, last])
    assert who is not None
    assert who.rule == "last"
    assert who_dropped(stored, [kept, None, new_stamp()]) is None


def test_tombstone_when_read_then_says_who_and_is_no_entry() -> None:
    """It begins as no entry does, and carries no stamps."""
    buried = pack_tombstone(Provenance("rule", "shop.Product", 5.0))
    assert buried.startswith(TOMBSTONE)
    assert is_tombstone(buried)
    assert not carries(buried, [new_stamp()])
    who = who_dropped(buried, [new_stamp()])
    assert who is not None
    assert (who.rule, who.source) == ("rule", "shop.Product")


@pytest.mark.parametrize(
    ("traceparent", "known"),
    [
        (f"00-{'ab' * 16}-{'cd' * 8}-01", True),
        (f"00-{'ab' * 16}-{'cd' * 8}-00", False),
        (f"00-{'ab' * 15}-{'cd' * 8}-01", False),
        ("00-xyz", False),
        ("", False),
    ],
)
def test_trace_when_sampled_then_is_noted(traceparent: str, known: bool) -> None:
    """A link to what nobody has stored would lead nowhere."""
    expected = (b"\xab" * 16, b"\xcd" * 8) if known else (b"", b"")
    assert trace_ids(traceparent) == expected


async def test_drop_when_nobody_listens_then_is_signed_nevertheless(
    shared: Stage, way: Way
) -> None:
    """Who looks for the reason later needs no tracing at the time."""
    cached = shared.cached(way.function(lambda user: user), key=BY_USER)
    await way.call(cached, 1)
    await way.do(cached, "delete_by_prefix", user=1)
    await way.do(cached, "delete_cache", 1)
    (scopes,) = (each for each in shared.store.commands if isinstance(each, DropScopes))
    (key,) = (each for each in shared.store.commands if isinstance(each, DropKey))
    who = provenance_of(bytes(STAMP_BYTES) + scopes.provenance)
    assert who is not None
    assert (who.rule, who.trace_id) == ("", b"")
    assert who.time == pytest.approx(shared.clock.time(), abs=1e-3)
    assert is_tombstone(key.tombstone)


def test_memory_when_it_drops_often_then_remembers_the_last() -> None:
    """Bounded; what was dropped too long ago to matter counts no more."""
    drops = LastDrops()
    for number in range(2000):
        drops.note([f"key{number}"], Provenance(f"rule{number}", time=float(number)))
    assert drops.of(["key0"], 0.0) is None
    last = drops.of(["key1999", "key1500"], 0.0)
    assert last is not None
    assert last.rule == "rule1999"
    assert drops.of(["key1500"], 1600.0) is None
    drops.forget("key1999")
    assert drops.of(["key1999"], 0.0) is None


async def test_cause_when_the_scopes_of_the_code_change_then_is_the_version(
    shared: Stage, way: Way
) -> None:
    """An entry that depends on more stamps than are asked for is of another version."""
    cached = shared.cached(way.function(lambda user: user), key=BY_USER)
    await way.call(cached, 1)
    (name,) = [each for each in shared.store.names() if each.startswith("value/")]
    stored = shared.store._get(name)
    count, end = stored[2], STAMPS_OFFSET + STAMP_BYTES * stored[2]
    more = stored[:2] + bytes([count + 1]) + stored[3:end] + new_stamp() + stored[end:]
    shared.store._put(name, more, 100.0)
    _, metadata = await way.do(cached, "get_with_metadata", 1)
    assert metadata["cause"] is Cause.VERSION
