"""The scenes of a shared tier that comes back in an earlier state, without acknowledged drops."""

from __future__ import annotations

from functools import partial

from packages.core.tests.races.actors import (
    KEY,
    dropper,
    event,
    follow,
    late_reader,
    poller,
    reader,
    refresher,
    warm,
)
from packages.core.tests.races.scenes import scenario
from packages.core.tests.races.world import FUNCTION, LAG, Node, World, partition
from tiercel.engine import drop
from tiercel.testing.actors import Look, Steps, Until
from tiercel.testing.cells import Snapshot

WINDOW = 60.0
WHAT = ("key", "partition", "function")


def _drop(node: Node, what: str) -> Steps:
    if what == "key":
        return drop.drop_key(node.subject, node.call(KEY))
    scope = FUNCTION if what == "function" else partition(KEY)
    return drop.drop_scopes(node.subject, scope)


def _dropped(world: World, node: Node, what: str) -> tuple[dict[str, int], Snapshot]:
    """Have a process drop what is there; return what, and the store as it was before."""
    before = world.backend.snapshot()
    versions = world.change(KEY)
    world.before(_drop(node, what), node)
    return versions, before


def _fails_over(world: World, to: Snapshot) -> None:
    event(world, "fail over", partial(world.fail_over, to))


def _reads_afterwards(world: World, node: Node, times: int = 1) -> None:
    reader(world, node, times=times, after=lambda: "failed over" in world.notes)


def _repairs(world: World, node: Node, versions: dict[str, int]) -> None:
    """What a process owes is paid, by its keeper: from then on nobody may read what it dropped."""
    pending = node.engine.pending

    def steps() -> Steps:
        yield Until(lambda: bool(pending))
        yield from pending.settle()
        yield Until(lambda: not pending)
        yield Look(lambda: world.promises.acknowledge(versions, node.name))
        yield Look(lambda: world.notes.update(repaired=True))

    world.add(f"keeper {node.name}", steps(), node, begun=True)


@scenario("H20", *WHAT)
def failover(world: World, what: str) -> None:
    """A process drops, and reads; what it dropped is back meanwhile."""
    node = world.node("x", replay=WINDOW)
    warm(world, node)
    _fails_over(world, world.backend.snapshot())
    dropper(world, node, what)
    reader(world, node, times=2)


@scenario("H20", long=True)
def failover_after_refresh(world: World) -> None:
    """A rule has refreshed a value, and the old one is back."""
    node = world.node("x", replay=WINDOW)
    warm(world, node)
    _fails_over(world, world.backend.snapshot())
    refresher(world, node, changes=True)
    reader(world, node, times=2)


@scenario("H20", *WHAT)
def failover_while_computing(world: World, what: str) -> None:
    """What comes back is a lease, for a computation that is older than the drop."""
    node = world.node("x", replay=WINDOW)
    reader(world, node)
    dropper(world, node, what, after=lambda: "copy" in world.notes)
    reader(world, node, after=lambda: "dropped" in world.notes)

    def steps() -> Steps:
        yield Until(lambda: bool(world.promises.computations))
        now = yield Look(world.backend.snapshot)
        yield Look(lambda: world.notes.update(copy=(tuple(now.cells.items()), now.stream)))
        yield Until(lambda: "dropped" in world.notes)
        world.fail_over(now)

    world.add("fail over", steps(), begun=True)


@scenario("H20", *WHAT, long="key function")
def failover_among_readers(world: World, what: str) -> None:
    """Two callers in the process that has dropped; either may be the first to notice."""
    node = world.node("x", replay=WINDOW)
    warm(world, node)
    versions, before = _dropped(world, node, what)
    world.promises.acknowledge(versions, "x", owed=True)
    _fails_over(world, before)
    reader(world, node)
    reader(world, node)


@scenario("H20", *WHAT)
def failover_of_what_was_heard(world: World, what: str) -> None:
    """Who has dropped is dead, but another process was told."""
    node, other = world.node("m", memory=True, replay=WINDOW), world.node("x")
    follow(world, node)
    warm(world, node)
    versions, before = _dropped(world, other, what)
    world.before(node.poll(), node)
    other.alive = False
    world.promises.acknowledge(versions, "m", owed=True)
    _fails_over(world, before)
    poller(world, node, 1)
    reader(world, node, times=2)


@scenario("H20", *WHAT)
def failover_behind_a_proxy(world: World, what: str) -> None:
    """Only the channel shows it, and has gone on by then, or not."""
    node, other = world.node("m", memory=True, replay=WINDOW, tells=False), world.node("x")
    follow(world, node)
    warm(world, node)
    versions, before = _dropped(world, other, what)
    world.before(node.poll(), node)
    _fails_over(world, before)
    world.add("drop x", _drops_another(world, other), other, begun=True)

    def steps() -> Steps:
        yield Until(lambda: "failed over" in world.notes)
        yield from node.poll()
        yield Look(lambda: world.promises.acknowledge(versions, "m", owed=True))
        yield Look(lambda: world.notes.update(noticed=True))

    world.add("poll m", steps(), node, begun=True)
    reader(world, node, after=lambda: "noticed" in world.notes)


def _drops_another(world: World, node: Node) -> Steps:
    yield Until(lambda: "failed over" in world.notes)
    yield from node.drop("v/1")


@scenario("H20", *WHAT)
def failover_repaired_for_all(world: World, what: str) -> None:
    """Once who knows the drop has made it again, nobody reads what was dropped."""
    node, other = world.node("x", replay=WINDOW), world.node("o", replay=WINDOW)
    warm(world, node)
    versions, before = _dropped(world, node, what)
    world.promises.acknowledge(versions, "x", owed=True)
    _fails_over(world, before)
    _reads_afterwards(world, node)
    _repairs(world, node, versions)
    reader(world, other, after=lambda: "repaired" in world.notes)


@scenario("H20", *WHAT)
def failover_repaired_in_memory(world: World, what: str) -> None:
    """A process drops again what it was told of, and another has that in memory by then."""
    node, dead = world.node("m", memory=True, replay=WINDOW), world.node("x")
    follow(world, node)
    warm(world, node)
    versions, before = _dropped(world, dead, what)
    world.before(node.poll(), node)
    dead.alive = False
    world.promises.acknowledge(versions, "m", owed=True)
    world.fail_over(before)
    other = world.node("o", memory=True, replay=WINDOW)
    follow(world, other)
    warm(world, other)
    world.before(node.poll(), node)
    _repairs(world, node, versions)
    late_reader(world, other, LAG, polling=True)


@scenario("H20", *WHAT)
def failover_twice(world: World, what: str) -> None:
    """The server that has taken over fails, too, and takes back that it was dropped again."""
    node = world.node("x", replay=WINDOW)
    warm(world, node)
    versions, before = _dropped(world, node, what)
    world.promises.acknowledge(versions, "x", owed=True)
    event(world, "fail over", partial(world.fail_over, before), times=2)
    reader(world, node, times=3)
