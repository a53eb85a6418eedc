"""Random histories of commands against a model, written with Hypothesis.

The model knows what each entry was computed from and what was dropped since. Of every backend it
demands safety: nothing dropped, replaced or never accepted is served (P1, P3). Of an atomic one it
predicts each reply exactly (P4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tiercel.contracts.backend import (
    Begin,
    Capability,
    DropKey,
    DropScopes,
    Found,
    Granted,
    Held,
    Key,
    ReadMany,
    Release,
    Renew,
    Scope,
)
from tiercel.contracts.index import Index, Probe
from tiercel.testing.conformance.tier import LONG, TICK, Tier, served

PLACES = [("b", "p", "f"), ("a", "q", "f"), ("a", "p", "g"), ("a", "p", "f")]
"""Keys that share a function, a partition, a name; few, so that commands meet."""

LIVES = (TICK, LONG)


@dataclass
class Flight:
    """A lease that was granted, the generation it was granted in, and whether it was undone."""

    key: Key
    granted: Granted
    generation: tuple[int, ...]
    fence: int
    ends: float
    void: bool = False


@dataclass
class Entry:
    """An entry that was accepted."""

    body: bytes
    generation: tuple[int, ...]
    ends: float


class BackendMachine(RuleBasedStateMachine):
    """A few keys, any order of commands, one client."""

    flights: Bundle[Flight] = Bundle("flights")
    keys = st.sampled_from(PLACES)

    def __init__(self, make_tier: Callable[[], Tier], virtual_time: bool) -> None:
        super().__init__()
        self.tier = make_tier()
        self.virtual_time = virtual_time
        # The model's time stands still, so without a virtual clock no life may end.
        self.shortest = TICK if virtual_time else LONG
        self.atomic = Capability.ATOMIC in self.tier.backend.capabilities
        listed = Capability.INDEX in self.tier.backend.capabilities
        self.index = self.tier.index("f", limit=2) if listed else None
        self.overwrites = Capability.OVERWRITE in self.tier.backend.capabilities
        self.now = 0.0
        self.drops: dict[str, int] = {}
        self.entries: dict[str, Entry] = {}
        self.leases: dict[str, Flight] = {}
        self.granted_for: dict[str, list[Flight]] = {}
        self.bodies = 0

    def generation(self, key: Key) -> tuple[int, ...]:
        """Count the drops of each scope of a key."""
        return tuple(self.drops.get(name, 0) for name in key.scopes)

    def index_of(self, key: Key) -> Index | None:
        """Return the index of a key's function; the function `f` alone keeps one."""
        index = self.index
        return index if index is not None and key.scopes[0] == index.name else None

    def fence(self, key: Key) -> int:
        """Count the changes of the fence of a key's function."""
        index = self.index_of(key)
        return self.drops.get(index.fence, 0) if index is not None else 0

    def lease(self, key: Key) -> Flight | None:
        """Return the lease in force, whatever its generation."""
        flight = self.leases.get(key.text)
        return flight if flight and self.now < flight.ends else None

    def readable(self, key: Key) -> bytes | None:
        """Return what may be served."""
        entry = self.entries.get(key.text)
        if entry is None or self.now >= entry.ends or entry.generation != self.generation(key):
            return None
        return entry.body

    @initialize()
    def begin_empty(self) -> None:
        """A new name space holds nothing."""
        for place in PLACES:
            assert self.tier.value(self.tier.key(*place)) is None

    @rule(target=flights, place=keys, force=st.booleans(), life=st.sampled_from(LIVES))
    def begin(self, place: tuple[str, str, str], force: bool, life: float) -> Any:
        """Ask for a lease."""
        key, life = self.tier.key(*place), max(life, self.shortest)
        begun = self.tier.run(Begin(key, life, LONG, force=force, index=self.index_of(key)))
        lease, generation = self.lease(key), (self.generation(key), self.fence(key))
        held = lease is not None and (lease.generation, lease.fence) == generation
        if isinstance(begun, Found):
            assert not force
            assert self.readable(key) is not None
        elif isinstance(begun, Held):
            assert held
            assert not force
            assert lease is not None
            assert begun.token == lease.granted.token
        else:
            assert isinstance(begun, Granted)
            return self.granted(key, begun, force, held, life)
        return multiple()

    def granted(self, key: Key, begun: Granted, force: bool, held: bool, life: float) -> Flight:
        """Check a grant and note it."""
        if not force:
            assert self.readable(key) is None
            assert not (held and self.atomic), "two leases of one generation"
        if force and not self.atomic:
            self.entries.pop(key.text, None)
        if force or self.atomic:
            self.void(key)
        flight = Flight(key, begun, self.generation(key), self.fence(key), self.now + life)
        self.leases[key.text] = flight
        self.granted_for.setdefault(key.text, []).append(flight)
        return flight

    def void(self, key: Key) -> None:
        """Note that no flight of a key may show its result any more."""
        self.leases.pop(key.text, None)
        for flight in self.granted_for.pop(key.text, []):
            flight.void = True

    @rule(flight=flights, life=st.sampled_from(LIVES))
    def fill(self, flight: Flight, life: float) -> None:
        """Store what was computed when the lease was granted, perhaps not for the first time."""
        self.bodies += 1
        body, life, index = b"%d" % self.bodies, max(life, self.shortest), self.index_of(flight.key)
        if index is None:
            accepted = self.tier.fill(flight.key, flight.granted, body, life)
        else:
            accepted = self.tier.fill_noted(flight.key, flight.granted, index, body, life)
        holds = self.lease(flight.key) is flight
        if self.atomic:
            assert accepted is (holds and flight.fence == self.fence(flight.key))
        if accepted and flight.void:
            self.entries.pop(flight.key.text, None)
        elif accepted:
            self.entries[flight.key.text] = Entry(body, flight.generation, self.now + life)
        if holds:
            del self.leases[flight.key.text]

    @rule(target=flights, place=keys, force=st.booleans(), life=st.sampled_from(LIVES))
    def begin_and_fill(self, place: tuple[str, str, str], force: bool, life: float) -> Any:
        """Compute with nothing in between, the usual way."""
        flight = self.begin(place, force, LONG)
        if isinstance(flight, Flight):
            self.fill(flight, life)
        return flight

    @precondition(lambda self: self.overwrites)
    @rule(flight=flights, life=st.sampled_from(LIVES))
    def overwrite(self, flight: Flight, life: float) -> None:
        """Store a value under stamps that were in force when a lease was granted."""
        key, life = flight.key, max(life, self.shortest)
        if self.index_of(key) is not None:
            return
        self.bodies += 1
        body, current = b"%d" % self.bodies, flight.generation == self.generation(key)
        assert self.tier.overwrite(key, flight.granted, body, life) is current
        if current:
            self.entries[key.text] = Entry(body, flight.generation, self.now + life)
            self.void(key)

    @rule(flight=flights)
    def renew(self, flight: Flight) -> None:
        """Prolong a lease."""
        renewed = self.tier.run(Renew(flight.key, flight.granted.token, LONG))
        holds = self.lease(flight.key) is flight
        if self.atomic:
            assert renewed is holds
        if renewed and holds:
            flight.ends = self.now + LONG

    @rule(flight=flights)
    def release(self, flight: Flight) -> None:
        """Give a lease back."""
        self.tier.run(Release(flight.key, flight.granted.token))
        if self.lease(flight.key) is flight:
            del self.leases[flight.key.text]

    @rule(place=keys)
    def drop_key(self, place: tuple[str, str, str]) -> None:
        """Drop one entry: it, its lease and every flight of it are void."""
        key = self.tier.key(*place)
        entry = self.entries.pop(key.text, None)
        existed = self.tier.run(DropKey(key))
        if self.atomic:
            assert existed is (entry is not None and self.now < entry.ends)
        self.void(key)

    @rule(function=st.sampled_from("fg"), partition=st.sampled_from(["p", "q", None]))
    def drop_scope(self, function: str, partition: str | None) -> None:
        """Drop a function or a partition."""
        tier = self.tier
        scope = tier.partition(partition, function) if partition else tier.function(function)
        tier.drop(scope)
        self.drops[scope.name] = self.drops.get(scope.name, 0) + 1

    @precondition(lambda self: self.index is not None)
    @rule()
    def change_the_fence(self) -> None:
        """Keep out whoever is computing for `f` now; what is stored stays."""
        assert self.index is not None
        self.tier.drop(Scope(self.index.fence))
        self.drops[self.index.fence] = self.drops.get(self.index.fence, 0) + 1

    @precondition(lambda self: self.index is not None)
    @rule()
    def drop_what_is_listed(self) -> None:
        """Drop `f` and let its index begin anew."""
        assert self.index is not None
        self.tier.run(DropScopes((self.tier.function("f"),), LONG, indexes=(self.index,)))
        self.drops[self.index.name] = self.drops.get(self.index.name, 0) + 1

    @precondition(lambda self: self.virtual_time)
    @rule()
    def pass_time(self) -> None:
        """Let the short lives end."""
        self.tier.advance(2 * TICK)
        self.now += 2 * TICK

    @rule(place=keys)
    def read(self, place: tuple[str, str, str]) -> None:
        """A key serves what the model says."""
        key = self.tier.key(*place)
        assert self.tier.value(key) == self.readable(key)

    @invariant()
    def serves_what_the_model_says(self) -> None:
        """All keys together serve what the model says, after every step."""
        keys = [self.tier.key(*place) for place in PLACES]
        readings = self.tier.run(ReadMany(keys))
        found = [served(*pair) for pair in zip(keys, readings, strict=True)]
        assert found == [self.readable(key) for key in keys]

    @precondition(lambda self: self.index is not None)
    @invariant()
    def lists_what_the_model_says(self) -> None:
        """A listing that says so is complete, and its notes are those of the last fills."""
        keys = [self.tier.key(*place) for place in PLACES]
        bodies = {key.text: self.readable(key) for key in keys}
        assert self.tier.run(Probe(keys)) == [body is not None for body in bodies.values()]
        found, complete = self.tier.listed("f", count=1)
        for key in filter(self.index_of, keys):
            if (body := bodies[key.text]) is not None:
                assert found.get(key.text, body) == body
                assert not complete or key.text in found


def check_histories(
    make_tier: Callable[[], Tier], virtual_time: bool, examples: int, shrink: bool = True
) -> None:
    """Run random histories; a failure is shrunk and printed as a program."""
    phases = [Phase.generate, *([Phase.reuse, Phase.shrink] if shrink else [])]
    machine: Any = lambda: BackendMachine(make_tier, virtual_time)  # noqa: E731
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
        ),
    )
