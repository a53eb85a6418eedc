"""The push channel can be followed and its gaps seen; waiters are woken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tiercel.spi import (
    BackendUnavailable,
    Begin,
    Clear,
    DropKey,
    DropScopes,
    Fill,
    Poll,
    Position,
    Release,
    Scope,
)
from tiercel.testing.servers import RedisServer

Caller = Any  # conftest.py, which tests cannot import


def positions(call: Caller) -> dict[str, Position]:
    """Return where every channel ends, after a first message on each."""
    call(DropScopes((Scope(f"{call.prefix}:first"),), 60.0))
    return {channel: state.last for channel, state in call(Poll({}, 0.0)).items()}


def test_poll_when_a_channel_is_not_named_then_it_tells_its_end_only(call: Caller) -> None:
    """A first poll replies at once with positions and without messages."""
    assert all(state.last is None for state in call(Poll({}, 0.0)).values())
    call(DropScopes((Scope("s"),), 60.0))
    polled = call(Poll({}, 5.0))
    assert all(not state.messages and state.last.number == 1 for state in polled.values())


def test_poll_when_things_were_dropped_then_messages_form_a_dense_chain(call: Caller) -> None:
    """Numbers have no holes, each message names the nonce before it, and all names come."""
    start, key = positions(call), call.key("a")
    call(DropScopes((Scope(key.scopes[0]), Scope("tag")), 60.0))
    call(DropKey(key))
    call.fill(key, announce=True)
    call(DropScopes((Scope(key.scopes[1], key.spread),), 60.0))
    polled = call(Poll(start, 0.0))
    (mine,) = [channel for channel in polled if len(polled[channel].messages) == 4]
    for channel, state in polled.items():
        chain = [start[channel], *(message.position for message in state.messages)]
        assert [position.number for position in chain] == list(range(1, len(chain) + 1))
        assert [m.previous for m in state.messages] == [p.nonce for p in chain[:-1]]
        assert {position.epoch for position in chain} == {state.last.epoch}
        assert state.last == chain[-1]
        assert state.messages[0].names == (key.scopes[0], "tag")
    names = [message.names for message in polled[mine].messages[1:]]
    assert names == [(key.text,), (key.text,), (key.scopes[1],)]


def test_poll_when_nothing_comes_then_it_waits_as_long_as_told(call: Caller) -> None:
    """An idle poll takes its time, then tells the same end."""
    start = positions(call)
    begin = time.monotonic()
    polled = call(Poll(start, 0.3))
    assert 0.25 < time.monotonic() - begin < 20.0
    assert {channel: state.last for channel, state in polled.items()} == start


def test_poll_when_a_message_comes_while_waiting_then_it_returns(call: Caller) -> None:
    """A waiting poll ends soon after a drop."""
    start = positions(call)
    backend, drop = call.backend, DropScopes((Scope("s"),), 60.0)
    timer = threading.Timer(0.1, lambda: backend.execute(drop))
    timer.start()
    begin = time.monotonic()
    polled = call(Poll(start, 60.0))
    timer.join()
    assert time.monotonic() - begin < 20.0
    assert any(state.messages for state in polled.values())


def test_poll_when_the_stream_is_lost_then_its_end_differs(call: Caller) -> None:
    """A lost stream has no end, and the next one another epoch: never the known position."""
    start = positions(call)
    call(Clear(call.prefix))
    begin = time.monotonic()
    assert all(state.last is None for state in call(Poll(start, 60.0)).values())
    assert time.monotonic() - begin < 20.0
    time.sleep(0.002)
    again = positions(call)
    assert all(again[channel].epoch > start[channel].epoch for channel in start)


def test_poll_when_messages_were_trimmed_then_the_gap_shows(
    server: RedisServer, open_caller: Callable[..., Caller]
) -> None:
    """After a trim the first message does not follow the known position."""
    call = open_caller(server.url)
    start = positions(call)
    for _ in range(5):
        call(DropScopes((Scope("s"),), 60.0))
    server.command("XTRIM", f"{call.prefix}!stream", "MAXLEN", 2)
    messages = call(Poll(start, 0.0))["00"].messages
    assert [m.position.number for m in messages] == [5, 6]


def test_stream_when_emptied_then_the_next_message_begins_an_epoch(
    server: RedisServer, open_caller: Callable[..., Caller]
) -> None:
    """A stream whose last entry is gone cannot be continued, so its ids start anew."""
    call = open_caller(server.url)
    start = positions(call)["00"]
    server.command("XTRIM", f"{call.prefix}!stream", "MAXLEN", 0)
    time.sleep(0.002)
    call(DropScopes((Scope("s"),), 60.0))
    last = call(Poll({}, 0.0))["00"].last
    assert last.epoch > start.epoch
    assert last.number == 1


def test_stream_when_many_drop_at_once_then_the_chain_holds(call: Caller) -> None:
    """Concurrent drops of one partition leave one chain."""
    start, key = positions(call), call.key("a")
    backend = call.backend

    def drop() -> None:
        for _ in range(25):
            backend.execute(DropKey(key))

    threads = [threading.Thread(target=drop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    polled = max(call(Poll(start, 0.0)).values(), key=lambda state: len(state.messages))
    assert len(polled.messages) == 100
    for one, two in pairwise(polled.messages):
        assert two.position.number == one.position.number + 1
        assert two.previous == one.position.nonce


@pytest.mark.parametrize("end", ["fill", "fill large", "drop", "release"])
def test_mailbox_when_the_lease_ends_then_its_waiters_are_woken_once(
    call: Caller, end: str
) -> None:
    """Every waiter gets the key's text, however the lease ends, and each text once."""
    key = call.key("a")
    mailboxes = [call.backend.open_mailbox(waiter) for waiter in ("one", "two")]
    granted = call.granted(key)
    for waiter in ("one", "two", "one"):
        call.begin(key, waiter=waiter)
    body = b"x" * (10_000 if end == "fill large" else 10)
    ending = {
        "drop": DropKey(key),
        "release": Release(key, granted.token),
    }.get(end, Fill(key, granted.token, call.payload(granted, body), 30.0))
    call(ending)
    for mailbox in mailboxes:
        assert mailbox.receive(60.0) == [key.text]
        assert mailbox.receive(0.0) == []
        mailbox.close()


