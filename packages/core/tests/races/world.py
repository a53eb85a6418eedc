"""A small world for races: processes with caches, a source that changes, and what was promised.

The cached function returns the version of its key that the source had when it ran, so a value
tells by itself whether it is too old.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from msgspec import Struct

from packages.core.tests.races.promises import Expected, Promises
from tiercel.codec import SafeCodec
from tiercel.contracts.backend import (
    Backend,
    Begin,
    Command,
    Fill,
    Key,
    Mailbox,
    ReadThenBegin,
    Scope,
)  # fmt: skip
from tiercel.contracts.dispatcher import TaskKind
from tiercel.contracts.reversal import Revertible
from tiercel.dispatch.inline import InlineDispatcher
from tiercel.engine import drop, read, refresh
from tiercel.engine.effects import Steps
from tiercel.engine.reversal import watch_reversals
from tiercel.engine.state import Call, Engine, NotedOrigin, Outcome, Right, Subject
from tiercel.events import Status, Tier
from tiercel.memory import MemoryTier
from tiercel.plugins.observing import NOBODY
from tiercel.policy import Policy, make_policy
from tiercel.testing import SimulatedBackend
from tiercel.testing.actors import Actor, Process
from tiercel.testing.cells import Snapshot
from tiercel.testing.simulation import Simulation

LAG = 0.5
TTL = 100.0
LEASE = 10.0
POLICY = make_policy("f", ttl=TTL, lease=LEASE, wait=30.0)
FUNCTION = Scope("f")
CODEC = SafeCodec()
DISPATCHER = InlineDispatcher()


class Queue(InlineDispatcher):
    """Says that tasks go to another process, which a simulation sees to."""

    name = "queue"
    crosses_processes = True


QUEUE = Queue()


class Refresh(Struct, frozen=True):
    """A task that a simulation runs as an actor of its own, in `process` if that is another one."""

    steps: Callable[[], Steps[Any]]
    process: Process | None = None
    id: str = "refresh"
    kind: TaskKind = TaskKind.REFRESH
    cache: str = ""
    function: str = "f"
    rule: str = ""
    asynchronous: bool = False
    dedup: str = ""

    def perform(self) -> None:
        raise AssertionError("a simulation runs tasks step by step")

    async def aperform(self) -> None:
        raise AssertionError("a simulation runs tasks step by step")

    def carry(self, trace: Mapping[str, str], dispatcher: str, queue: str | None) -> None:
        raise AssertionError("nobody observes a simulation")

    def to_json(self) -> str:
        raise AssertionError("a simulation has no messages")


class SourceFailed(Exception):
    """The source of the cached function cannot be read."""


def partition(key: str) -> Scope:
    """Return the partition of a key: what stands before the slash."""
    return Scope(f"f:{key.partition('/')[0]}", key.partition("/")[0])


class KeyNotes:
    """Notes of calls whose key says everything."""

    def __init__(self, call_of: Callable[[str], Call]) -> None:
        self._call_of = call_of

    def note(self, call: Call) -> bytes:
        return b"noted"

    def listed(self, text: str, note: bytes) -> NotedKey:
        return NotedKey(self._call_of(text.partition(":")[2]).key)

    def remembered(self, origin: NotedOrigin) -> NotedKey:
        return NotedKey(origin.key)


class NotedKey(Struct, frozen=True):
    """An entry that an index lists."""

    key: Key

    def arguments(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.key.text.partition(":")[2],), {}

    def meets(self, wanted: str) -> bool:
        return self.key.text == f"f:{wanted}"


class Connected(Revertible, Backend):
    """The shared tier as one process has it, whose connections say if it has another past.

    Args:
        backend: The shared tier.
        tells: Whether they do say it, rather than end at something that hides the server.
    """

    def __init__(self, backend: SimulatedBackend, *, tells: bool = True) -> None:
        self._backend = backend
        self._tells = tells
        self.past = backend.past
        self.capabilities = backend.capabilities

    def execute(self, command: Command[Any]) -> Any:
        """Execute a command; before that, tell if it meets another past."""
        if self._tells and self.past != self._backend.past:
            self.reverted()
            self.past = self._backend.past
        return self._backend.execute(command)

    def open_mailbox(self, waiter: str) -> Mailbox | None:
        """Open a mailbox."""
        return self._backend.open_mailbox(waiter)


class Node(Process):
    """A process in which the function `f` is cached."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        memory: bool = False,
        shared: bool = True,
        asynchronous: bool = False,
        lag: float = LAG,
        policy: Policy = POLICY,
        index: bool = False,
        worker: Node | None = None,
        replay: float = 0.0,
        tells: bool = True,
    ) -> None:
        backend: Backend | None = world.backend if shared else None
        if replay:
            backend = Connected(world.backend, tells=tells)
        clock = world.clock
        pushes = memory and backend is not None
        tier = MemoryTier(1000, clock=clock, by_text=pushes) if memory else None
        engine = Engine(
            name,
            memory=tier,
            backend=backend,
            clock=clock,
            observers=NOBODY,
            max_lag=lag,
            pushes=pushes,
        )
        watch_reversals(engine, replay)
        super().__init__(name, engine)
        self.worker = worker
        self._calls: dict[str, Call] = {}
        self.subject = Subject(
            engine,
            "f",
            world.compute,
            asynchronous=asynchronous,
            policy=policy,
            codec=CODEC,
            function_scope=FUNCTION,
            partitions=1,
            keep=None,
            ttl=None,
            dispatcher=lambda: DISPATCHER if worker is None else QUEUE,
            refresh_task=self._refresh,
        )
        if index:
            self.subject.keep_index(KeyNotes(self.call), limit=10)

    def _refresh(self, subject: Subject, call: Call, right: Right) -> Refresh:
        worker, token = self.worker, right.token
        if worker is None or token is None:
            return Refresh(lambda: refresh.carry_out(subject, call, right))
        there = worker.call(call.args[0])
        steps = partial(refresh.take_over, worker.subject, there, token, right.floor)
        return Refresh(steps, worker)

    def state(self) -> Sequence[Any]:
        subject = self.subject
        waiting = (subject.flights, subject.refreshing, subject.missing, subject.table)
        return (*super().state(), waiting)

    def call(self, key: str) -> Call:
        """Return a call of `f`, named by its key such as `u/1`."""
        if key not in self._calls:
            scope = partition(key)
            identity = Key(f"f:{key}", (FUNCTION.name, scope.name), scope.spread or "")
            self._calls[key] = Call((key,), {}, identity, identity.text)
        return self._calls[key]

    def poll(self) -> Steps[bool]:
        """Poll the push channel."""
        assert self.engine.channel is not None
        return self.engine.channel.poll()

    def drop(self, key: str) -> Steps[None]:
        """Drop the partition of a key."""
        return drop.drop_scopes(self.subject, partition(key))

    def fetch(self, key: str) -> Steps[Outcome]:
        """Do what the generated function does: serve from memory, or ask the engine."""
        hit = self._hit(self.call(key))
        return hit if hit is not None else (yield from read.fetch(self.subject, self.call(key)))

    def _hit(self, call: Call) -> Outcome | None:
        table = self.subject.table
        entry = table.entries.get(call.memory_key) if table is not None else None
        if entry is None or not entry.part.served:
            return None
        if self.engine.clock.monotonic() >= entry.deadline:
            return None
        return Outcome(entry.value, Status.HIT, Tier.MEMORY, None, 0.0, math.inf)


