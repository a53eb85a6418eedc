"""Actors: generators that are resumed by hand, the processes they run in, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from msgspec import Struct

from tiercel.contracts.backend import Begin, Command, DropScopes, Mailbox, ReadThenBegin
from tiercel.engine.effects import Await, Run
from tiercel.engine.state import Engine

Steps = Generator[Any, Any, Any]


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


WAITING = frozenset({Await, Until, Choose})


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
        """Let go of the generators, in the context that they know, and of what they ask for.

        Effects are structs in which no search for garbage looks.
        """
        while self._stack:
            self.context.run(self._stack.pop().close)
        self.effect = self.reply = None


class Raised(Struct, frozen=True):
    """A reply that is to be raised."""

    error: BaseException


def replied(effect: Any, way: int) -> Any:
    """Return the reply to an effect that only waits or chooses."""
    if isinstance(effect, Await):
        return effect.signal.is_set
    return way if isinstance(effect, Choose) else None


def alone(command: Command[Any]) -> Steps:
    """Ask for one command."""
    return (yield command)


def in_turn(all_steps: Sequence[Steps]) -> Steps:
    """Run generators one after the other; return their results."""
    results = []
    for steps in all_steps:
        results.append((yield from steps))  # noqa: PERF401 - no comprehension may yield
    return results


def outcome(child: Actor) -> Steps:
    """Wait for the end of another actor; return its result, or raise its error."""
    yield Until(lambda: child.ended)
    if child.error is not None:
        raise child.error
    return child.result


def described(effect: Any) -> str:
    """Return an effect in words."""
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


def shortened(reply: Any) -> str:
    """Return a reply in words."""
    if isinstance(reply, Raised):
        return f"raises {reply.error!r}"
    text = "what it calls" if isinstance(reply, Generator) else repr(reply)
    return text if len(text) <= 160 else f"{text[:157]}..."
