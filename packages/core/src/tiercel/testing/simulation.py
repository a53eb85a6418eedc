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
from contextvars import Context
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tiercel.contracts.backend import (
    Begin,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Key,
    Mailbox,
    Poll,
    ReadThenBegin,
    Release,
)
from tiercel.engine import sync
from tiercel.engine.effects import Await, Detach, Enqueue, Gather, Listen, Run
from tiercel.codec import SafeCodec
from tiercel.engine.state import Call, Engine, Subject
from tiercel.errors import BackendRefused
from tiercel.memory.eviction import S3Fifo
from tiercel.plugins.observing import Observers
from tiercel.policy import Policy
from tiercel.testing.clock import VirtualClock
from tiercel.testing.fingerprint import ATOMS, Canon
from tiercel.testing.simulated import SimulatedBackend

Steps = Generator[Any, Any, Any]

WAKING = (Fill, Release, DropKey, DropScopes)
"""Commands that may wake those who wait for a lease."""

FAR = 3_600.0
"""Seconds; what ends later than that does not end within a simulation."""

ENDLESS = 2_000
"""Steps after which a schedule is taken for one without end."""

TIME = -1
"""Number of the actor that acts when nobody else can: time passes until the next time-out."""


class Violation(AssertionError):
    """A promise of the protocol was broken."""


class Pause(Struct, frozen=True):
    """Let the others act; what follows, up to the next command, is one step."""


class Look(Struct, frozen=True):
    """Look at the world, or change it, within the present step; replies what `at` returns.

    It is the only way in which an actor may learn anything: what it has been told is what a
    checker recognises its state by.
    """

    at: Callable[[], Any]


class Until(Struct, frozen=True):
    """Let the others act until `condition` holds."""

    condition: Callable[[], bool]


class Choose(Struct, frozen=True):
    """Go on in `count` different ways; replies 0 to `count` - 1."""

    count: int


class Choice(NamedTuple):
    """One possible next step: which actor acts, and in which of its ways."""

    actor: int
    way: int = 0


