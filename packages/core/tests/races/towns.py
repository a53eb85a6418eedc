"""A larger world for random schedules: four processes, several keys, and everything at once."""

from __future__ import annotations

from functools import partial
from random import Random

from packages.core.tests.races.actors import (
    dropper,
    event,
    evictor,
    follow,
    poller,
    reader,
    refresher,
    ticker,
)
from packages.core.tests.races.world import LAG, LEASE, World
from tiercel.policy import make_policy

KEYS = ("u/1", "u/2", "v/1", "v/2")
STALE = make_policy("f", ttl=3.0, stale=20.0, lease=LEASE)
TINY = make_policy("f", ttl=2.0, lease=1.0, wait=5.0)


def town(seed: int) -> World:
    """Return a world whose actors depend on the seed, to be played in an order that does too."""
    random = Random(seed)
    world = World()
    world.comparable = False
    policy = random.choice((STALE, TINY, None))
    index = random.random() < 0.5
    options = {"index": index} if policy is None else {"policy": policy, "index": index}
    nodes = [world.node(f"p{number}", memory=number < 2, **options) for number in range(4)]
    for node in nodes[:2]:
        follow(world, node)
        poller(world, node, 3)
    for node in nodes:
        for _ in range(2):
            reader(world, node, random.choice(KEYS), times=random.randint(1, 3))
    for _ in range(random.randint(1, 4)):
        what = random.choice(("key", "partition", "function", "matching")[: 3 + index])
        key = random.choice(KEYS)
        concerned = {"partition": (f"{key[0]}/1", f"{key[0]}/2"), "function": KEYS}
        dropper(world, random.choice(nodes), what, *concerned.get(what, (key,)))
    if random.random() < 0.5:
        refresher(world, random.choice(nodes), random.choice(KEYS), changes=True)
    _trouble(world, random)
    return world


def _trouble(world: World, random: Random) -> None:
    """Add what may go wrong: losses, passing time, a channel that is cut."""
    key = random.choice(KEYS)
    cells = ("stamp/f", f"stamp/f:{key[0]}", f"value/f:{key}", f"lease/f:{key}")
    evictor(world, *cells, "index/f", "stamp/f!fence", times=random.randint(0, 3))
    ticker(world, random.choice((LAG / 2, LAG, 1.5, 4.0)), times=random.randint(0, 4))
    if random.random() < 0.3:
        event(world, "trim", partial(world.backend.trim_stream, 1))
    if random.random() < 0.3:
        event(world, "lose", world.backend.lose_stream)
