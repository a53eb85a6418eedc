"""Tries every interleaving of the actors of a `Simulation`, or random ones that can be replayed.

`explore` is an explicit-state model checker (Holzmann, "The Model Checker SPIN", 1997; Godefroid's
VeriSoft for running real code): depth first, from the start each time since generators cannot be
copied, turning back at every state it has seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import TypeVar

from msgspec import Struct

from tiercel.testing.actors import Choice, Violation
from tiercel.testing.simulation import Simulation, repeatable

World = TypeVar("World", bound=Simulation)


class Failure(Struct, frozen=True):
    """A schedule that breaks a promise.

    Attributes:
        broken: Which promise, and how.
        schedule: The choices that lead there.
        trace: The same in words, one line per step.
    """

    broken: str
    schedule: Sequence[Choice]
    trace: Sequence[str]

    def __str__(self) -> str:
        return "\n".join((self.broken, *self.trace))


class Exploration(Struct, frozen=True):
    """What `explore` has seen.

    Attributes:
        states: How many different states.
        transitions: How many steps lead from one to another.
        seconds: How long it took.
        complete: Whether there is nothing else to see; False at a limit.
        failure: The first violation, or None.
    """

    states: int
    transitions: int
    seconds: float
    complete: bool
    failure: Failure | None


def explore(
    make: Callable[[], Simulation],
    *,
    states: int = 1_000_000,
    seconds: float = 600.0,
    seed: int | None = None,
) -> Exploration:
    """Try every interleaving of the actors, until a promise is broken or nothing is left.

    Args:
        make: Sets up the same simulation each time.
        states: Gives up after this many states.
        seconds: Gives up after this long.
        seed: Tries them in an order that chance decides, which finds a violation sooner; None:
            depth first.
    """
    began = time.perf_counter()
    search = _Search(make, None if seed is None else Random(seed))
    failure = None
    while search.pending and failure is None:
        if len(search.seen) > states or time.perf_counter() - began > seconds:
            break
        failure = search.follow(search.next())
    took = time.perf_counter() - began
    complete = failure is None and not search.pending
    return Exploration(len(search.seen), search.transitions, took, complete, failure)


class _Search:
    """The states that were seen, and the schedules that are still to be tried."""

    def __init__(self, make: Callable[[], Simulation], random: Random | None) -> None:
        self._make = make
        self._random = random
        self._first: Simulation | None = None
        self.seen: set[Hashable] = set()
        self.pending: list[tuple[Choice, ...]] = [()]
        self.transitions = 0

    def next(self) -> Sequence[Choice]:
        """Take one of the schedules that are still to be tried."""
        if self._random is not None:
            chosen = self._random.randrange(len(self.pending))
            self.pending[chosen], self.pending[-1] = self.pending[-1], self.pending[chosen]
        return self.pending.pop()

    def follow(self, schedule: Sequence[Choice]) -> Failure | None:
        """Replay a schedule and go on from there until a state that was seen, or the end."""
        with running(self._make, self._first) as simulation:
            self._first = self._first or simulation
            try:
                for choice in schedule:
                    simulation.step(choice)
                while (state := simulation.fingerprint()) not in self.seen:
                    self.seen.add(state)
                    choices = simulation.choices()
                    if not choices:
                        simulation.finish()
                        break
                    if self._random is not None:
                        self._random.shuffle(choices)
                    self.transitions += len(choices)
                    self.pending += [(*simulation.taken, other) for other in choices[1:]]
                    simulation.step(choices[0])
            except Violation:
                return replay(self._make, simulation.taken)
        return None


def replay(make: Callable[[], Simulation], schedule: Sequence[Choice]) -> Failure | None:
    """Take the steps of a schedule; return in words how it fails, or None if it does not."""
    with running(make) as simulation:
        simulation.recording = True
        try:
            for choice in schedule:
                simulation.step(choice)
            if not simulation.choices():
                simulation.finish()
        except Violation as violation:
            return Failure(str(violation), tuple(schedule), tuple(simulation.trace))
    return None


def run_at_random(make: Callable[[], World], seed: int) -> tuple[World, Failure | None]:
    """Let chance decide who acts next, until nobody can; the same for the same seed.

    Returns:
        The simulation at its end, and how it failed, if so.
    """
    random = Random(seed)
    with running(make) as simulation:
        try:
            while choices := simulation.choices():
                simulation.step(random.choice(choices))
            simulation.finish()
        except Violation:
            return simulation, replay(make, simulation.taken)
    return simulation, None


@contextmanager
def running(make: Callable[[], World], like: Simulation | None = None) -> Iterator[World]:
    """Set up a simulation and let it decide everything random, until it is closed."""
    with repeatable():
        simulation = make()
        if like is not None:
            simulation.remember(like)
        try:
            yield simulation
        finally:
            simulation.close()
