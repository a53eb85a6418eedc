"""Redis comes back in an earlier state: that is noticed, and what was dropped is dropped again."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from tiercel.spi import BackendLocation, Begin, DropScopes, Fill, Granted, Poll, Read, Replay, Scope
from tiercel.testing.servers import RedisServer
from tiercel_redis.backend import RedisBackend
from tiercel_redis.lineage import Lineages

Caller = Any  # conftest.py, which tests cannot import

FIRST, SECOND, THIRD = ("1" * 40, "2" * 40, "3" * 40)
NODE, OTHER = ("a", 1), ("b", 1)


def said(now: str, before: str = "0" * 40) -> bytes:
    """Return what a server says of its replication."""
    return f"# Replication\r\nmaster_replid:{now}\r\nmaster_replid2:{before}\r\n".encode()


class Noticing:
    """Lineages, and how often they have told of a reversal."""

    def __init__(self) -> None:
        self.times = 0
        self.lineages = Lineages(self._notice)

    def _notice(self) -> None:
        self.times += 1

    def hears(self, node: tuple[str, int] | None, now: str, before: str = "0" * 40) -> int:
        """Hear what a server says; return how often a reversal was noticed so far."""
        self.lineages.note(node, said(now, before))
        return self.times


def test_lineage_when_the_only_server_has_another_then_that_is_told_once() -> None:
    """Its first one is news of nothing; each other one is news once."""
    it = Noticing()
    assert [it.hears(None, FIRST) for _ in range(3)] == [0, 0, 0]
    assert [it.hears(None, SECOND, FIRST) for _ in range(3)] == [1, 1, 1]
    assert it.hears(None, THIRD) == 2


def test_lineage_when_a_node_is_new_then_its_past_decides() -> None:
    """A replica shares the past of its primary until it is promoted; other primaries do not."""
    it = Noticing()
    assert [it.hears(NODE, FIRST), it.hears(OTHER, SECOND), it.hears(("c", 1), FIRST)] == [0, 0, 0]
    assert it.hears(("c", 1), THIRD, FIRST) == 1
    assert it.hears(NODE, THIRD) == 1
    assert it.hears(("d", 1), "4" * 40, SECOND) == 2


def test_lineage_when_a_server_does_not_tell_then_nothing_is_known() -> None:
    """What hides the server may answer something else."""
    it = Noticing()
    it.lineages.note(None, b"# Replication\r\nrole:master\r\n")
    it.lineages.note(None, said(FIRST).decode())
    assert it.hears(None, SECOND) == 1


def do(backend: RedisBackend, asynchronous: bool, *commands: Any) -> None:
    """Execute commands, on one event loop if asynchronously."""
    if not asynchronous:
        for command in commands:
            backend.execute(command)
        return

    async def main() -> None:
        for command in commands:
            await backend.aexecute(command)
        await backend.aclose()

    asyncio.run(main())


def test_server_when_it_was_restarted_then_that_is_told_before_anything_is_asked(
    asynchronous: bool,
) -> None:
    """The connection tells it, whatever it is opened for."""
    told: list[int] = []
    with RedisServer() as server:
        backend = RedisBackend(BackendLocation(server.url, timeout=10.0))
        backend.reverted = lambda: told.append(int(server.command("DBSIZE")))
        do(backend, asynchronous, *[DropScopes((Scope("s"),), 60.0)] * 3)
        assert told == []
        server.restart()
        do(backend, asynchronous, *[DropScopes((Scope("s"),), 60.0)] * 3)
        assert told == [0]
        backend.close()


def test_server_when_it_does_not_tell_its_past_then_it_is_used_all_the_same(
    asynchronous: bool,
) -> None:
    """`INFO` may be forbidden."""
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-info")
        url = server.url.replace("redis://", "redis://app:x@")
        backend = RedisBackend(BackendLocation(url, timeout=10.0))
        do(backend, asynchronous, DropScopes((Scope("s"),), 60.0))
        assert server.command("EXISTS", "s") == "1"
        backend.close()


def test_replay_when_names_are_of_keys_and_scopes_then_both_are_dropped(call: Caller) -> None:
    """Entries, stamps, leases and claims go, and one message tells of all of them."""
    call(DropScopes((Scope(f"{call.prefix}:first"),), 60.0))
    start = {channel: state.last for channel, state in call(Poll({}, 0.0)).items()}
    dropped, kept, covered = call.key("a", "p"), call.key("b", "p"), call.key("c", "p")
    for key in (dropped, kept):
        call.fill(key, announce=True)
    granted = call.granted(covered)
    polled = call(Poll(start, 0.0))
    (channel,) = [name for name, state in polled.items() if len(state.messages) == 2]
    call(Replay((channel,), (dropped.text,)))
    assert call(Read(dropped)).payload is None
    assert call(Read(kept)).payload is not None
    names = (covered.text, kept.scopes[1], "unknown")
    call(Replay((channel,), names))
    reading = call(Read(kept))
    assert [stamp is None for stamp in reading.stamps] == [False, True]
    assert not call(Fill(covered, granted.token, call.payload(granted), 30.0))
    assert isinstance(call.begin(covered), Granted)
    messages = call(Poll(start, 0.0))[channel].messages
    assert [message.names for message in messages[2:]] == [(dropped.text,), names]
    assert all(one.position.nonce == two.previous for one, two in pairwise(messages))


def test_replay_when_a_stamp_is_missing_then_the_next_lease_has_a_new_one(call: Caller) -> None:
    """So nothing computed before it is ever read."""
    call(DropScopes((Scope(f"{call.prefix}:first"),), 60.0))
    start = {channel: state.last for channel, state in call(Poll({}, 0.0)).items()}
    key = call.key("a")
    old = call.granted(key)
    stored = call.payload(old)
    assert call(Fill(key, old.token, stored, 30.0, announce=True))
    (channel,) = [c for c, state in call(Poll(start, 0.0)).items() if state.messages]
    call(Replay((channel,), (key.scopes[0],)))
    new = call(Begin(key, 5.0, 60.0))
    assert isinstance(new, Granted)
    assert new.stamps[0] != old.stamps[0]
    assert new.stamps[1] == old.stamps[1]
    assert call(Read(key)).payload == stored
