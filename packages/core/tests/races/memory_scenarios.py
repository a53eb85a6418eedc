"""The scenes of a memory tier and of the push channel that it follows."""

from __future__ import annotations

from packages.core.tests.races.actors import (
    dropper,
    event,
    follow,
    know_stamps,
    late_reader,
    poller,
    reader,
    refresher,
    setter,
    ticker,
    warm,
)
from packages.core.tests.races.scenes import scenario
from packages.core.tests.races.world import LAG, LEASE, Node, World
from tiercel.policy import make_policy
from tiercel.testing.cells import Snapshot

OTHER = "v/1"
SHORT = make_policy("f", ttl=10.0, lease=LEASE)


def _followed(world: World, *, warmed: bool = True, polls: int = 1, lag: float = LAG) -> Node:
    """Add a process with a memory tier that follows the channel, and somebody who reads late."""
    node = world.node("m", memory=True, lag=lag)
    follow(world, node)
    if warmed:
        warm(world, node)
    poller(world, node, polls)
    late_reader(world, node, lag)
    return node


@scenario("H15", "key", "partition", "function")
def memory(world: World, what: str) -> None:
    """A process serves from memory what another drops, and the channel may lag."""
    _followed(world)
    dropper(world, world.node("x"), what)


@scenario("H11 H15", "key", "partition", "function", long=True)
def memory_polled_twice(world: World, what: str) -> None:
    """The same, and somebody reads at any time, and the channel is polled before and after."""
    reader(world, _followed(world, polls=2))
    dropper(world, world.node("x"), what)


@scenario("H11 H17", "key", "partition", "function", long=True)
def memory_cold(world: World, what: str) -> None:
    """A process computes into memory, while another drops."""
    reader(world, _followed(world, warmed=False))
    dropper(world, world.node("x"), what)


@scenario("H11 H15", "key", "partition", "function")
def memory_alternates(world: World, what: str) -> None:
    """A process polls and reads in turns, before and after time has passed."""
    warm(world, world.node("w"))
    node = world.node("m", memory=True)
    follow(world, node)
    late_reader(world, node, LAG, polling=True, reading=True)
    dropper(world, world.node("x"), what)


@scenario("H11 H15 H17", "key", "partition", "function", long=True)
def memory_is_late(world: World, what: str) -> None:
    """What is read or computed in the meantime must not enter memory behind the channel's back."""
    node = world.node("m", memory=True)
    follow(world, node)
    reader(world, node)
    dropper(world, world.node("x"), what)
    late_reader(world, node, LAG, polling=True)


@scenario("H11", "key", "partition", "function", long=True)
def memory_promotes_late(world: World, what: str) -> None:
    """The same with what the shared tier holds."""
    warm(world, world.node("w"))
    memory_is_late(world, what)


@scenario("H14", "key", "partition", "function", long=True)
def memory_before_channel(world: World, what: str) -> None:
    """Memory is filled before the channel has told anything."""
    other = world.node("x")
    warm(world, other)
    world.before(other.drop(OTHER), other)
    node = world.node("m", memory=True)
    reader(world, node)
    poller(world, node, 1)
    dropper(world, other, what)
    late_reader(world, node, LAG)


@scenario("H7 H11", "partition", long=True)
def memory_joins(world: World, what: str) -> None:
    """Two callers share a computation in memory, while another process drops."""
    node = world.node("m", memory=True)
    follow(world, node)
    reader(world, node)
    reader(world, node)
    dropper(world, world.node("x"), what)
    poller(world, node, 1)


@scenario("H11 H17", "key", "partition", "function")
def memory_drops_itself(world: World, what: str) -> None:
    """A process with a memory tier drops: its own callers see that at once."""
    node = world.node("m", memory=True)
    follow(world, node)
    warm(world, node)
    reader(world, node)
    dropper(world, node, what)
    reader(world, node)


@scenario("H2 H17", long=True)
def memory_refresh(world: World) -> None:
    """Another process refreshes a key, which memory holds or computes."""
    reader(world, _followed(world, warmed=False))
    refresher(world, world.node("x"), changes=True)


@scenario("H2", "refresh", "set")
def memory_replaced(world: World, what: str) -> None:
    """A process replaces a value by another: its own callers see that at once."""
    node = _cold(world)
    reader(world, node)
    if what == "set":
        setter(world, node)
    else:
        refresher(world, node, changes=True)
    reader(world, node)


@scenario("H2")
def memory_set_outright(world: World) -> None:
    """A process replaces what another holds in memory, and takes no lease for it."""
    other = world.node("x")
    know_stamps(world, other)
    _followed(world)
    setter(world, other)


@scenario("H2", long=True)
def memory_replaced_twice(world: World) -> None:
    """The same, while somebody else refreshes there, and may have computed before the change."""
    node = _cold(world)
    refresher(world, node)
    refresher(world, node, changes=True)
    reader(world, node)


def _cold(world: World) -> Node:
    """Add a process whose memory has nothing yet of what is in the shared tier."""
    warm(world, world.node("w"))
    node = world.node("m", memory=True)
    follow(world, node)
    return node


def _polled(world: World) -> Node:
    """Add a process that has followed the channel, and somebody who reads late."""
    node = world.node("m", memory=True)
    follow(world, node)
    warm(world, node)
    late_reader(world, node, LAG, polling=True)
    return node


@scenario("H13")
def channel_trimmed(world: World) -> None:
    """Messages are trimmed before they were read."""
    _polled(world)
    dropper(world, world.node("x"), "partition", then=OTHER)
    event(world, "trim", lambda: world.backend.trim_stream(1))


@scenario("H13")
def channel_lost(world: World) -> None:
    """The stream is evicted, and begins anew."""
    _polled(world)
    dropper(world, world.node("x"), "partition")
    event(world, "lose", world.backend.lose_stream)


@scenario("H13")
def channel_rolled_back(world: World) -> None:
    """A promoted replica lacks a message that was read here, and gives its number to another."""
    other = world.node("x")
    world.before(other.drop(OTHER), other)
    node = _polled(world)
    world.before(other.drop(OTHER), other)
    world.before(node.poll(), node)

    def roll_back() -> None:
        now = world.backend.snapshot()
        world.backend.rollback(Snapshot(now.cells, now.stream[:-1]))
        world.notes["rolled"] = True

    event(world, "roll back", roll_back)
    dropper(world, other, "partition", after=lambda: "rolled" in world.notes)


@scenario("H12")
def announcement_lost(world: World) -> None:
    """A drop is never announced: what memory holds is checked again after a minute."""
    node = world.node("m", memory=True, lag=1000.0)
    follow(world, node)
    warm(world, node)
    dropper(world, world.node("x"), "partition")

    def forget() -> None:
        now = world.backend.snapshot()
        world.backend.rollback(Snapshot(now.cells, now.stream[:1]))

    event(world, "forget", forget)
    late_reader(world, node, 31.0, times=2, polling=True)
    world.promises.lag = 60.0


@scenario("H16")
def life_in_memory(world: World) -> None:
    """What memory takes over from the shared tier ends when it ends there."""
    warm(world, world.node("w", policy=SHORT))
    node = world.node("m", memory=True, lag=1000.0, policy=SHORT)
    follow(world, node)
    reader(world, node, times=3)
    ticker(world, 4.0, times=4)
    world.promises.life = 10.0