def test_mailbox_when_a_forced_lease_takes_over_then_its_fill_wakes_the_old_waiters(
    call: Caller,
) -> None:
    """Those who wait for the first holder also want the value of the second."""
    key = call.key("a")
    mailbox = call.backend.open_mailbox("one")
    call.granted(key)
    call.begin(key, waiter="one")
    call.fill(key)
    assert mailbox.receive(60.0) == [key.text]
    mailbox.close()


def test_waiter_when_it_registers_then_the_lease_lives_no_longer(call: Caller) -> None:
    """Registering leaves the expiry of the lease alone."""
    key = call.key("a")
    call.granted(key, lease=30.0)
    for waiter in ("one", "two"):
        assert call.begin(key, waiter=waiter, lease=90.0).remaining <= 30.0


def test_mailbox_when_closed_then_a_waiting_receive_ends(call: Caller) -> None:
    """Closing from another thread does not leave the receiver waiting."""
    mailbox = call.backend.open_mailbox("one")
    timer = threading.Timer(0.1, mailbox.close)
    timer.start()
    begin = time.monotonic()
    with pytest.raises(BackendUnavailable):
        mailbox.receive(60.0)
    timer.join()
    assert time.monotonic() - begin < 20.0


def test_begin_when_its_reply_was_lost_then_a_repeated_one_finds_its_own_lease(
    call: Caller,
) -> None:
    """The same request sent twice is granted twice: it does not wait for itself."""
    from tiercel_redis.conductor import Steps

    backend = call.backend
    plan = backend._wire.plan(Begin(call.key("a"), 5.0, 60.0))
    carry_out: Callable[[Any], Steps] = backend._conductor.carry_out
    first = backend._lines.drive(carry_out(plan))
    assert backend._lines.drive(carry_out(plan)) == first
