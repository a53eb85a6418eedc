"""The short way of hits and misses: as few commands as possible, and the same answers."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from tiercel.spi import (
    BackendRefused,
    BackendUnavailable,
    Begin,
    DropScopes,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    Read,
    ReadThenBegin,
    Scope,
)
from tiercel.testing.servers import HOST, RedisServer
from tiercel_redis.lives import Lives
from tiercel_redis.names import Names
from tiercel_redis.shortcuts import Shortcuts

Caller = Any  # conftest.py, which tests cannot import
SIZES = (10, 2_000, 100_000)


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server of this test's own, whose counters nobody else moves."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def call(own: RedisServer, open_caller: Callable[..., Caller], asynchronous: bool) -> Caller:
    """A caller that knows the stamps of the partition that its keys are in."""
    caller: Caller = open_caller(own.url, asynchronous=asynchronous)
    caller.fill(caller.key("before"))
    miss(caller, caller.key("before, too"))
    return caller


def asking(key: Key, **options: Any) -> ReadThenBegin:
    """Ask for an entry, and for the lease along with it."""
    return ReadThenBegin(Begin(key, 5.0, 60.0, token=os.urandom(16), **options))


def miss(call: Caller, key: Key, body: bytes = b"value") -> bytes:
    """Miss a key and fill it; returns what was stored."""
    reading, granted = call(asking(key))
    assert reading.payload is None
    stored: bytes = call.payload(granted, body)
    assert call(Fill(key, granted.token, stored, 30.0)) is True
    return stored


def commands(server: RedisServer) -> dict[str, int]:
    """Return how often each command was called, by clients and scripts."""
    lines = str(server.command("INFO", "commandstats")).splitlines()
    pairs = (line.removeprefix("cmdstat_").split(":calls=") for line in lines if "calls=" in line)
    return {name: int(rest.partition(",")[0]) for name, rest in pairs}


@pytest.mark.parametrize(
    ("size", "more"), [(10, {"set": 2}), (10_000, {"set": 2, "rename": 1, "pexpire": 1})]
)
def test_miss_when_nobody_else_is_at_it_then_two_scripts_do_it(
    own: RedisServer, call: Caller, size: int, more: dict[str, int]
) -> None:
    """A miss and its fill run one script each; a large payload does not go through it."""
    miss(call, call.key("first"), b"x" * size)
    before = commands(own)
    miss(call, call.key("a"), b"x" * size)
    after = commands(own)
    counts = {name: count - before.get(name, 0) for name, count in after.items()}
    del counts["info"]
    usual = {"evalsha": 2, "mget": 1, "getrange": 1, "get": 1, "del": 1}
    assert {name: count for name, count in counts.items() if count} == usual | more


@pytest.mark.parametrize("size", [10, 10_000])
def test_fill_when_its_lease_is_gone_then_nothing_of_it_remains(
    own: RedisServer, call: Caller, size: int
) -> None:
    """Neither the entry nor, of a large payload, what was sent ahead."""
    key = call.key("a")
    _, granted = call(asking(key))
    own.command("DEL", f"{key.text}!lease")
    assert call(Fill(key, granted.token, call.payload(granted, b"x" * size), 30.0)) is False
    assert own.command("KEYS", f"{key.text}*") == ""


def test_commands_when_they_ask_for_more_then_the_short_way_is_not_theirs() -> None:
    """What may be asked for is known, so that nothing new is left out by mistake."""
    key = Key("k", ("s",), "k")
    lives = Lives()
    lives.note(key.scopes, 1e6, time.monotonic())
    ways = Shortcuts(Names("tiercel", spread=False), lives).of
    begin, fill = Begin(key, 5.0, 60.0, token=b"t" * 16), Fill(key, b"t" * 16, b"p", 30.0)
    more_of_begin: dict[str, Any] = {
        "floor": 1.0,
        "force": True,
        "waiter": "w",
        "token": None,
        "claim": 1.0,
    }
    more_of_fill: dict[str, Any] = {
        "tags": ("t",),
        "announce": True,
    }
    both_ways_of_begin = {"key", "lease", "stamp_life", "index"}
    both_ways_of_fill = {"key", "token", "payload", "life", "index", "note"}
    assert both_ways_of_begin | more_of_begin.keys() == set(Begin.__struct_fields__)
    assert both_ways_of_fill | more_of_fill.keys() == set(Fill.__struct_fields__)
    assert set(Read.__struct_fields__) == {"key", "tags", "life"}
    for command, more in ((begin, more_of_begin), (fill, more_of_fill)):
        pack, _ = ways[type(command)]
        assert pack(command) is not None
        for name, value in more.items():
            assert pack(replace(command, **{name: value})) is None
    stranger = Key("k", ("s", "unknown"), "k")
    assert ways[Begin][0](replace(begin, key=stranger)) is None
    assert ways[Fill][0](replace(fill, key=stranger)) is None


def test_hit_when_its_life_is_not_asked_for_then_one_command_does_it(
    own: RedisServer, call: Caller
) -> None:
    """Entry and stamps come with one MGET."""
    key = call.key("a")
    stored = miss(call, key)
    before = commands(own)
    reading = call(Read(key, life=False))
    assert reading.payload == stored
    assert reading.remaining > 0
    after = commands(own)
    assert {name for name in after if after[name] != before.get(name)} <= {"mget", "info"}


@pytest.mark.parametrize("size", SIZES)
def test_read_then_begin_when_the_entry_is_current_then_it_comes_whole(
    call: Caller, size: int
) -> None:
    """Small entries come with the script's reply, large ones without going through it."""
    key = call.key("a")
    stored = miss(call, key, b"x" * size)
    reading, begun = call(asking(key))
    assert reading.payload == stored
    assert isinstance(begun, Found)
    assert 29 < reading.remaining <= 30
    assert list(reading.stamps) == list(call(Read(key)).stamps)


