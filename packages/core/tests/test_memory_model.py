from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tiercel.hitpath import compile_hit_path
from tiercel.memory import Entry, MemoryTier

MISS = object()
KEYS = st.integers(0, 2)
TABLES = st.sampled_from(["plain", "nested"])


class VirtualClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


def scopes_of(table: str, key: int) -> tuple[str, ...]:
    return ("plain",) if table == "plain" else ("nested", f"p{key % 2}", f"p{key % 2}.{key}")


def text_of(table: str, key: int) -> str:
    return f"{table}:{key}"


class TierAgainstModel(RuleBasedStateMachine):
    """Values carry the versions of all they depend on; what is served must carry current ones."""

    max_entries = 4

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.evicted = 0
        self.tier = MemoryTier(
            self.max_entries, clock=self.clock, by_text=True, on_evict=self.count_evictions
        )
        self.tables = {"plain": self.tier.table("plain"), "nested": self.tier.table("nested", 2)}
        self.paths = {
            name: compile_hit_path(
                lambda key: key,
                arguments=["key"],
                table=table,
                slow=lambda key: MISS,
                clock=self.clock.monotonic,
            ).function
            for name, table in self.tables.items()
        }
        self.versions: Counter[str] = Counter()
        self.open: list[tuple[Entry, str, int, tuple[str, ...] | None, dict[str, int]]] = []

    def count_evictions(self, count: int) -> None:
        self.evicted += count

    def depends_on(self, table: str, key: int, tags: tuple[str, ...]) -> tuple[str, ...]:
        return (*scopes_of(table, key), text_of(table, key), *tags)

    def served(self, table: str, key: int) -> list[Any]:
        entry = self.tables[table].find(key)
        found = [self.paths[table](key)]
        if entry is not None:
            found.append(entry.value)
        return [value for value in found if value is not MISS]

    @rule(table=TABLES, key=KEYS, tags=st.sampled_from([(), ("t0",), ("t0", "t1"), None]))
    def reserve(self, table: str, key: int, tags: tuple[str, ...] | None) -> None:
        reservation = self.tables[table].reserve(
            key, text_of(table, key), scopes_of(table, key), tags
        )
        names = self.depends_on(table, key, ("t0", "t1"))
        seen = {name: self.versions[name] for name in names}
        self.open.append((reservation, table, key, tags, seen))
        assert reservation.alive

    @precondition(lambda self: self.open)
    @rule(data=st.data(), ttl=st.sampled_from([1.0, 5.0, float("inf")]), soft=st.booleans())
    def commit(self, data: st.DataObject, ttl: float, soft: bool) -> None:
        index = data.draw(st.integers(0, len(self.open) - 1))
        reservation, table, key, tags, seen = self.open.pop(index)
        result_tags = data.draw(st.sampled_from([(), ("t1",)])) if tags is None else tags
        names = self.depends_on(table, key, result_tags)
        value = {name: seen[name] for name in names}
        alive = reservation.alive
        hard = self.clock.now + ttl
        entry = self.tables[table].commit(
            reservation,
            value,
            self.clock.now if soft else hard,
            hard,
            tags=result_tags if tags is None else None,
        )
        current = all(self.versions[name] == version for name, version in value.items())
        assert (entry is not None) == alive
        assert current or not alive
        if current and tags is not None:
            assert entry is self.tables[table].find(key)
            assert soft == (self.paths[table](key) is MISS)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        reservation, table, *_ = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.tables[table].abandon(reservation)
        self.tables[table].abandon(reservation)

    @rule(table=TABLES, key=KEYS)
    def drop_key(self, table: str, key: int) -> None:
        self.versions[text_of(table, key)] += 1
        self.tables[table].drop_key(key)

    @rule(table=TABLES, key=KEYS, level=st.integers(0, 3))
    def drop_name(self, table: str, key: int, level: int) -> None:
        names = self.depends_on(table, key, ())
        name = names[min(level, len(names) - 1)]
        self.versions[name] += 1
        self.tier.drop_name(name)

    @rule(tag=st.sampled_from(["t0", "t1"]), pushed=st.booleans())
    def drop_tag(self, tag: str, pushed: bool) -> None:
        self.versions[tag] += 1
        if pushed:
            self.tier.drop_name(tag)
        else:
            self.tier.drop_tag(tag)

    @rule()
    def clear(self) -> None:
        self.versions.update(("plain", "nested"))
        self.tier.clear()

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def nothing_dropped_is_served(self) -> None:
        for table in self.tables:
            for key in range(3):
                for value in self.served(table, key):
                    for name, version in value.items():
                        assert self.versions[name] == version, (table, key, name)

    @invariant()
    def bound_holds(self) -> None:
        assert len(list(self.tier.entries())) <= self.max_entries
        assert len(self.tier) <= self.max_entries + self.max_entries // 4
        assert self.evicted == self.tier.evictions

    def teardown(self) -> None:
        for reservation, table, *_ in self.open:
            self.tables[table].abandon(reservation)
        self.clock.now = float("inf")
        for key in range(200):
            self.tables["plain"].abandon(self.tables["plain"].reserve(("end", key), "end"))
            self.tables["plain"].commit(
                self.tables["plain"].reserve(("end", key), f"end{key}"), key, 0.0
            )
        assert len(self.tables["nested"].entries) == 0
        assert len(self.tables["plain"].entries) <= self.max_entries
        assert len(self.tier._partitions) == 0
        assert not any(table.root.generation.rivals for table in self.tables.values())
        self.tier.clear()


TestTierAgainstModel = TierAgainstModel.TestCase
TestTierAgainstModel.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