class World(Simulation):
    """Processes that cache `f`, the source that `f` reads, and the promises made to callers.

    Attributes:
        versions: The present version of each key in the source.
        promises: What may be served to whom.
        notes: Anything that actors tell each other.
        nested: Makes what `f` does for a key besides reading the source, if nobody called it
            from there.
    """

    def __init__(self, backend: type[SimulatedBackend] = SimulatedBackend) -> None:
        super().__init__(backend)
        self.versions: dict[str, int] = {}
        self.promises = Promises(self.clock.monotonic, LAG)
        self._failed: dict[int, Expected] = {}
        self._nesting: set[int] = set()
        self._computed: dict[int, int] = {}
        self.notes: dict[str, Any] = {}
        self.nested: dict[str, Callable[[], Steps[Any]]] = {}

    def node(self, name: str, **options: Any) -> Node:
        """Add a process; options as for `Node`."""
        node = Node(self, name, **options)
        self.processes.append(node)
        return node

    def compute(self, key: str) -> Any:
        """Be the cached function."""
        if "failing" in self.notes:
            name = self.actors[self.acting].process
            self._failed[self.acting] = self.promises.expect(key, name.name if name else "")
            raise SourceFailed(key)
        version = self.versions.get(key, 0)
        self._computed[self.acting] = version
        self.promises.computed(key, version)
        if key in self.nested and self.acting not in self._nesting:
            self._nesting.add(self.acting)
            return self._nest(key, version)
        return version

    def _nest(self, key: str, version: int) -> Steps[int]:
        yield from self.nested[key]()
        return version

    def since_failure(self, expected: Expected) -> Expected:
        """Return what a reader must respect from when the function failed it: it looked again."""
        return self._failed.get(self.acting, expected)

    def change(self, *keys: str) -> dict[str, int]:
        """Change keys in the source; return their new versions."""
        changed = {key: self.versions.get(key, 0) + 1 for key in keys}
        self.versions.update(changed)
        return changed

    def state(self) -> Hashable:
        return (tuple(self.versions.items()), self.promises.state(), frozenset(self.notes.items()))

    def executed(self, actor: Actor, command: Command[Any], reply: Any) -> None:
        if isinstance(command, ReadThenBegin):
            command, reply = command.begin, reply[1]
        if isinstance(command, Begin):
            self.promises.begun(command, reply)
        elif isinstance(command, Fill) and reply and self.acting in self._computed:
            self.promises.filled(command.key.text.partition(":")[2], self._computed[self.acting])
        self.promises.watch(command, reply)

    def evict(self, name: str) -> None:
        """Have the shared tier lose a value, a stamp or a lease."""
        if name in self.backend.names():
            self.backend.evict(name)
            self.promises.evicted(name)

    def fail_over(self, to: Snapshot) -> None:
        """Have a replica take over that has got no further than this."""
        self.backend.rollback(to)
        self.promises.leases_lost()
        self.notes["failed over"] = True

    def ended(self) -> None:
        self.promises.ended()


World.constants = {
    **Simulation.constants,
    World: type,
    Node: attrgetter("name"),
    Connected: attrgetter("past"),
}
