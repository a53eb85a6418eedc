"""Every way in which a cache goes wrong when it is done the obvious way, as a scene to play.

The numbers are the holes of the protocol's table; each scene is small enough to be played in every
order in which its actors can act. What must hold is in `promises.py`; which wrong variants each
scene gives away is in `mutants.py`.
"""

from __future__ import annotations

from functools import partial

from packages.core.tests.races.actors import (
    KEY,
    batch_reader,
    canceller,
    dropper,
    event,
    evictor,
    follow,
    killer,
    know_stamps,
    marker,
    reader,
    refresher,
    setter,
    ticker,
    updater,
    warm,
)
from packages.core.tests.races.scenes import scenario
from packages.core.tests.races.world import LEASE, Node, World
from tiercel.contracts.backend import DropScopes
from tiercel.engine.refresh import QUEUED_LEASE
from tiercel.policy import make_policy

OTHER = "v/1"
STALE = make_policy("f", ttl=5.0, stale=50.0, lease=LEASE)
HASTY = make_policy("f", ttl=5.0, stale_on_error=50.0, soft_timeout=0.5, lease=LEASE)
RESCUE = make_policy("f", ttl=5.0, stale_on_error=50.0, lease=LEASE)


# Drops while others read and compute


@scenario("H1 H3 H5 H6", "key", "partition", "function")
def drop(world: World, what: str) -> None:
    """Two cold callers in two processes, while a third process drops."""
    reader(world, world.node("a"))
    reader(world, world.node("b"))
    dropper(world, world.node("x"), what)
    world.patient, world.promises.most = False, 2


@scenario("H3 H5 H6", "key", "partition", "function", long=True)
def drop_among_three(world: World, what: str) -> None:
    """Three cold callers in three processes, while a fourth process drops."""
    drop(world, what)
    reader(world, world.node("c"))


@scenario("H3 H5", "key", "partition", "function")
def drop_when_misses_are_common(world: World, what: str) -> None:
    """Readers ask for the lease in the same round trip."""
    for name in "ab":
        node = world.node(name)
        node.subject.missing = 1.0
        reader(world, node)
    dropper(world, world.node("x"), what)
    world.patient, world.promises.most = False, 2


@scenario("H22")
def drop_two_partitions(world: World) -> None:
    """One drop concerns two partitions: it is acknowledged after both."""
    node = world.node("a")
    warm(world, node, KEY, OTHER)
    dropper(world, world.node("x"), "partitions", KEY, OTHER)
    batch_reader(world, node, KEY, OTHER)
    reader(world, world.node("b"), OTHER)


# Losses: eviction, expiry, death


@scenario("H1 H3", "key", "partition", "function", long="partition function")
def evict(world: World, what: str, times: int = 1) -> None:
    """A cold caller, a drop, a later caller; a stamp, the lease or the value is lost."""
    reader(world, world.node("a"))
    dropper(world, world.node("x"), what)
    stamp = "stamp/f" if what == "function" else "stamp/f:u"
    evictor(world, stamp, f"value/f:{KEY}", f"lease/f:{KEY}", times=times)
    reader(world, world.node("b"))


@scenario("H1", "partition", "function")
def evict_warm(world: World, what: str) -> None:
    """The same with an entry that was there from the beginning."""
    warm(world, world.node("w"))
    evict(world, what)


@scenario("H1 H3", "key", "partition", "function", long=True)
def evict_twice(world: World, what: str) -> None:
    """The same, and two of them are lost."""
    evict(world, what, times=2)


@scenario("H3", "key")
def lease_expires(world: World, what: str) -> None:
    """A computation takes longer than its lease lives."""
    reader(world, world.node("a"))
    dropper(world, world.node("x"), what)
    ticker(world, LEASE + 1.0)
    reader(world, world.node("b"))


@scenario("H5")
def holder_dies(world: World) -> None:
    """Who computes is killed; the others wait no longer than its lease."""
    node = world.node("a")
    reader(world, node)
    killer(world, node, when=lambda: True)
    reader(world, world.node("b"))
    world.promises.wait = LEASE + 1.5


@scenario("H6", "partition", "function", "key")
def holder_dies_before_drop(world: World, what: str) -> None:
    """Who computes is killed, then a drop: a later caller does not wait for the dead."""
    node = world.node("a")
    reader(world, node)
    killer(world, node, when=lambda: bool(world.promises.computations))
    dropper(world, world.node("x"), what, after=lambda: "died" in world.notes)
    reader(world, world.node("b"), after=lambda: "dropped" in world.notes)
    world.promises.wait = 0.0


