"""A server comes back, or another takes over, without drops that had been acknowledged."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.faults.programs import Program, program
from tests.faults.rig import SHAPES, Rig, Shape, Source
from tiercel.testing.proxy import TcpProxy
from tiercel.testing.servers import HOST, RedisCluster, RedisSentinel, RedisServer, wait_until

HOW = {"function": 0, "partition": 1, "key": 2}
CASES = [(SHAPES[0], "function"), *zip(SHAPES[1:], HOW, strict=True)]
"""Each shape, and each way to drop, at least once."""

PATIENCE = 60.0
"""Seconds that a busy machine may take for what takes one."""


class Told:
    """A process that caches one function, and does what it is told."""

    def __init__(self, worker: Program) -> None:
        self._worker = worker
        assert worker.hear() == "ready"

    def do(self, *words: str | int) -> Any:
        """Have it do something; return what came of it."""
        self._worker.tell(" ".join(map(str, words)))
        return self._worker.hear()

    def drop(self, how: str) -> None:
        """Have it drop what it has changed, and wait until that is acknowledged."""
        self.do("drop", HOW[how])
        self.wait_until(lambda: not self.do("owes"), "the acknowledgement of a drop")

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._worker.signal(signal.SIGKILL)

    @staticmethod
    def wait_until(condition: Callable[[], bool], what: str) -> None:
        """Wait for as long as it takes on a busy machine."""
        wait_until(condition, what, PATIENCE)


def is_readable(url: str) -> bool:
    """Whether the old value can be read there, by a process that knows of nothing."""
    source = Source()
    with Rig(url, SHAPES[1], source, name="told") as rig:
        return bool(rig.call(1) == 0 and not source.asked)


@contextmanager
def two(url: str, shape: Shape) -> Iterator[tuple[Told, Told]]:
    """Run two processes that have cached the same old value, which has changed since."""
    arguments = (url, str(int(shape.asynchronous)), str(int(shape.memory)))
    with program("answerer", *arguments) as one, program("answerer", *arguments) as other:
        first, second = Told(one), Told(other)
        assert [first.do("call"), second.do("call")] == [0, 0]
        Told.wait_until(lambda: is_readable(url), "the old value in the shared tier")
        for each in (first, second) if shape.memory else ():
            Told.wait_until(lambda each=each: each.do("follows"), "the push channel")  # type: ignore[misc]
        yield first, second


def change(*processes: Told) -> None:
    """Change what is cached; that is known to the processes' source, not to their caches."""
    assert {process.do("change") for process in processes} == {1}


def never_old(process: Told) -> None:
    """Call until a process has noticed what happened and repaired it: it never serves the old."""

    def repaired() -> bool:
        assert process.do("call") == 1
        return process.do("noticed") and not process.do("owes")

    Told.wait_until(repaired, "a process to drop again what it had dropped")
    assert process.do("call") == 1


def soon_new(process: Told) -> None:
    """Call until a process serves the new value; from then on it does not serve the old."""
    Told.wait_until(lambda: process.do("call") == 1, "the new value")
    assert [process.do("call") for _ in range(20)] == [1] * 20


@pytest.mark.parametrize(("shape", "how"), CASES, ids=str)
def test_drop_when_an_older_snapshot_is_restored_then_it_is_made_again(
    redis: RedisServer, shape: Shape, how: str
) -> None:
    """Who dropped never reads the old value, and once that is repaired nobody does."""
    with two(redis.url, shape) as (dropper, other):
        redis.command("SAVE")
        change(dropper, other)
        dropper.drop(how)
        redis.kill()
        redis.start()
        assert int(redis.command("DBSIZE")) > 0
        never_old(dropper)
        soon_new(other)


@pytest.mark.parametrize("how", HOW)
def test_drop_when_who_made_it_is_dead_then_who_heard_of_it_makes_it_again(
    redis: RedisServer, how: str
) -> None:
    """The other process has a memory tier, so it follows what is dropped."""
    with two(redis.url, Shape(asynchronous=False, memory=True)) as (dropper, other):
        redis.command("SAVE")
        change(dropper, other)
        dropper.drop(how)
        Told.wait_until(lambda: other.do("knows"), "the other to hear of the drop")
        assert other.do("call") == 1
        dropper.kill()
        redis.kill()
        redis.start()
        never_old(other)