class Process:
    """One operating system process: an engine, and the actors that run in it.

    Attributes:
        name: For traces.
        engine: The cache of this process.
        alive: False once it was killed: its actors never act again.
        crowd: How many actors it has.
        log: Number that stands for everything that it has been told so far, in order.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.alive = True
        self.crowd = 0
        self.log = 0
        self._mailbox: Mailbox | None = None

    @property
    def solitary(self) -> bool:
        """Whether nobody can notice when its only actor receives a reply."""
        return self.crowd == 1 and self.engine.memory is None

    def state(self) -> Sequence[Any]:
        """Return everything that decides how its actors go on; subclasses add their own."""
        engine = self.engine
        return (engine.wakes, engine.memory, engine.channel, engine.pending, engine.breaker)

    def listen(self) -> None:
        """Open the mailbox, as `Wakes.open` does, but without its thread."""
        wakes, backend = self.engine.wakes, self.engine.backend
        assert wakes is not None and backend is not None
        if not wakes.settled:
            self._mailbox = backend.open_mailbox(self.name)
            wakes.address, wakes.settled = self.name, True

    def deliver(self) -> Sequence[str]:
        """Hand out the wakes that have arrived, and return them."""
        wakes = self.engine.wakes
        if self._mailbox is None or wakes is None:
            return ()
        texts = self._mailbox.receive(timeout=0.0)
        for text in texts:
            wakes.wake(text)
        return texts


class Actor:
    """A generator that is resumed step by step, in a context of its own.

    Attributes:
        name: For traces.
        process: Where it runs; None for what happens outside all processes.
        daemon: Whether it may be left unfinished.
        reports: Whether what it raises goes to the actor that started it.
        steps: How many steps it has taken.
        effect: What it asks for now; None before its start and after its end.
        result: What it returned.
        error: What it raised, if another actor is to get it.
    """

    def __init__(
        self,
        name: str,
        steps: Steps,
        process: Process | None,
        *,
        daemon: bool = False,
        context: Context | None = None,
    ) -> None:
        self.name = name
        self.process = process
        self.daemon = daemon
        self.reports = context is not None
        self.steps = 0
        self.ended = self.cancelled = self.answered = False
        self.effect: Any = None
        self.reply: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.deadline = 0.0
        self.context = Context() if context is None else context
        self._stack: list[Steps] = [steps]

    @property
    def solitary(self) -> bool:
        """Whether receiving a reply is invisible to everybody else."""
        return self.process is None or self.process.solitary

    def state(self) -> Sequence[Any]:
        """Return everything that decides how it goes on."""
        flights = tuple(self.context.values())
        reply = self.reply if self.answered else None
        waits = self.effect if not self.answered else None
        return (self.steps, self.ended, self.deadline, waits, reply, flights, self._stack)

    def call(self, steps: Steps) -> None:
        """Run a generator to its end before this one goes on with its result."""
        self._stack.append(steps)

    def resume(self, reply: Any = None, error: BaseException | None = None) -> Any:
        """Go on until the next effect, and return it; None at the end."""
        while self._stack:
            steps = self._stack[-1]
            try:
                if error is not None:
                    return self.context.run(steps.throw, error)
                return self.context.run(steps.send, reply)
            except StopIteration as stop:
                reply, error = stop.value, None
            except Violation:
                raise
            except BaseException as raised:
                reply, error = None, raised
            self._stack.pop()
        self.ended, self.result, self.error = True, reply, error
        return None

    def close(self) -> None:
        """Let go of the generators, in the context that they know."""
        while self._stack:
            self.context.run(self._stack.pop().close)


class Simulation:
    """Processes, actors and a shared tier, advanced one step at a time.

    Args:
        backend: The type of the shared tier, so that a wrong one can be tried.

    Attributes:
        taken: The choices so far.
        trace: What happened in them, in words, if `recording`.
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
            begun: Whether it begins at once, with something that nobody notices, instead of when
                it is first chosen. Saves states.
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
            found += [Choice(number, way) for way in range(self._ways(actor))]
        if not found and self._alarms():
            if not self.patient:
                raise Violation("P5: nobody can go on before a time-out: a wake was lost")
            found.append(Choice(TIME))
        return found

    def _ways(self, actor: Actor) -> int:
        if actor.ended or not (actor.process is None or actor.process.alive):
            return 0
        effect = actor.effect
        if actor.answered or effect is None:
            return 1
        if isinstance(effect, Await):
            return int(effect.signal.is_set or self.clock.monotonic() >= actor.deadline)
        if isinstance(effect, Until):
            return int(effect.condition())
        return effect.count if isinstance(effect, Choose) else 1

    def _alarms(self) -> list[float]:
        return [
            actor.deadline
            for actor in self.actors
            if isinstance(actor.effect, Await)
            and not actor.daemon
            and (actor.process is None or actor.process.alive)
        ]

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
            self._go_on(actor, _replied(effect, way))
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
            reply = _Raised(error)
        else:
            if isinstance(effect, Command):
                self.executed(actor, effect, reply)
        if self.recording:
            self._note(actor.name, f"{_described(effect)} -> {_shortened(reply)}")
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
        reply = sync.run(actor.process.engine, _alone(asked))
        if isinstance(command, WAKING):
            for process in self.processes:
                if texts := process.deliver():
                    self._tell(process, TIME, texts)
        return reply

    def _tell(self, process: Process | None, whom: int, what: Any) -> None:
        """Note what a process, or the outside, was told when: it decides how it goes on."""
        told = what if type(what) in ATOMS else Canon(self.constants)(what)
        place = self if process is None else process
        place.log = self.number((place.log, whom, told, self.clock.monotonic()))

    def _go_on(self, actor: Actor, reply: Any) -> None:
        """Resume an actor until it asks for something that others may notice."""
        while True:
            self._tell(actor.process, self.acting, reply)
            error = reply.error if isinstance(reply, _Raised) else None
            effect = actor.effect = actor.resume(None if error else reply, error)
            reply = None
            if isinstance(effect, Await):
                actor.deadline = self.clock.monotonic() + max(effect.timeout, 0.0)
            if isinstance(effect, Gather):
                actor.call(_in_turn(effect.all))
            elif isinstance(effect, Detach):
                actor.call(_outcome(self._detach(actor, effect)))
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
                self._note(actor.name, f"ends with {_shortened(actor.result)}")

    def _detach(self, actor: Actor, effect: Detach) -> Actor:
        context = actor.context.copy()
        return self._join(Actor(f"{actor.name}'", effect.steps, actor.process, context=context))

    def _enqueue(self, actor: Actor, effect: Enqueue) -> None:
        task: Any = effect.task
        self.add(f"{actor.name}+", task.steps(), actor.process)

    def cancel(self, actor: Actor) -> None:
        """Cancel an actor as asyncio cancels a task: where it waits, `CancelledError` is raised."""
        if not actor.ended:
            actor.cancelled, actor.answered = True, False
            self._go_on(actor, _Raised(CancelledError()))

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
        found = self.states_by_log.get((process and process.name, place.log))
        if found is None:
            own = process.state() if process is not None else ()
            value = Canon(self.constants)((own, self._states_in(process)))
            found = self.states_by_log[process and process.name, place.log] = self.number(value)
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


class _Raised(Struct, frozen=True):
    error: BaseException


def _replied(effect: Any, way: int) -> Any:
    """Return the reply to an effect that only waits or chooses."""
    if isinstance(effect, Await):
        return effect.signal.is_set
    return way if isinstance(effect, Choose) else None


def _alone(command: Command[Any]) -> Steps:
    return (yield command)


def _in_turn(all_steps: Sequence[Steps]) -> Steps:
    results = []
    for steps in all_steps:
        results.append((yield from steps))  # noqa: PERF401 - no comprehension may yield
    return results


def _outcome(child: Actor) -> Steps:
    yield Until(lambda: child.ended)
    if child.error is not None:
        raise child.error
    return child.result


def _described(effect: Any) -> str:
    name = type(effect).__name__
    if isinstance(effect, Run):
        return "computes"
    if isinstance(effect, ReadThenBegin):
        return f"{name}({effect.begin.key.text})"
    if isinstance(effect, DropScopes):
        return f"{name}({', '.join(scope.name for scope in effect.scopes)})"
    key = getattr(effect, "key", None)
    force = ", force" if isinstance(effect, Begin) and effect.force else ""
    return f"{name}({key.text}{force})" if key is not None else name


def _shortened(reply: Any) -> str:
    if isinstance(reply, _Raised):
        return f"raises {reply.error!r}"
    text = repr(reply)
    return text if len(text) <= 160 else f"{text[:157]}..."


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