# Refreshes and values set by hand


@scenario("H2", "key", "partition", "function")
def refresh(world: World, what: str) -> None:
    """Somebody refreshes what is there, while it is dropped."""
    node = world.node("a")
    warm(world, node)
    refresher(world, node)
    dropper(world, world.node("x"), what)
    reader(world, world.node("b"))


@scenario("H8")
def rule_refreshes(world: World) -> None:
    """A change refreshes instead of dropping, while somebody fills what was there before it."""
    reader(world, world.node("a"))
    refresher(world, world.node("x"), changes=True)
    reader(world, world.node("b"))


@scenario("H8")
def rule_refreshes_for_long(world: World) -> None:
    """A refresh takes longer than its lease lives, every time it is tried."""
    node = world.node("a")
    warm(world, node)
    refresher(world, node, changes=True)
    ticker(world, LEASE + 1.0, times=3)
    reader(world, world.node("b"))


@scenario("H8")
def rule_refreshes_through_eviction(world: World) -> None:
    """A refresh loses its lease, every time it is tried."""
    node = world.node("a")
    warm(world, node)
    refresher(world, node, changes=True)
    evictor(world, f"lease/f:{KEY}", times=3)
    reader(world, world.node("b"))


@scenario("H2", "key", "partition")
def set_by_hand(world: World, what: str, node: Node | None = None) -> None:
    """A value is set by hand, while it is computed and dropped."""
    reader(world, world.node("a"))
    setter(world, node or world.node("s"))
    dropper(world, world.node("x"), what)


@scenario("H2", "key", "partition", "function")
def set_outright(world: World, what: str) -> None:
    """The same by a process that knows the stamps, so takes no lease unless they are dropped."""
    know_stamps(world, node := world.node("s"))
    set_by_hand(world, what, node)
    reader(world, world.node("b"))


@scenario("H2", "key", "partition", long=True)
def set_by_hand_among_three(world: World, what: str) -> None:
    """The same, and somebody else reads."""
    set_by_hand(world, what)
    reader(world, world.node("b"))


@scenario("H2", long=True)
def update(world: World) -> None:
    """Two processes update one value, and none of the updates is lost."""
    node = world.node("a")
    warm(world, node)
    updater(world, node)
    updater(world, world.node("b"))


# Stale values


@scenario("H4", "key", "partition", "function")
def stale(world: World, what: str) -> None:
    """A stale value is served and refreshed in the background, while it is dropped."""
    first, second = world.node("a", policy=STALE), world.node("b", policy=STALE)
    warm(world, first)
    world.clock.advance(10.0)
    reader(world, first)
    dropper(world, world.node("x", policy=STALE), what)
    reader(world, second)


@scenario("H2 H4", "key", "partition", "function")
def mark_stale(world: World, what: str) -> None:
    """What is there is marked as stale, by writing it again, while it is dropped."""
    node = world.node("a", policy=STALE)
    warm(world, node)
    marker(world, node)
    dropper(world, world.node("x", policy=STALE), what)
    reader(world, world.node("b", policy=STALE))


@scenario("H2 H4", "key", "partition", "function", long="partition function")
def soft_timeout(world: World, what: str, times: int = 1) -> None:
    """What is left of an entry stands in for a slow computation, while it is dropped."""
    node = world.node("a", policy=HASTY)
    warm(world, node)
    world.clock.advance(10.0)
    reader(world, node, times=times)
    dropper(world, world.node("x", policy=HASTY), what)


@scenario("H2 H4", "key", "partition", "function", long=True)
def soft_timeout_twice(world: World, what: str) -> None:
    """The same for a second call, which does not wait for what is overtaken already."""
    soft_timeout(world, what, times=2)


@scenario("H2 H4 H8", "key", "partition", "function")
def stale_in_a_queue(world: World, what: str) -> None:
    """A stale value is refreshed by a worker in another process, while it is dropped."""
    worker = world.node("w", policy=STALE)
    first = world.node("a", policy=STALE, worker=worker)
    warm(world, first)
    world.clock.advance(10.0)
    reader(world, first, times=2)
    dropper(world, world.node("x", policy=STALE), what)


