"""Scenes of functions that may be computed only once in a generation, whatever breaks."""

from __future__ import annotations

from packages.core.tests.races.actors import KEY, dropper, evictor, killer, reader, ticker
from packages.core.tests.races.scenes import scenario
from packages.core.tests.races.world import LEASE, TTL, World
from tiercel.policy import make_policy

ONCE = make_policy("f", ttl=TTL, lease=LEASE, atomic_writes="at_most_once")


def readers(world: World, names: str = "ab") -> None:
    """Have somebody call the function in each of these processes."""
    for name in names:
        reader(world, world.node(name, policy=ONCE))
    world.promises.most = 1


@scenario("H9")
def once(world: World) -> None:
    """Three cold callers in three processes."""
    readers(world, "abc")


@scenario("H9")
def once_when_misses_are_common(world: World) -> None:
    """Two cold callers claim in the same round trip in which they read."""
    for name in "ab":
        node = world.node(name, policy=ONCE)
        node.subject.missing = 1.0
        reader(world, node)
    world.promises.most = 1


@scenario("H9")
def once_when_the_lease_expires(world: World) -> None:
    """A computation is silent for longer than its lease lives."""
    readers(world)
    ticker(world, LEASE + 1.0)


@scenario("H9")
def once_when_something_is_lost(world: World) -> None:
    """The value or the lease is lost; the claim is not, since nothing is evicted."""
    readers(world)
    evictor(world, f"value/f:{KEY}", f"lease/f:{KEY}")


@scenario("H9")
def once_when_the_holder_dies(world: World) -> None:
    """Who computes is killed, and its lease ends."""
    node = world.node("a", policy=ONCE)
    reader(world, node)
    killer(world, node, when=lambda: bool(world.promises.computations))
    reader(world, world.node("b", policy=ONCE))
    ticker(world, LEASE + 1.0)
    world.promises.most = 1


@scenario("H9", "key", "partition", "function")
def once_in_each_generation(world: World, what: str) -> None:
    """A drop allows one more computation, and nothing dropped is served."""
    readers(world)
    dropper(world, world.node("x", policy=ONCE), what)
    world.promises.most = 2