def test_read_then_begin_when_the_entry_is_outdated_then_it_counts_as_there(call: Caller) -> None:
    """What was dropped can be told from what never was, though it does not come."""
    key = call.key("a")
    miss(call, key)
    call(DropScopes((Scope(key.scopes[1], key.spread),), 600.0))
    call.granted(call.key("b"))
    reading, begun = call(asking(key))
    assert reading.payload is not None
    assert isinstance(begun, Granted)
    assert not reading.payload.startswith(b"".join(begun.stamps), 48)


def test_read_then_begin_when_another_computes_then_it_tells_who(call: Caller) -> None:
    """Nothing is granted twice, and the holder's fill is taken."""
    key = call.key("a")
    _, first = call(asking(key))
    reading, second = call(asking(key))
    assert reading.payload is None
    assert isinstance(second, Held)
    assert second.token == first.token
    assert 4 < second.remaining <= 5
    assert call(Fill(key, first.token, call.payload(first), 30.0)) is True


def test_begin_when_its_own_lease_is_there_then_it_is_granted_again(call: Caller) -> None:
    """A request whose reply was lost does not wait for itself."""
    command = asking(call.key("a"))
    assert [type(call(command)[1]) for _ in range(2)] == [Granted, Granted]


def test_begin_when_a_lease_is_of_another_generation_then_it_is_overwritten(call: Caller) -> None:
    """Whoever computed what was dropped is not waited for."""
    key = call.key("a")
    _, late = call(asking(key))
    call(DropScopes((Scope(key.scopes[0]),), 600.0))
    call.granted(call.key("b"))
    _, begun = call(asking(key))
    assert isinstance(begun, Granted)
    assert call(Fill(key, late.token, call.payload(late), 30.0)) is False


def test_begin_when_a_stamp_was_lost_then_another_is_minted(own: RedisServer, call: Caller) -> None:
    """The short way mints nothing, so it leaves that to the long one."""
    key = call.key("a")
    miss(call, key)
    own.command("DEL", key.scopes[1])
    reading, begun = call(asking(key))
    assert isinstance(begun, Granted)
    assert call(Read(key)).stamps == begun.stamps
    assert reading.stamps != begun.stamps


@pytest.mark.parametrize("size", [10, 10_000])
def test_fill_when_somebody_waits_then_it_is_woken(call: Caller, size: int) -> None:
    """A lease with waiters is not the one that the short way expects."""
    key = call.key("a")
    mailbox = call.backend.open_mailbox("w")
    _, granted = call(asking(key))
    assert isinstance(call.begin(key, waiter="w"), Held)
    assert call(Fill(key, granted.token, call.payload(granted, b"x" * size), 30.0)) is True
    assert list(mailbox.receive(5.0)) == [key.text]
    mailbox.close()


@pytest.mark.parametrize("size", [10, 10_000])
def test_fill_when_the_server_is_full_then_it_is_refused_and_the_lease_free(
    own: RedisServer, call: Caller, size: int
) -> None:
    """The next caller does not wait for a fill that failed."""
    key = call.key("a")
    _, granted = call(asking(key))
    own.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BackendRefused, match="out of memory"):
        call(Fill(key, granted.token, call.payload(granted, b"x" * size), 30.0))
    own.command("CONFIG", "SET", "maxmemory", "0")
    assert isinstance(call(asking(key))[1], Granted)


def test_scripts_when_the_server_forgot_them_then_it_is_taught_them_once(
    own: RedisServer, call: Caller
) -> None:
    """The first miss afterwards takes longer, the next is as short as ever."""
    own.command("SCRIPT", "FLUSH")
    for name in ("a", "b"):
        miss(call, call.key(name))
    before = commands(own)
    miss(call, call.key("c"))
    after = commands(own)
    assert after["evalsha"] - before["evalsha"] == 2
    assert loads(after) == loads(before) > 0


def loads(counts: dict[str, int]) -> int:
    """Return how many scripts were taught; Redis 6 counts no command by its second word."""
    return counts.get("script|load", 0) or counts["script"]


def test_server_when_it_answers_nonsense_then_it_is_unavailable(
    open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """What is no reply at all ends the connection, not the caller's patience."""
    with socket.create_server((HOST, 0)) as listening:
        answering = threading.Thread(target=answer_nonsense, args=(listening, 2), daemon=True)
        answering.start()
        url = f"redis://{HOST}:{listening.getsockname()[1]}"
        call = open_caller(url, asynchronous=asynchronous)
        started = time.monotonic()
        for _ in range(2):
            with pytest.raises(BackendUnavailable):
                call(Read(call.key("a")))
        assert time.monotonic() - started < 15.0
        answering.join(60.0)


def answer_nonsense(listening: socket.socket, times: int) -> None:
    """Answer one request on each connection with what is not the Redis protocol."""
    listening.settimeout(60.0)
    for _ in range(times):
        served, _ = listening.accept()
        with served:
            served.recv(1000)
            served.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            served.recv(1000)
