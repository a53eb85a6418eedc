"""The index of a function in Redis: what it costs, how it is bounded, and what it survives."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tiercel.spi import (
    BackendRefused,
    DropScopes,
    Fill,
    Index,
    Key,
    ListEntries,
    Listing,
    Scope,
)
from tiercel.testing.servers import RedisCluster, RedisServer
from tiercel_redis import scripts
from tiercel_redis.names import CHANNELS, Names
from tiercel_redis.wire import Wire

Caller = Any  # conftest.py, which tests cannot import


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server of this test's own."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def caller(own: RedisServer, open_caller: Callable[..., Caller]) -> Caller:
    return open_caller(own.url)


def index_of(call: Caller, **options: Any) -> Index:
    """Return the index of the caller's function."""
    name = f"{call.prefix}:f"
    return Index(
        name, f"{name}!fence", **{"limit": 100, "longest": 60.0, "life": 3600.0, **options}
    )


def file(call: Caller, key: Key, index: Index, life: float = 60.0, body: bytes = b"value") -> None:
    """Fill an entry that is listed."""
    granted = call.granted(key, force=True, index=index)
    payload = call.payload(granted, body)
    assert call(Fill(key, granted.token, payload, life, index=index, note=b"note")) is True


def listed(call: Caller) -> Listing:
    """Return what the index of the caller's function lists, which is little."""
    reply: Listing = call(ListEntries(f"{call.prefix}:f"))
    return reply


def places(call: Caller) -> tuple[str, str]:
    """Return where the index and the notes stand."""
    return f"{call.prefix}:f!index", f"{call.prefix}:f!notes"


def test_index_when_filled_then_its_keys_expire_by_themselves(
    own: RedisServer, caller: Caller
) -> None:
    """Whatever a function leaves behind in Redis goes away when nobody uses it any more."""
    file(caller, caller.key("a"), index_of(caller))
    for name in places(caller):
        assert 3_600_000 < int(own.command("PTTL", name)) <= 2 * 3_600_000
    for name in own.command("KEYS", "*").split():
        assert int(own.command("PTTL", name)) > 0, name


@pytest.mark.parametrize("lost", [0, 1])
def test_index_when_a_part_of_it_is_evicted_then_it_says_so(
    own: RedisServer, caller: Caller, lost: int
) -> None:
    """Neither the set nor the hash goes unnoticed, until what was lost has ended."""
    span = 0.1
    while True:
        own.command("FLUSHALL")
        span, began = 4 * span, time.monotonic()
        index = index_of(caller, longest=span)
        file(caller, caller.key("a"), index, life=0.8 * span)
        own.command("DEL", places(caller)[lost])
        before = listed(caller)
        file(caller, caller.key("b"), index)
        after = listed(caller)
        took = time.monotonic() - began
        if took < 0.8 * span:  # on a busy machine again, with entries that live longer
            break
    assert not before.complete
    assert not after.complete
    assert [text for text, _ in after.entries] == [caller.key("b").text]
    time.sleep(1.2 * span)
    keys = [caller.key(f"c{number}") for number in range(16)]  # one of them tidies up
    for key in keys:
        file(caller, key, index)
    found = {text for text, _ in listed(caller).entries}
    assert found == {key.text for key in (caller.key("b"), *keys)}
    assert listed(caller).complete


def test_index_when_all_of_it_is_evicted_then_nothing_old_is_taken_over(
    own: RedisServer, caller: Caller
) -> None:
    """The next fill begins anew, and does not vouch for what was before."""
    index = index_of(caller)
    file(caller, caller.key("a"), index)
    own.command("DEL", *places(caller))
    assert listed(caller) == Listing([], "", complete=False)
    file(caller, caller.key("b"), index)
    assert listed(caller) == Listing([(caller.key("b").text, b"note")], "", complete=False)
    own.command("FLUSHALL")
    assert listed(caller) == Listing([], "", complete=True)


def test_index_when_many_entries_have_ended_then_a_fill_removes_few(
    own: RedisServer, caller: Caller
) -> None:
    """The work of one fill is bounded; a few of them tidy up all the same."""
    index, notes = places(caller)
    file(caller, caller.key("first"), index_of(caller, limit=10_000))
    gone = 300
    members = [word for n in range(gone) for word in (n + 1, f"gone{n}")]
    own.command("ZADD", index, *members)
    own.command("HSET", notes, *[word for n in range(gone) for word in (f"gone{n}", "note")])
    sizes = [gone + 1]
    for number in range(200):
        file(caller, caller.key(f"k{number}"), index_of(caller, limit=10_000))
        sizes.append(int(own.command("HLEN", notes)))
        if sizes[-1] == number + 2:
            break
    assert sizes[-1] == len(sizes)
    assert min(after - before for before, after in itertools.pairwise(sizes)) >= 1 - 64
    assert int(own.command("ZCARD", index)) == sizes[-1] + 1
    assert listed(caller).complete


