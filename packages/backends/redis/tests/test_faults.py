"""When a server dies, stalls, forgets or refuses: bounded time and the right error."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tiercel.spi import (
    BackendRefused,
    BackendUnavailable,
    Begin,
    DropKey,
    DropScopes,
    Fill,
    Granted,
    Poll,
    Read,
    Scope,
)
from tiercel.testing.servers import RedisCluster, RedisServer, free_port, wait_until

Caller = Any  # conftest.py, which tests cannot import
TIMEOUT = 0.2
SLACK = 0.25
"""Seconds that a machine may add to the quickest of some calls."""


@pytest.fixture
def victim() -> Iterator[RedisServer]:
    """A server of this test's own, to be killed."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def call(victim: RedisServer, open_caller: Callable[..., Caller], asynchronous: bool) -> Caller:
    return open_caller(victim.url, asynchronous=asynchronous)


@pytest.fixture
def bounded(victim: RedisServer, open_caller: Callable[..., Caller], asynchronous: bool) -> Caller:
    """A caller that waits no longer than `TIMEOUT`, of whom a busy machine may ask too much."""
    return open_caller(victim.url, asynchronous=asynchronous, timeout=TIMEOUT)


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action that must fail as unavailable takes."""
    start = time.monotonic()
    with pytest.raises(BackendUnavailable):
        action()
    return time.monotonic() - start


def at_best(action: Callable[[], object]) -> float:
    """Return how long it takes where the machine does not hold it up."""
    return min(seconds(action) for _ in range(4))


def at_last(action: Callable[[], Any]) -> Any:
    """Return what an action returns once it is in time."""
    found: list[Any] = []

    def is_in_time() -> bool:
        with suppress(BackendUnavailable):
            found.append(action())
        return bool(found)

    wait_until(is_in_time, "an answer in time")
    return found[0]


def test_server_when_killed_then_commands_fail_fast_and_heal(
    victim: RedisServer, call: Caller
) -> None:
    """A refused connection costs next to nothing; an empty successor serves the first call."""
    key = call.key("a")
    call.fill(key)
    victim.kill()
    took = sorted(seconds(lambda: call(Read(key))) for _ in range(20))
    assert took[10] < 0.05
    assert at_best(lambda: call.begin(key)) < TIMEOUT
    assert at_best(lambda: call(DropScopes((Scope("s"),), 60.0))) < 2 * TIMEOUT
    victim.start()
    assert call(Read(key)).payload is None
    call.fill(key)


def test_server_when_restarted_between_calls_then_no_command_notices(
    victim: RedisServer, call: Caller
) -> None:
    """Connections that went stale are replaced for reads and writes alike, scripts reloaded."""
    key = call.key("a")
    acts: tuple[Callable[[], object], ...] = (
        lambda: call(Read(key)),
        lambda: call.fill(key),
        lambda: call(DropKey(key)),
        lambda: call(Poll({}, 0.0)),
    )
    for act in acts:
        act()
        victim.restart()
        act()


def test_server_when_stopped_then_each_call_costs_the_timeout_at_most(
    victim: RedisServer, call: Caller, bounded: Caller
) -> None:
    """A black hole is bounded; late replies of the old connection reach nobody."""
    one, two = call.key("one"), call.key("two")
    stored = call.fill(one, b"one")
    assert at_last(lambda: bounded(Read(one))).payload == stored
    victim.pause()
    assert TIMEOUT * 0.9 < at_best(lambda: bounded(Read(one))) < TIMEOUT + SLACK
    assert at_best(lambda: bounded(DropKey(two))) < TIMEOUT + SLACK
    victim.resume()
    assert at_last(lambda: bounded(Read(two))).payload is None
    assert at_last(lambda: bounded(Read(one))).payload == stored


def test_poll_when_the_server_is_stopped_then_it_ends_soon_after_its_wait(
    victim: RedisServer, call: Caller, bounded: Caller
) -> None:
    """A blocking poll is bounded by its wait and the timeout."""
    call(DropScopes((Scope("s"),), 60.0))
    last = {"00": at_last(lambda: bounded(Poll({}, 0.0)))["00"].last}
    at_last(lambda: bounded(Poll(last, 0.01)))
    victim.pause()
    assert at_best(lambda: bounded(Poll(last, 0.2))) < 0.2 + TIMEOUT + SLACK
    victim.resume()
    assert at_last(lambda: bounded(Poll(last, 0.0)))["00"].last == last["00"]


def test_scripts_when_flushed_then_commands_load_them_again(
    victim: RedisServer, call: Caller
) -> None:
    """A server that forgot the scripts gets them by source."""
    key = call.key("a")
    for _ in range(2):
        victim.command("SCRIPT", "FLUSH")
        call.fill(key, b"x" * 10_000)
        victim.command("SCRIPT", "FLUSH")
        assert call(Read(key)).payload is not None
        assert call(DropKey(key)) is True


@pytest.mark.parametrize("body", [b"", b"x" * 10_000])
def test_server_when_out_of_memory_then_fills_are_refused_and_drops_work(
    victim: RedisServer, call: Caller, body: bytes
) -> None:
    """Under noeviction nothing new is stored, but reads and every kind of drop still work."""
    key, free = call.key("a"), call.key("b")
    call.fill(key)
    start = call(Poll({}, 0.0))["00"].last
    granted = call.granted(free)
    victim.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BackendRefused, match="out of memory"):
        call(Fill(free, granted.token, call.payload(granted, body), 30.0))
    with pytest.raises(BackendRefused):
        call.begin(call.key("c", "elsewhere"))
    before = call(Read(key))
    assert before.payload is not None
    call(DropScopes((Scope(key.scopes[0]),), 60.0))
    assert call(Read(key)).stamps[0] not in (None, before.stamps[0])
    assert call(DropKey(key)) is True
    victim.command("CONFIG", "SET", "maxmemory", "0")
    assert [m.names for m in call(Poll({"00": start} if start else {}, 0.0))["00"].messages] in (
        [],
        [(key.scopes[0],), (key.text,)],
    )
    assert isinstance(call.begin(free), Granted)


def test_server_when_it_becomes_a_replica_then_writes_are_unavailable_until_it_is_back(
    victim: RedisServer, call: Caller
) -> None:
    """READONLY is not a refusal of one command: the server as a whole does not serve."""
    key = call.key("a")
    call.fill(key)
    victim.command("REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(BackendUnavailable):
        call.begin(key, force=True)
    with pytest.raises(BackendUnavailable):
        call(DropKey(key))
    victim.command("REPLICAOF", "NO", "ONE")
    call.fill(key)


def test_key_when_another_program_owns_its_name_then_the_command_is_refused(
    victim: RedisServer, call: Caller
) -> None:
    """A value of another type is a miss for reads and a refusal for writes, never a crash."""
    key = call.key("a")
    victim.command("LPUSH", f"{key.text}!lease", "x")
    assert call(Read(key)).payload is None
    victim.command("LPUSH", f"{key.text}!v", "x")
    assert call(Read(key)).payload is None
    with pytest.raises(BackendRefused):
        call(Fill(key, b"t" * 16, b"h" * 100, 30.0))


def test_fork_when_the_parent_has_connections_then_the_child_opens_its_own(
    victim: RedisServer, open_caller: Callable[..., Caller]
) -> None:
    """Parent and child read at once, and each gets its own answers."""
    call = open_caller(victim.url)
    keys = [call.key(f"k{n}") for n in range(2)]
    stored = [call.fill(key, b"%d" % n) for n, key in enumerate(keys)]
    child = os.fork()
    mine = 0 if child else 1
    right = all(call(Read(keys[mine])).payload == stored[mine] for _ in range(300))
    if not child:
        os._exit(0 if right else 1)
    _, status = os.waitpid(child, 0)
    assert right
    assert status == 0
    assert int(victim.command("CLIENT", "LIST").count("cmd=mget")) == 1


def test_cluster_when_a_primary_dies_then_drops_of_functions_fail_until_a_replica_takes_over(
    open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """A function is dropped on all 16 tags or not acknowledged; the failover heals it."""
    with RedisCluster(node_timeout=1.0) as cluster:
        call = open_caller(cluster.url, asynchronous=asynchronous)
        bounded = open_caller(cluster.url, asynchronous=asynchronous, timeout=TIMEOUT)
        keys = [call.key(f"k{n}", partition=f"p{n}") for n in range(30)]
        for key in keys:
            call.fill(key)
        drop = DropScopes((Scope(keys[0].scopes[0]),), 60.0)
        cluster.primaries()[0].kill()
        assert seconds(lambda: bounded(drop)) < 60 * TIMEOUT

        def dropped() -> bool:
            try:
                bounded(drop)
            except BackendUnavailable:
                return False
            return True

        wait_until(dropped, "the failover")
        assert all(isinstance(call(Begin(key, 5.0, 60.0)), Granted) for key in keys)


def test_cluster_when_slots_move_then_no_command_notices(
    cluster: RedisCluster, open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """Redirections are followed and remembered."""
    call = open_caller(cluster.url, asynchronous=asynchronous)
    keys = [call.key(f"k{n}", partition=f"p{n}") for n in range(30)]
    stored = [call.fill(key, b"%d" % n) for n, key in enumerate(keys)]
    primaries = cluster.primaries()
    source = next(one for one in primaries if one.command("EXISTS", "{14}") == "0")
    target = next(one for one in primaries if one is not source)
    cluster.reshard(source, target, 1000)  # its lowest slots, among them the one of tag 14
    assert [call(Read(key)).payload for key in keys] == stored
    call.fill(keys[0], b"0")
    call(DropScopes((Scope("s"),), 60.0))
    assert target.command("EXISTS", "{14}") == "0"
