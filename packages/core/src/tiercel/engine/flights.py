"""One computation per key in a process: who is filling what, and who may join."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from msgspec import field

from tiercel.engine.signal import Signal

HELD: ContextVar[tuple[Flight, ...]] = ContextVar("tiercel_held", default=())
"""The flights whose computation this code runs in, the outermost first."""


class Flight(Signal, eq=False):
    """One caller's way from a miss to a stored value, which others may join; set once it landed.

    Attributes:
        outcome: What the leader got, once landed; None if it failed.
        error: What the computation raised, or None.
        token: The lease that it holds or waits for, to recognise it in a reply.
        fresh: Tells whether a caller that arrives now may take the result (protocol rule 12).
        waits_for: The flights that the computation itself waits for now.
    """

    fresh: Callable[[], bool]
    outcome: Any = None
    error: BaseException | None = None
    token: bytes | None = None
    generation: bytes | None = None
    waits_for: list[Flight] = field(default_factory=list)

    def depends_on(self) -> Iterator[Flight]:
        """Yield the flights that must land before this one, itself included."""
        seen: set[int] = set()
        todo: list[Flight] = [self]
        while todo:
            flight = todo.pop()
            if id(flight) not in seen:
                seen.add(id(flight))
                yield flight
                todo.extend(flight.waits_for)


class Flights:
    """The flights of one function that have not landed yet.

    Each method is one atomic step under the interpreter's own locking of dictionaries.
    """

    __slots__ = ("_by_generation", "_by_key", "_by_token")

    def __init__(self) -> None:
        self._by_key: dict[Hashable, Flight] = {}
        self._by_token: dict[bytes, Flight] = {}
        self._by_generation: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._by_key) + len(self._by_token) + len(self._by_generation)

    def joinable(self, key: Hashable) -> Flight | None:
        """Return the flight that a caller arriving now may join, or None."""
        flight = self._by_key.get(key)
        return flight if flight is not None and flight.fresh() else None

    def open(self, key: Hashable, flight: Flight) -> Flight:
        """Let others find a flight by its key; return the one that is found from now on."""
        present = self._by_key.setdefault(key, flight)
        if present is flight or present.fresh():
            return present
        self._by_key[key] = flight
        return flight

    def follow(self, flight: Flight, token: bytes) -> Flight:
        """Let others find a flight by the lease that it holds, or that it waits for.

        Returns:
            The flight that is found from now on: this one, unless another was there before.
        """
        if flight.token is not None and flight.token != token:
            self._forget(flight, flight.token)
        flight.token = token
        return self._by_token.setdefault(token, flight)

    def lead(self, flight: Flight, token: bytes, generation: bytes) -> Flight:
        """Let others find a flight that was granted a lease which is no proof that it is the only.

        Args:
            flight: The flight.
            token: The lease.
            generation: What every flight has in common that may share its value.

        Returns:
            The flight that computes: this one, unless another of its generation does already.
        """
        leader = self._by_generation.setdefault(generation, flight)
        if leader is flight:
            flight.generation = generation
            self.follow(flight, token)
        return leader

    def land(self, key: Hashable, flight: Flight) -> None:
        """End a flight and let everybody who joined go on."""
        if self._by_key and self._by_key.get(key) is flight:
            self._by_key.pop(key, None)
        if flight.token is not None:
            self._forget(flight, flight.token)
        if flight.generation is not None:
            self._by_generation.pop(flight.generation, None)
        flight.set()

    def _forget(self, flight: Flight, token: bytes) -> None:
        if self._by_token.get(token) is flight:
            self._by_token.pop(token, None)

    def clear(self) -> None:
        """Forget all flights, as after a fork: their leaders live in another process."""
        self._by_key, self._by_token, self._by_generation = {}, {}, {}


def holds_any() -> bool:
    """Tell whether this code runs inside the computation of a flight that has not landed."""
    return any(not flight.is_set for flight in HELD.get())


@contextmanager
def waiting(flight: Flight) -> Iterator[bool]:
    """Note that the computations this code runs in wait for `flight`, as long as it is inside.

    Yields:
        Whether that can end: False if `flight` waits, over any number of others, for one of them.
    """
    blocked = [mine for mine in HELD.get() if not mine.is_set]
    for mine in blocked:
        mine.waits_for.append(flight)
    try:
        yield not blocked or all(other not in blocked for other in flight.depends_on())
    finally:
        for mine in blocked:
            mine.waits_for.remove(flight)
