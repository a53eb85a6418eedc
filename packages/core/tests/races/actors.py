"""What may happen in a world: callers, writers, the push channel, and everything that breaks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from packages.core.tests.races.world import FUNCTION, Node, SourceFailed, World, partition
from tiercel.engine import drop, index, manual, read, refresh, retire
from tiercel.errors import AtMostOnceError, BackendError
from tiercel.testing.actors import Actor, Choose, Look, Pause, Steps, Until, Violation

KEY = "u/1"


def reader(
    world: World,
    node: Node,
    key: str = KEY,
    *,
    times: int = 1,
    after: Callable[[], bool] | None = None,
) -> Actor:
    """Somebody calls the function; with `after`, from when on."""

    def steps() -> Steps:
        if after is not None:
            yield Until(after)
        for number in range(times):
            if number:
                yield Pause()
            expected = yield Look(lambda: world.promises.expect(key, node.name))
            try:
                outcome = yield from node.fetch(key)
            except (SourceFailed, AtMostOnceError):
                continue
            if "failing" in world.notes:
                expected = yield Look(partial(world.since_failure, expected))
            world.promises.served(key, outcome, expected)

    return world.add(f"reader {node.name}", steps(), node, begun=after is not None)


def late_reader(
    world: World,
    node: Node,
    seconds: float,
    *,
    times: int = 1,
    polling: bool = False,
    reading: bool = False,
) -> None:
    """Time passes, so much that every drop must show, and then somebody calls the function.

    Args:
        world: Where.
        node: In which process.
        seconds: How much time passes at once.
        times: How often.
        polling: Whether the push channel is polled before and after.
        reading: Whether somebody calls the function before, too.
    """

    def steps() -> Steps:
        if polling:
            yield Pause()
            yield from node.poll()
        if reading:
            yield Pause()
            yield from read_once()
        for _ in range(times):
            yield Pause()
            yield Look(lambda: world.clock.advance(seconds))
        if polling:
            yield Pause()
            yield from node.poll()
        yield Pause()
        yield from read_once()

    def read_once() -> Steps:
        expected = yield Look(lambda: world.promises.expect(KEY, node.name))
        outcome = yield from node.fetch(KEY)
        world.promises.served(KEY, outcome, expected)

    world.add(f"late {node.name}", steps(), node, begun=True)


def batch_reader(world: World, node: Node, *keys: str) -> None:
    """Somebody calls the function for many keys at once."""

    def steps() -> Steps:
        expected = yield Look(lambda: [world.promises.expect(key, node.name) for key in keys])
        calls = [node.call(key) for key in keys]
        outcomes = yield from read.fetch_many(node.subject, calls)
        for key, outcome, least in zip(keys, outcomes, expected, strict=True):
            world.promises.served(key, outcome, least)

    world.add("batch", steps(), node)


def dropper(
    world: World,
    node: Node,
    what: str,
    *keys: str,
    after: Callable[[], bool] = lambda: True,
    then: str | None = None,
) -> None:
    """Somebody changes the source, then drops a key, partitions or the function.

    Args:
        world: Where.
        node: In which process.
        what: "key", "partition", "partitions", "function", or "matching" for what an index finds.
        *keys: What he changes; one key by default.
        after: From when on.
        then: A key whose partition he drops besides, after that.
    """
    concerned = keys or (KEY,)

    def steps() -> Steps:
        yield Until(after)
        versions = yield Look(lambda: world.change(*concerned))
        yield Pause()
        if what == "matching":
            yield from index.drop_matching(node.subject, concerned[0])
        elif what == "key":
            yield from drop.drop_key(node.subject, node.call(concerned[0]))
        else:
            scopes = [FUNCTION] if what == "function" else [partition(key) for key in concerned]
            yield from drop.drop_scopes(node.subject, *scopes)
        owed = bool(node.engine.pending)
        world.promises.acknowledge(versions, node.name, owed=owed)
        world.notes["dropped"] = True
        if then is not None:
            yield from node.drop(then)

    world.add(f"drop {node.name}", steps(), node, begun=True)


def refresher(world: World, node: Node, key: str = KEY, *, changes: bool = False) -> None:
    """Somebody refreshes a key; with `changes` as a rule does, because the source has changed."""

    def steps() -> Steps:
        versions = yield Look(lambda: world.change(key) if changes else {})
        yield Pause()
        yield from refresh.refresh(node.subject, node.call(key))
        world.promises.acknowledge(versions, node.name)

    world.add(f"refresh {node.name}", steps(), node)


def marker(world: World, node: Node, key: str = KEY) -> None:
    """Somebody marks what there is as stale."""

    def steps() -> Steps:
        yield from retire.retire(node.subject, node.call(key))

    world.add(f"mark {node.name}", steps(), node)


def setter(world: World, node: Node, key: str = KEY) -> None:
    """Somebody sets by hand what he has just written to the source."""

    def steps() -> Steps:
        versions = yield Look(lambda: world.change(key))
        taken = yield from manual.put(node.subject, node.call(key), versions[key], None)
        if taken:
            world.promises.acknowledge(versions, node.name)

    world.add(f"set {node.name}", steps(), node)


def know_stamps(world: World, node: Node, key: str = KEY) -> None:
    """Have a process know the stamps of a key without a value: it has set it, and dropped it."""
    call = node.call(key)
    world.before(manual.put(node.subject, call, 0, None), node)
    world.before(drop.drop_key(node.subject, call), node)


def updater(world: World, node: Node, key: str = KEY) -> None:
    """Somebody adds one to the value."""

    def steps() -> Steps:
        try:
            _, value = yield from manual.update(node.subject, node.call(key), lambda v: v + 1)
        except BackendError:
            return  # the other one was faster each time
        world.notes["updates"] = world.notes.get("updates", 0) + 1
        if value < world.notes["updates"]:
            raise Violation(f"P1: {world.notes['updates']} updates have made {value} of 0")

    world.add(f"update {node.name}", steps(), node)


def canceller(world: World, actor: Actor) -> None:
    """A task is cancelled once it computes."""

    def steps() -> Steps:
        yield Until(lambda: actor.ended or bool(world.promises.computations))
        world.cancel(actor)

    world.add("cancel", steps(), begun=True)


def poller(world: World, node: Node, times: int = 2) -> None:
    """The push channel of a process is polled."""

    def steps() -> Steps:
        for number in range(times):
            if number:
                yield Pause()
            yield from node.poll()

    world.add(f"poll {node.name}", steps(), node)


def ticker(world: World, seconds: float, times: int = 1) -> None:
    """Time passes."""

    def steps() -> Steps:
        for _ in range(times):
            yield Pause()
            world.clock.advance(seconds)

    world.add("clock", steps(), begun=True)


def evictor(world: World, *names: str, times: int = 1) -> None:
    """The shared tier loses some of these cells, or none."""

    def steps() -> Steps:
        for _ in range(times):
            way = yield Choose(len(names) + 1)
            if way < len(names):
                world.evict(names[way])

    world.add("evict", steps(), begun=True)


def killer(world: World, node: Node, *, when: Callable[[], bool]) -> None:
    """A process dies at any moment from the one on that `when` describes."""

    def steps() -> Steps:
        yield Until(when)
        node.alive = False
        world.notes["died"] = True

    world.add(f"kill {node.name}", steps(), daemon=True, begun=True)


def event(world: World, name: str, happen: Callable[[], object], times: int = 1) -> None:
    """Something happens outside all processes, at any moment."""

    def steps() -> Steps:
        for _ in range(times):
            yield Pause()
            happen()

    world.add(name, steps(), begun=True)


def warm(world: World, node: Node, *keys: str) -> None:
    """Have keys filled before anything else happens."""
    for key in keys or (KEY,):
        world.before(node.fetch(key), node)


def follow(world: World, node: Node) -> None:
    """Have a process follow the push channel before anything else happens."""
    for _ in range(3):
        world.before(node.poll(), node)