def test_index_when_the_limit_is_lowered_then_it_shrinks_bit_by_bit(
    own: RedisServer, caller: Caller
) -> None:
    """A new version with a smaller limit does not block the server."""
    for number in range(200):
        file(caller, caller.key(f"k{number}"), index_of(caller, limit=500), life=100.0 + number)
    sizes = []
    for number in range(200, 300):
        file(caller, caller.key(f"k{number}"), index_of(caller, limit=10), life=100.0 + number)
        sizes.append(int(own.command("HLEN", places(caller)[1])))
    assert sizes[:3] == [137, 74, 11]
    assert min(sizes) >= 10
    assert max(sizes[3:]) <= 10 + 32
    assert not listed(caller).complete
    kept = {text for text, _ in listed(caller).entries}
    assert {caller.key(f"k{number}").text for number in range(290, 300)} <= kept


@pytest.mark.parametrize("body", [b"small", b"x" * 10_000])
def test_fill_when_the_fence_has_changed_then_nothing_is_left(
    own: RedisServer, caller: Caller, body: bytes
) -> None:
    """Neither the value nor a draft of it, nor a note, nor the lease."""
    index, key = index_of(caller), caller.key("a")
    granted = caller.granted(key, index=index)
    caller(DropScopes((Scope(index.fence),), 60.0))
    refused = Fill(key, granted.token, caller.payload(granted, body), 60.0, index=index, note=b"n")
    assert caller(refused) is False
    assert own.command("KEYS", f"{key.text}!*").strip() == ""
    assert listed(caller) == Listing([], "", complete=True)
    file(caller, key, index, body=body)
    assert [text for text, _ in listed(caller).entries] == [key.text]


def test_server_when_out_of_memory_then_indexes_begin_anew_and_fills_are_refused(
    own: RedisServer, caller: Caller
) -> None:
    """Drops of functions with an index work as any drop does."""
    index, key = index_of(caller), caller.key("a")
    file(caller, key, index)
    granted = caller.granted(key, force=True, index=index)
    payload = caller.payload(granted)
    own.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BackendRefused, match="out of memory"):
        caller(Fill(key, granted.token, payload, 60.0, index=index, note=b"new"))
    assert listed(caller).entries == [(key.text, b"note")]
    caller(DropScopes((Scope(index.name), Scope(index.fence)), 60.0, indexes=(index,)))
    assert listed(caller) == Listing([], "", complete=True)


def test_cluster_when_a_function_has_an_index_then_each_part_shares_a_slot(
    cluster: RedisCluster, open_caller: Callable[..., Caller]
) -> None:
    """Entries of one hash tag are listed next to them, and a listing joins all tags."""
    call = open_caller(cluster.url)
    index = index_of(call)
    keys = [call.key(f"k{number}", f"p{number}") for number in range(50)]
    for key in keys:
        file(call, key, index)
    plan = Wire(Names(call.prefix, spread=True)).plan(
        Fill(keys[0], b"t" * 16, b"payload", 60.0, index=index, note=b"note")
    )
    (request,) = plan.requests
    assert request.call is not None
    own = f"{{{CHANNELS[request.tag]}}}"
    assert {name[:4] for name in request.call.names} == {own}
    found: list[str] = []
    cursor = ""
    while True:
        part = call(ListEntries(index.name, None, cursor, 16))
        found += [text for text, _ in part.entries]
        cursor = part.cursor
        if not cursor:
            break
    assert sorted(found) == sorted(key.text for key in keys)
    one = call(ListEntries(index.name, keys[0].spread))
    assert keys[0].text in [text for text, _ in one.entries]
    assert len(one.entries) < 50


def test_commands_without_an_index_send_what_they_always_sent() -> None:
    """Functions that keep no index do not pay for it: same scripts, names and arguments."""
    wire, key = Wire(Names("p", spread=False)), Key("p:f:k", ("p:f",), "k")
    (fill,) = wire.plan(Fill(key, b"t" * 16, b"payload", 60.0)).requests
    (drop,) = wire.plan(DropScopes((Scope("p:f"),), 60.0)).requests
    assert fill.call is not None
    assert drop.call is not None
    assert fill.call.script is scripts.FILL
    assert fill.call.names == (
        "p:f:k!v",
        "p:f:k!lease",
        "p!stream",
        "p:f:k!fill:" + "74" * 16,
        "p:f",
    )
    assert len(fill.call.arguments) == 7  # type: ignore[arg-type]
    assert drop.call.script is scripts.DROP_SCOPES
    assert drop.call.names == ("p!stream", "p:f")
    for script in (scripts.BEGIN, scripts.FILL, scripts.FILL_DRAFT, scripts.DROP_SCOPES):
        assert b"ZADD" not in script.source
