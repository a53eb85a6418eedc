"""The engine's real generators as actors that are stepped by hand: no threads, no sleeping.

A `Simulation` holds processes that share one `SimulatedBackend` and one `VirtualClock`. Each actor
is a generator of the engine, or one of a test that yields the engine's effects and, besides,
`Pause`, `Until` and `Choose`. Who acts next is decided outside: by `interleave.explore`, which
tries everything, or by a seeded random choice.
"""

from __future__ import annotations

import os
import random
from asyncio import CancelledError
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, ClassVar

from msgspec.structs import replace

from tiercel.codec import SafeCodec
from tiercel.contracts.backend import (
    Command,
    DropKey,
    DropScopes,
    Fill,
    Key,
    Poll,
    Release,
)
from tiercel.engine import sync
from tiercel.engine.effects import Await, Detach, Enqueue, Gather, Launch, Listen, Run
from tiercel.engine.state import Call, Engine, Subject
from tiercel.errors import BackendRefused
from tiercel.memory.eviction import S3Fifo
from tiercel.plugins.observing import Observers
from tiercel.policy import Policy
from tiercel.testing.actors import (
    WAITING,
    Actor,
    Choice,
    Look,
    Process,
    Raised,
    Steps,
    Until,
    Violation,
    alone,
    described,
    in_turn,
    outcome,
    replied,
    shortened,
)
from tiercel.testing.clock import VirtualClock
from tiercel.testing.fingerprint import ATOMS, Canon
from tiercel.testing.simulated import SimulatedBackend

WAKING = (Fill, Release, DropKey, DropScopes)
"""Commands that may wake those who wait for a lease."""

FAR = 3_600.0
"""Seconds; what ends later than that does not end within a simulation."""

ENDLESS = 2_000
"""Steps after which a schedule is taken for one without end."""

TIME = -1
"""Number of the actor that acts when nobody else can: time passes until the next time-out."""