def test_drop_when_the_server_comes_back_empty_then_values_are_computed_and_kept(
    redis: RedisServer, shape: Shape
) -> None:
    """Nothing is left that could be old; what is dropped again does no harm."""
    with two(redis.url, shape) as (dropper, other):
        change(dropper, other)
        dropper.drop("function")
        redis.restart()
        never_old(dropper)
        soon_new(other)

        def kept() -> bool:
            """Whether a round of calls computes nothing: what is told of the drops has arrived."""
            before = dropper.do("asked") + other.do("asked")
            assert [each.do("call") for each in (dropper, other) for _ in range(5)] == [1] * 10
            return bool(dropper.do("asked") + other.do("asked") == before)

        Told.wait_until(kept, "values to be kept")


@contextmanager
def replicated() -> Iterator[tuple[RedisServer, RedisServer]]:
    """Run a server and a replica of it, which has everything it has."""
    with ExitStack() as stack:
        primary = stack.enter_context(RedisServer({"repl-diskless-sync-delay": "0"}))
        following = {"replicaof": f"{HOST} {primary.port}"}
        replica = stack.enter_context(RedisServer(following))
        Told.wait_until(lambda: follows(replica), "the replica")
        yield primary, replica


def follows(replica: RedisServer) -> bool:
    """Whether a replica gets what is written."""
    return "master_link_status:up" in replica.command("INFO", "replication")


def offset(server: RedisServer) -> int:
    """Return how far a server has got in the stream of what its primary writes."""
    (found,) = re.findall(r"master_repl_offset:(\d+)", server.command("INFO", "replication"))
    return int(found)


def cut_off(primary: RedisServer, replica: RedisServer) -> None:
    """Let a replica catch up, then have it get nothing more; it keeps trying in vain."""
    written = offset(primary)
    Told.wait_until(lambda: offset(replica) >= written, "the replica to catch up")
    replica.command("CONFIG", "SET", "masterauth", "wrong")
    primary.command("CLIENT", "KILL", "TYPE", "replica")
    Told.wait_until(lambda: not follows(replica), "the end of the replication")


@pytest.mark.parametrize(("shape", "how"), CASES[1:], ids=str)
def test_drop_when_a_replica_without_it_takes_over_then_it_is_made_again(
    shape: Shape, how: str
) -> None:
    """The replica answers at the address of the server that was killed."""
    with replicated() as (primary, replica), two(primary.url, shape) as (dropper, other):
        cut_off(primary, replica)
        change(dropper, other)
        dropper.drop(how)
        Told.wait_until(lambda: is_readable(replica.url), "the old value on the replica")
        primary.kill()
        replica.command("REPLICAOF", "NO", "ONE")
        proxy = TcpProxy(replica.port)
        proxy.port = primary.port
        with proxy:
            never_old(dropper)
            soon_new(other)


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]], ids=str)
def test_drop_when_sentinel_promotes_a_replica_without_it_then_it_is_made_again(
    shape: Shape,
) -> None:
    """Clients learn from Sentinel where the new primary is."""
    with RedisSentinel() as pair, two(pair.url, shape) as (dropper, other):
        cut_off(pair.primary, pair.replica)
        change(dropper, other)
        dropper.drop("partition")
        Told.wait_until(lambda: is_readable(pair.replica.url), "the old value on the replica")
        pair.primary.kill()
        never_old(dropper)
        soon_new(other)


def pairs(cluster: RedisCluster) -> dict[RedisServer, RedisServer]:
    """Return the primaries of a Cluster that have entries, each with its replica."""
    by_port = {server.port: server for server in cluster.servers}
    found = {}
    for primary in cluster.primaries():
        if "!v" in primary.command("KEYS", "*told*"):
            (line,) = re.findall(r"slave0:.*", primary.command("INFO", "replication"))
            found[primary] = by_port[int(re.findall(r"port=(\d+)", line)[0])]
    return found


@pytest.mark.long
def test_drop_when_a_part_of_a_cluster_fails_over_without_it_then_it_is_made_again() -> None:
    """Connections or the channel show it, whether or not the replica was talked to before."""
    shape = Shape(asynchronous=False, memory=True)
    with RedisCluster(node_timeout=1.0) as cluster, two(cluster.url, shape) as (dropper, other):
        ((primary, replica),) = pairs(cluster).items()
        cut_off(primary, replica)
        change(dropper, other)
        dropper.drop("function")
        Told.wait_until(lambda: other.do("knows"), "the other to hear of the drop")
        primary.kill()
        never_old(other)
        soon_new(dropper)