@scenario("H2 H4", "key", "partition", "function", long=True)
def stale_in_a_queue_for_long(world: World, what: str) -> None:
    """The same, and the worker comes when the right to refresh has ended, beside a reader."""
    worker = world.node("w", policy=STALE)
    first = world.node("a", policy=STALE, worker=worker)
    warm(world, first)
    world.clock.advance(10.0)
    reader(world, first)
    dropper(world, world.node("x", policy=STALE), what)
    ticker(world, QUEUED_LEASE + 1.0)
    reader(world, world.node("b", policy=STALE))


@scenario("H4 H5")
def stale_for_many_in_a_queue(world: World) -> None:
    """Two processes serve a stale value, and one worker computes once for both."""
    worker = world.node("w", policy=STALE)
    nodes = [world.node(name, policy=STALE, worker=worker) for name in "ab"]
    warm(world, nodes[0])
    world.clock.advance(10.0)
    for node in nodes:
        reader(world, node)
    world.promises.most = 2


@scenario("H4", "key", "partition", "function")
def stale_on_error(world: World, what: str) -> None:
    """The function fails, and an old value is served instead, while it is dropped."""
    first = world.node("a", policy=RESCUE)
    warm(world, first)
    world.clock.advance(10.0)
    world.notes["failing"] = True
    reader(world, first)
    dropper(world, world.node("x", policy=RESCUE), what)
    reader(world, world.node("b", policy=RESCUE))


# One computation


@scenario("H5")
def cold_callers(world: World) -> None:
    """Three processes ask at once; one computes, and its fill wakes the others."""
    for name in "abc":
        reader(world, world.node(name))
    world.patient, world.promises.most = False, 1


@scenario("H5 H7", "shared", "both", "memory")
def cold_callers_in_one_process(world: World, what: str) -> None:
    """Three callers in one process ask at once; one computes for all."""
    node = world.node("a", memory=what != "shared", shared=what != "memory")
    if what == "both":
        follow(world, node)
    for _ in range(2 if what == "shared" else 3):
        reader(world, node)
    world.patient, world.promises.most = False, 1


@scenario("H7", "key", "partition", "function")
def join(world: World, what: str) -> None:
    """One process computes and drops: a later caller does not join what began before."""
    node = world.node("a", memory=True, shared=False)
    reader(world, node)
    dropper(world, node, what)
    reader(world, node)
    world.patient, world.promises.most = False, 2


@scenario("H7", "key", "partition", "function", long="key function")
def join_by_lease(world: World, what: str) -> None:
    """The same without a memory tier: callers find each other by the lease."""
    node = world.node("a")
    reader(world, node)
    dropper(world, world.node("x"), what)
    reader(world, node)
    world.patient, world.promises.most = False, 2


@scenario("H7", "partition", "function", long=True)
def join_by_lease_of_another(world: World, what: str) -> None:
    """The same, while another process takes the lease after the drop."""
    join_by_lease(world, what)
    reader(world, world.node("b"))


@scenario("H5")
def first_caller_is_cancelled(world: World) -> None:
    """The task that computes is cancelled; the others get its value all the same."""
    node = world.node("a", asynchronous=True)
    first = reader(world, node)
    canceller(world, first)
    reader(world, world.node("b"))
    world.patient, world.promises.most = False, 1


@scenario("H18", "one process", "two processes")
def crossing(world: World, what: str) -> None:
    """Computing one key needs another, and the reverse; nobody waits for ever."""
    first = world.node("a")
    second = first if what == "one process" else world.node("b")
    owner = {KEY: first, OTHER: second}
    for key, needed in ((KEY, OTHER), (OTHER, KEY)):
        world.nested[key] = partial(owner[key].fetch, needed)
        reader(world, owner[key], key)
    world.patient = False


# Trouble on the way to the shared tier


@scenario("H19", "key", "partition", "function")
def drop_without_link(world: World, what: str) -> None:
    """A drop does not get through; the link heals, and the same process reads."""
    node = world.node("a")
    warm(world, node)

    def set_link(up: bool) -> None:
        world.backend.unreachable = not up

    event(world, "link breaks", partial(set_link, False))
    dropper(world, node, what)
    event(world, "link heals", partial(set_link, True))
    reader(world, node, after=lambda: "dropped" in world.notes)


@scenario("H21", "partition", "function")
def drop_refused(world: World, what: str) -> None:
    """The server is out of memory and refuses a drop, then has memory again."""
    node = world.node("a")
    warm(world, node)
    world.refused = frozenset({DropScopes})

    def free() -> None:
        world.refused = frozenset()

    dropper(world, node, what)
    event(world, "memory is free", free)
    reader(world, node, times=2, after=lambda: "dropped" in world.notes)
