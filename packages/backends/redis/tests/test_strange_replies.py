"""Replies that no Redis gives: they count as a failure, and nothing is made of them."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel import Cache
from tiercel.spi import (
    BackendError,
    BackendLocation,
    BackendUnavailable,
    Begin,
    Clear,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Index,
    Key,
    ListEntries,
    MintTags,
    Poll,
    Probe,
    Read,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
    Replay,
    Scope,
    Settle,
)
from tiercel.testing.servers import HOST, RedisServer
from tiercel_redis.backend import RedisBackend

Caller = Any  # conftest.py, which tests cannot import
Stranger = Any  # likewise

KEY = Key("k", ("s", "s:p"), "p")
TOKEN, STAMP = b"t" * 16, b"s" * 16
STRANGE = "does not answer as Redis does"


BEGIN = Begin(KEY, 5.0, 60.0, token=TOKEN)
INDEX = Index("s", "s!fence", 10, 60.0, 60.0)
FORCED = Begin(KEY, 5.0, 60.0, force=True)
CLAIMED = Begin(KEY, 5.0, 60.0, claim=60.0)
NEVER_FOUND = Begin(KEY, 5.0, 60.0, floor=float("inf"))
DROP = DropScopes((Scope("s"),), 60.0)
FILL = Fill(KEY, TOKEN, b"h" * 48 + STAMP * 2, 30.0)
COMMANDS: list[Command[Any]] = [
    *(Read(KEY), Read(KEY, (), False), Read(KEY, ("tag",)), Read(KEY, ("tag",), False)),
    *(ReadMany([KEY]), BEGIN, FORCED, CLAIMED, ReadThenBegin(BEGIN), ReadThenBegin(CLAIMED)),
    *(Begin(KEY, 5.0, 60.0, token=TOKEN, index=INDEX), FILL, Fill(KEY, TOKEN, b"p" * 9_000, 30.0)),
    *(Renew(KEY, TOKEN, 5.0), Settle(KEY, TOKEN, 5.0), Release(KEY, TOKEN), DropKey(KEY), DROP),
    *(MintTags(("tag",), "", 60.0), Poll({}, 0.0), ListEntries("s"), Probe([KEY]), Clear("k")),
    Replay(("00",), ("k",)),
]

LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([b"granted", b"held", b"found", b"spent", b"unsafe", b"r", b"0", b"1-1"]),
    st.sampled_from([STAMP, STAMP * 2, b"h" * 48 + STAMP * 2 + b"value"]),
    st.binary(max_size=20),
    st.sampled_from([ValueError("MOVED nowhere"), ValueError("ASK")]),
)
REPLIES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.binary(max_size=2), inner),
)


def is_sound(command: Command[Any], reply: Any) -> bool:
    """Tell whether a reply to a command is one that the engine can go on from."""
    found: list[Any] = []
    if isinstance(command, (Read, ReadMany)):
        found = [
            part for each in (reply if isinstance(reply, list) else [reply]) for part in parts(each)
        ]
    elif isinstance(command, ReadThenBegin):
        found = [*parts(reply[0]), *held(reply[1])]
    elif isinstance(command, Begin):
        found = held(reply)
    return all(part is None or type(part) is bytes for part in found)


def held(begun: Any) -> list[Any]:
    """Return everything in the outcome of a `Begin` that must be bytes, and there."""
    found = [getattr(begun, "token", b""), *getattr(begun, "stamps", ())]
    assert None not in found
    return found


def parts(reading: Any) -> list[Any]:
    """Return everything in a reading that must be bytes or nothing."""
    assert len(reading.stamps) == len(KEY.scopes)
    assert reading.remaining >= 0
    return [reading.payload, *reading.stamps, *reading.tags]


def test_command_when_replies_are_anything_then_it_fails_as_a_backend_or_makes_sense(
    strange: Stranger, open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """Whoever asks gets no other error, and nothing of another type than was promised."""
    call = open_caller(f"redis://{strange.address}", asynchronous=asynchronous)

    @settings(deadline=None, max_examples=60)
    @given(command=st.sampled_from(COMMANDS), replies=st.lists(REPLIES, min_size=1, max_size=4))
    def check(command: Command[Any], replies: list[Any]) -> None:
        strange.answer(*replies)
        with suppress(BackendError):
            assert is_sound(command, call(command))

    check()


GOOD = b"h" * 48 + STAMP * 2 + b"secret"


@pytest.mark.parametrize(
    ("command", "replies"),
    [
        (Read(KEY), [5000, [GOOD, STAMP, 1]]),
        (Read(KEY), [5000, [GOOD, STAMP, [STAMP]]]),
        (Read(KEY), [5000, [GOOD, STAMP, ValueError("ERR no")]]),
        (Read(KEY), [5000, [GOOD, STAMP]]),
        (Read(KEY), [5000, {GOOD: STAMP}]),
        (Read(KEY), [float("nan"), [GOOD, STAMP, STAMP]]),
        (Read(KEY), [b"5000", [GOOD, STAMP, STAMP]]),
        (Read(KEY, (), False), [[GOOD, STAMP, 1]]),
        (Read(KEY, (), False), [[GOOD, None, 1.5]]),
        (Read(KEY, (), False), [[7, STAMP, STAMP]]),
        (Read(KEY, (), False), [[]]),
        (Read(KEY, ("tag",), False), [[GOOD, STAMP, STAMP]]),
        (ReadMany([KEY]), [5000, [GOOD, STAMP, 1]]),
        (ReadMany([KEY]), [5000, [GOOD]]),
        (BEGIN, [[b"granted", TOKEN, 0, STAMP]]),
        (BEGIN, [[b"granted", TOKEN, 0, STAMP, STAMP[:8]]]),
        (BEGIN, [[b"granted", 1, 0, STAMP, STAMP]]),
        (BEGIN, [[b"held", TOKEN, b"soon", STAMP, STAMP]]),
        (BEGIN, [[b"spent", b"r", b""]]),
        (BEGIN, [[b"unsafe", b"allkeys-lru"]]),
        (BEGIN, [[b"lost"]]),
        (BEGIN, [STAMP]),
        (FORCED, [[b"found"]]),
        (FORCED, [[b"held", TOKEN, 5000, STAMP, STAMP]]),
        (NEVER_FOUND, [[b"found"]]),
        (CLAIMED, [[b"spent", b"x", b""]]),
        (CLAIMED, [[b"spent"]]),
        (ReadThenBegin(BEGIN), [5000, [GOOD, STAMP, STAMP], [b"lost", GOOD, 5000, STAMP, STAMP]]),
        (FILL, [[1]]),
        (Renew(KEY, TOKEN, 5.0), [b"1"]),
        (DropKey(KEY), [b"1"]),
        (DROP, [None]),
        (Replay(("00",), ("k",)), [[]]),
        (MintTags(("tag",), "", 60.0), [[None]]),
        (MintTags(("tag",), "", 60.0), [[STAMP, STAMP]]),
        (Poll({}, 0.0), [1]),
        (Poll({}, 0.0), [[None, None]]),
        (Poll({}, 0.0), [[[], [[b"1-1", None]]]]),
        (Poll({}, 0.0), [[[], [[b"now", [b"nonce", b"", b"previous", b"", b"names", b""]]]]]),
        (ListEntries("s"), [[b"0", [b"k"], 1]]),
        (ListEntries("s"), [[b"0", [b"k", 1], 1]]),
        (ListEntries("s"), [[b"-", [], 1]]),
        (Probe([KEY]), [STAMP * 2, [STAMP, 1]]),
        (Probe([KEY]), [5, [STAMP, STAMP]]),
        (Clear("k"), [[b"0"]]),
        (Clear("k"), [[0, []]]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Command) else repr(value)[:60],
)
def test_command_when_its_reply_is_none_then_the_backend_is_unavailable(
    strange: Stranger,
    open_caller: Callable[..., Caller],
    asynchronous: bool,
    command: Command[Any],
    replies: list[Any],
) -> None:
    """Nobody knows what was done: so a drop stays owed, and a lease is given back."""
    strange.answer(*replies)
    call = open_caller(f"redis://{strange.address}", asynchronous=asynchronous)
    with pytest.raises(BackendUnavailable, match=STRANGE) as it:
        call(command)
    assert "secret" not in str(it.value)


@pytest.mark.parametrize(
    "reply",
    [
        STAMP,
        [b"held", 1, 5000, STAMP, STAMP],
        [b"held", TOKEN, 5000, STAMP],
        [b"held", TOKEN, b"soon", STAMP, STAMP],
        [b"granted", True, 0, STAMP, None],
        [b"lost", GOOD, 5000, STAMP, STAMP],
        [b"lost"],
        [],
        7,
    ],
    ids=repr,
)
@pytest.mark.parametrize("command", [BEGIN, ReadThenBegin(BEGIN)], ids=["begin", "read"])
def test_lease_when_the_stamps_are_known_to_live_then_its_reply_is_looked_at_all_the_same(
    strange: Stranger,
    open_caller: Callable[..., Caller],
    asynchronous: bool,
    command: Command[Any],
    reply: Any,
) -> None:
    """Then other scripts are run, which take shorter ways."""
    call = open_caller(f"redis://{strange.address}", asynchronous=asynchronous)
    strange.answer([b"granted", TOKEN, 0, STAMP, STAMP])
    call(BEGIN)
    strange.answer(reply)
    with pytest.raises(BackendUnavailable, match=STRANGE):
        call(command)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        1,
        1.5,
        True,
        b"",
        b"OK",
        {},
        [],
        [1, 1, 1],
        [None, None, [None]],
        [b"x", 1, {}],
        [b"found", b"x", 5000, 1],
        [b"held", 1, b"", STAMP],
        [b"granted", True, 0, None],
        [b"spent", b"r", b""],
        [[], [1]],
        ValueError("MOVED nowhere"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("tiers", ["both", "shared"])
def test_function_when_replies_are_strange_then_its_value_is_computed(
    strange: Stranger, asynchronous: bool, reply: Any, tiers: Any
) -> None:
    """Callers notice nothing, whatever they ask for; not even those who drop."""
    strange.answer(reply)
    made = RedisBackend(BackendLocation(f"redis://{strange.address}/0"))
    with closing(Cache(backend=made, max_lag=60.0)) as cache:

        def double(number: int) -> int:
            return number * 2

        async def adouble(number: int) -> int:
            return number * 2

        target: Any = adouble if asynchronous else double
        cached: Any = cache.cached(ttl=60, tiers=tiers)(target)

        async def ask() -> list[Any]:
            if asynchronous:
                return [await cached(1), await cached.arefresh(2), *await cached.amany([(3,)])]
            return [cached(1), cached.refresh(2), *cached.many([(3,)])]

        assert asyncio.run(ask()) == [2, 4, 6]
        asyncio.run(cached.adelete_cache(1))
        asyncio.run(cached.ainvalidate_all())
        assert asyncio.run(ask()) == [2, 4, 6]


@contextmanager
def interrupting(port: int, unasked: threading.Event) -> Iterator[int]:
    """Stand in front of a server; send one reply that nobody asked for, once told so."""

    def forward(source: socket.socket, target: socket.socket, intrude: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if intrude and unasked.is_set():
                    unasked.clear()
                    data = b":7\r\n" + data
                target.sendall(data)

    def connect_each() -> None:
        with suppress(OSError), ExitStack() as opened:
            while True:
                near = opened.enter_context(listener.accept()[0])
                far = opened.enter_context(socket.create_connection((HOST, port)))
                for way in ((near, far, False), (far, near, True)):
                    threading.Thread(target=forward, args=way, daemon=True).start()

    with socket.create_server((HOST, 0)) as listener:
        between = threading.Thread(target=connect_each, daemon=True)
        between.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        between.join()


def test_connection_when_its_replies_are_out_of_step_then_it_is_not_used_again(
    server: RedisServer, open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """Else each caller would get, for ever, what the one before has asked for."""
    unasked = threading.Event()
    with interrupting(server.port, unasked) as port:
        call = open_caller(f"redis://{HOST}:{port}", asynchronous=asynchronous)
        key = call.key("a")
        stored = call.fill(key)
        unasked.set()
        with suppress(BackendUnavailable):
            assert call(Read(key)).payload == stored
        assert call(Read(key)).payload == stored


@pytest.mark.parametrize("reply", [1, [], [b"subscribe"], [b"message", b"w", 1]], ids=repr)
def test_mailbox_when_nothing_is_subscribed_then_it_does_not_open(
    strange: Stranger, open_caller: Callable[..., Caller], reply: Any
) -> None:
    """Waiters then go by their timers."""
    strange.answer(reply)
    backend = open_caller(f"redis://{strange.address}", timeout=1.0).backend
    if reply == [b"subscribe"]:
        backend.open_mailbox("w").close()
        return
    with pytest.raises(BackendUnavailable, match=STRANGE):
        backend.open_mailbox("w")


@pytest.mark.parametrize(
    "slots",
    [
        1,
        b"",
        [1],
        [[0, 16383]],
        [[0, 16383, 1]],
        [[0, 16383, [b"\xff", 6379]]],
        [[0, 16383, [1, 6379]]],
        [[0, 16383, [b"127.0.0.1", b"6379"]]],
        [[0, 16383, [b"127.0.0.1", 70_000]]],
        [[b"0", b"16383", [b"127.0.0.1", 6379]]],
    ],
    ids=repr,
)
def test_cluster_when_a_node_sends_no_map_then_the_next_is_asked(
    strange: Stranger,
    server: RedisServer,
    open_caller: Callable[..., Caller],
    asynchronous: bool,
    slots: Any,
) -> None:
    """And if none has one, it is unavailable."""
    strange.answer(slots)
    call = open_caller(f"redis+cluster://{strange.address}", asynchronous=asynchronous)
    with pytest.raises(BackendUnavailable, match=STRANGE):
        call(Read(KEY))
    url = f"redis+cluster://{strange.address},{HOST}:{server.port}"
    call = open_caller(url, asynchronous=asynchronous)
    with pytest.raises(BackendError, match="cluster support disabled"):
        call(Read(KEY))


def test_error_when_it_says_where_to_go_in_no_words_then_the_loop_has_nothing_to_log(
    strange: Stranger, open_caller: Callable[..., Caller], caplog: pytest.LogCaptureFixture
) -> None:
    """It is raised where replies are read, and many wait for those."""
    strange.answer(ValueError("MOVED nowhere"))
    call = open_caller(f"redis://{strange.address}", asynchronous=True)
    with pytest.raises(BackendError, match="part of a Cluster"):
        call(Read(KEY))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
