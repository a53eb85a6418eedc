"""The scenes of an index: entries are dropped that have to be found first, while others compute."""

from __future__ import annotations

from packages.core.tests.races.actors import (
    dropper,
    evictor,
    follow,
    killer,
    late_reader,
    poller,
    reader,
    refresher,
    warm,
)
from packages.core.tests.races.scenes import scenario
from packages.core.tests.races.world import LAG, World

OTHER = "v/1"


@scenario("H3 H6", "cold", "warm")
def drop_matching(world: World, what: str) -> None:
    """Two callers in two processes, while a third drops what it finds by their argument."""
    nodes = [world.node(name, index=True) for name in "ab"]
    if what == "warm":
        warm(world, nodes[0], "u/1", OTHER)
    for node in nodes:
        reader(world, node)
    dropper(world, world.node("x", index=True), "matching")
    world.patient, world.promises.most = False, 3 if what == "warm" else 2


@scenario("H3", long=True)
def drop_matching_when_misses_are_common(world: World) -> None:
    """Readers ask for the lease in the same round trip."""
    for name in "ab":
        node = world.node(name, index=True)
        node.subject.missing = 1.0
        reader(world, node)
    dropper(world, world.node("x", index=True), "matching")
    world.patient = False


@scenario("H2")
def drop_matching_and_refresh(world: World) -> None:
    """Somebody refreshes the entry meanwhile, which is listed already."""
    node = world.node("a", index=True)
    warm(world, node)
    refresher(world, node)
    dropper(world, world.node("x", index=True), "matching")
    reader(world, world.node("b", index=True))


@scenario("H7", "both", "memory", long="both")
def drop_matching_at_home(world: World, what: str) -> None:
    """One process computes and drops: a later caller does not join what began before."""
    node = world.node("a", memory=True, shared=what != "memory", index=True)
    if what != "memory":
        follow(world, node)
    reader(world, node)
    dropper(world, node, "matching")
    reader(world, node)
    world.patient, world.promises.most = False, 2


@scenario("H7", long=True)
def drop_matching_by_lease(world: World) -> None:
    """The same without a memory tier: callers find each other by the lease."""
    node = world.node("a", index=True)
    reader(world, node)
    dropper(world, world.node("x", index=True), "matching")
    reader(world, node)
    world.patient, world.promises.most = False, 2


@scenario("H7 H17", "cold", "warm", long="cold")
def drop_matching_reaches_memory(world: World, what: str) -> None:
    """A process computes into memory, or serves from it, what another drops."""
    node = world.node("m", memory=True, index=True)
    follow(world, node)
    if what == "warm":
        warm(world, node)
    else:
        reader(world, node)
    poller(world, node, 1)
    dropper(world, world.node("x", index=True), "matching")
    late_reader(world, node, LAG)


@scenario("H3")
def drop_matching_without_an_index(world: World) -> None:
    """The store loses the index, or parts of it, at any moment: then everything is dropped."""
    node = world.node("a", index=True)
    warm(world, node, "u/1", OTHER)
    evictor(world, "index/f", "stamp/f!fence", "stamp/f", times=2)
    dropper(world, world.node("x", index=True), "matching")
    reader(world, world.node("b", index=True))


@scenario("H3")
def drop_matching_of_the_dead(world: World) -> None:
    """Who computes dies in between; nobody waits longer than for its lease."""
    node = world.node("a", index=True)
    reader(world, node)
    killer(world, node, when=lambda: bool(world.promises.computations))
    dropper(world, world.node("x", index=True), "matching")
    reader(world, world.node("b", index=True))