class Simulation:
    """Processes, actors and a shared tier, advanced one step at a time.

    Args:
        backend: The type of the shared tier, so that a wrong one can be tried.

    Attributes:
        taken: The choices so far.
        trace: What happened in them, in words, if `recording`.
        comparable: Whether fingerprints will be asked for; else it is faster.
        refused: Types of commands that the shared tier refuses now.
        acting: Number of the actor that takes the present step.
        patient: Whether time may pass when nobody can act; else that is a violation of P5.
    """

    constants: Mapping[type, Callable[[Any], Hashable]] = {
        Actor: attrgetter("name"),
        Call: attrgetter("key.text"),
        Engine: attrgetter("name"),
        Key: attrgetter("text"),
        Observers: type,
        Policy: repr,
        Process: attrgetter("name"),
        S3Fifo: type,
        SafeCodec: type,
        SimulatedBackend: type,
        Subject: attrgetter("name"),
        VirtualClock: type,
    }
    """What stands in a fingerprint for objects that are the same in every state, or that are
    looked at elsewhere. Queues count as the same: a simulation must not fill its memory tiers."""

    newest: ClassVar[Simulation]
    comparable = True

    def __init__(self, backend: type[SimulatedBackend] = SimulatedBackend) -> None:
        Simulation.newest = self
        self.clock = VirtualClock()
        self.backend = backend(self.clock, self.token)
        self.processes: list[Process] = []
        self.actors: list[Actor] = []
        self.taken: list[Choice] = []
        self.trace: list[str] = []
        self.recording = False
        self.patient = True
        self.refused: frozenset[type] = frozenset()
        self.log = 0
        self.states_by_log: dict[tuple[str | None, int], int] = {}
        self._numbers: dict[Hashable, int] = {}
        self.acting = TIME
        self._tokens: dict[int, int] = {}

    # What subclasses may refine

    def state(self) -> Hashable:
        """Return what besides processes, actors and the shared tier decides how it goes on."""
        return ()

    def executed(self, actor: Actor, command: Command[Any], reply: Any) -> None:
        """Called after each command that was executed; may raise `Violation`."""

    def ended(self) -> None:
        """Called when nobody has anything left to do; may raise `Violation`."""

    # Actors

    def add(
        self,
        name: str,
        steps: Steps,
        process: Process | None = None,
        *,
        daemon: bool = False,
        begun: bool = False,
    ) -> Actor:
        """Add an actor.

        Args:
            name: For traces.
            steps: What it does.
            process: Where; None for what happens outside all processes.
            daemon: Whether it may be left unfinished.
            begun: Whether it begins at once, with what nobody notices; saves states.
        """
        actor = self._join(Actor(name, steps, process, daemon=daemon))
        if begun:
            self._go_on(actor, None)
        return actor

    def before(self, steps: Steps, process: Process) -> Any:
        """Run a generator to its end before anything else happens; return its result."""
        process.crowd += 1
        actor = Actor("before", steps, process)
        while not actor.ended:
            self._take(actor, 0)
        process.crowd -= 1
        return actor.result

    def _join(self, actor: Actor) -> Actor:
        self.actors.append(actor)
        if actor.process is not None:
            actor.process.crowd += 1
        return actor

    def number(self, value: Hashable) -> int:
        """Return a number that stands for a value."""
        return self._numbers.setdefault(value, len(self._numbers) + 1)

    def remember(self, other: Simulation) -> None:
        """Share the numbers of another simulation of the same world."""
        self._numbers, self.states_by_log = other._numbers, other.states_by_log

    def token(self, length: int) -> bytes:
        """Return bytes that no other call returns, whatever the order in which actors act."""
        count = self._tokens[self.acting] = self._tokens.get(self.acting, 0) + 1
        return ((self.acting + 2) * 2**24 + count).to_bytes(length, "big")

    # Steps

    def choices(self) -> list[Choice]:
        """Return every step that can be taken now; none at the end."""
        found: list[Choice] = []
        for number, actor in enumerate(self.actors):
            if actor.ended or not (actor.process is None or actor.process.alive):
                continue
            if actor.answered or type(actor.effect) not in WAITING:
                found.append(Choice(number))
            else:
                found += [Choice(number, way) for way in range(self._ways(actor))]
        if not found and self._alarms():
            if not self.patient:
                raise Violation("P5: nobody can go on before a time-out: a wake was lost")
            found.append(Choice(TIME))
        return found

    def _ways(self, actor: Actor) -> int:
        effect = actor.effect
        if isinstance(effect, Await):
            return int(effect.signal.is_set or self.clock.monotonic() >= actor.deadline)
        return int(effect.condition()) if isinstance(effect, Until) else effect.count

    def _alarms(self) -> list[float]:
        waiting = [actor for actor in self.actors if isinstance(actor.effect, Await)]
        return [a.deadline for a in waiting if a.process is None or a.process.alive]

    def step(self, choice: Choice) -> None:
        """Take one step."""
        self.taken.append(choice)
        if len(self.taken) > ENDLESS:
            raise Violation(f"P5: no end after {ENDLESS} steps")
        if choice.actor == TIME:
            self.clock.advance(max(0.0, min(self._alarms()) - self.clock.monotonic()))
            self._note("time", f"passes until {self.clock.monotonic():g}")
            return
        self.acting = choice.actor
        self._take(self.actors[choice.actor], choice.way)

    def _take(self, actor: Actor, way: int) -> None:
        actor.steps += 1
        self._tell(actor.process, self.acting, way)
        effect = actor.effect
        if actor.answered:
            actor.answered = False
            self._go_on(actor, actor.reply)
        elif isinstance(effect, (Command, Run)):
            self._perform(actor)
        else:
            self._go_on(actor, replied(effect, way))
            if actor.solitary and isinstance(actor.effect, Command):
                self._perform(actor)

    def _perform(self, actor: Actor) -> None:
        """Do what an actor asks for; it receives the reply at once only if that is invisible."""
        effect = actor.effect
        try:
            if isinstance(effect, Run):
                reply = effect.function(*effect.args, **effect.kwargs)
            else:
                reply = self._execute(actor, effect)
        except Violation:
            raise
        except Exception as error:
            reply = Raised(error)
        else:
            if isinstance(effect, Command):
                self.executed(actor, effect, reply)
        if self.recording:
            self._note(actor.name, f"{described(effect)} -> {shortened(reply)}")
        if isinstance(reply, Generator):
            actor.call(reply)
            self._go_on(actor, None)
        elif actor.solitary:
            self._go_on(actor, reply)
        else:
            actor.answered, actor.reply = True, reply
            self._tell(actor.process, self.acting, reply)

    def _execute(self, actor: Actor, command: Command[Any]) -> Any:
        assert actor.process is not None
        if type(command) in self.refused:
            raise BackendRefused(f"simulated: {type(command).__name__} is refused")
        asked = replace(command, block=0.0) if isinstance(command, Poll) else command
        reply = sync.run(actor.process.engine, alone(asked))
        if isinstance(command, WAKING):
            for process in self.processes:
                if texts := process.deliver():
                    self._tell(process, TIME, texts)
        return reply

    def _tell(self, process: Process | None, whom: int, what: Any) -> None:
        """Note what a process, or the outside, was told when: it decides how it goes on."""
        if not self.comparable:
            return
        told = what if type(what) in ATOMS else Canon(self.constants)(what)
        place = self if process is None else process
        place.log = self.number((place.log, whom, told, self.clock.monotonic()))

    def _go_on(self, actor: Actor, reply: Any) -> None:
        """Resume an actor until it asks for something that others may notice."""
        while True:
            self._tell(actor.process, self.acting, reply)
            error = reply.error if isinstance(reply, Raised) else None
            effect = actor.effect = actor.resume(None if error else reply, error)
            reply = None
            if isinstance(effect, Await):
                actor.deadline = self.clock.monotonic() + max(effect.timeout, 0.0)
            if isinstance(effect, Gather):
                actor.call(in_turn(effect.all))
            elif isinstance(effect, Detach):
                actor.call(outcome(self._detach(actor, effect)))
            elif isinstance(effect, Launch):
                self._detach(actor, effect)
            elif isinstance(effect, Enqueue):
                self._enqueue(actor, effect)
            elif isinstance(effect, Look):
                reply = effect.at()
            elif isinstance(effect, Listen):
                assert actor.process is not None
                actor.process.listen()
            else:
                break
        self._describe_end(actor)

    def _describe_end(self, actor: Actor) -> None:
        if actor.ended:
            if actor.error is not None and not (actor.reports or actor.cancelled):
                raise Violation(f"P5: {actor.name} raised {actor.error!r}") from actor.error
            if self.recording:
                self._note(actor.name, f"ends with {shortened(actor.result)}")

    def _detach(self, actor: Actor, effect: Detach | Launch) -> Actor:
        context = actor.context.copy()
        return self._join(Actor(f"{actor.name}'", effect.steps, actor.process, context=context))

    def _enqueue(self, actor: Actor, effect: Enqueue) -> None:
        task: Any = effect.task
        self.add(f"{actor.name}+", task.steps(), getattr(task, "process", None) or actor.process)

    def cancel(self, actor: Actor) -> None:
        """Cancel an actor as asyncio cancels a task: where it waits, `CancelledError` is raised."""
        if not actor.ended:
            actor.cancelled, actor.answered = True, False
            self._go_on(actor, Raised(CancelledError()))

    def _note(self, who: str, what: str) -> None:
        if self.recording:
            self.trace.append(f"{self.clock.monotonic() - 1_000.0:6.2f}  {who:<10} {what}")

    # The whole

    def finish(self) -> None:
        """Judge a state in which nobody can act.

        Raises:
            Violation: Somebody is blocked for ever, or what `ended` finds.
        """
        for actor in self.actors:
            alive = actor.process is None or actor.process.alive
            if not actor.ended and not actor.daemon and alive:
                raise Violation(f"P5: {actor.name} is blocked for ever")
        self.ended()

    def fingerprint(self) -> Hashable:
        """Return a value that two simulations share only if they go on alike."""
        places = [self._known(self, None), *(self._known(p, p) for p in self.processes)]
        return (self.number(self._outside()), *places)

    def _known(self, place: Process | Simulation, process: Process | None) -> int:
        """Return what stands for the state of a process; worked out once for each log."""
        name = process.name if process is not None else None
        found = self.states_by_log.get((name, place.log))
        if found is None:
            own = process.state() if process is not None else ()
            value = Canon(self.constants)((own, self._states_in(process)))
            found = self.states_by_log[name, place.log] = self.number(value)
        return found

    def _outside(self) -> Hashable:
        now = self.clock.monotonic()
        stored = self.backend.snapshot()
        cells = sorted(
            (name, cell.data, min(cell.deadline, now + FAR))
            for name, cell in stored.cells.items()
            if cell.deadline > now
        )
        alive = tuple([process.alive for process in self.processes])
        faults = (self.backend.unreachable, self.refused)
        return (now, faults, alive, tuple(cells), stored.stream, self.state())

    def _states_in(self, process: Process | None) -> list[Sequence[Any]]:
        return [actor.state() for actor in self.actors if actor.process is process]

    def close(self) -> None:
        """Let go of everything."""
        for actor in self.actors:
            actor.close()


@contextmanager
def repeatable() -> Iterator[None]:
    """Have everything random decided by the newest simulation, the same in every run."""
    replaced = (os.urandom, random.random, random.uniform)
    os.urandom = lambda size, /: Simulation.newest.token(size)
    random.random = lambda: 0.5
    random.uniform = lambda a, b: (a + b) / 2
    try:
        yield
    finally:
        os.urandom, random.random, random.uniform = replaced
