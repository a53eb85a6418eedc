from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import pytest

from tiercel.errors import ConfigurationError
from tiercel.memory import Entry, FunctionTable, MemoryTier

INF = float("inf")


class VirtualClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


class Value:
    pass


def store(table: FunctionTable, key: Any, value: Any = 1, end: float = INF, **more: Any) -> Any:
    return table.commit(table.reserve(key, **more), value, end)


def test_entry_when_committed_then_found_until_its_hard_end() -> None:
    """An entry outlives its deadline for the slow path, but not its hard end."""
    clock = VirtualClock()
    table = MemoryTier(10, clock=clock).table("f")
    entry = table.commit(table.reserve("k"), "v", 105.0, 110.0, fill="meta")
    clock.now = 107.0
    assert table.find("k") is entry
    assert entry is not None
    assert (entry.value, entry.fill) == ("v", "meta")
    assert (entry.deadline, entry.hard) == (105.0, 110.0)
    clock.now = 110.0
    assert table.find("k") is None


def test_entry_when_dropped_then_unservable_in_every_way() -> None:
    """A hit that got hold of an entry before its drop finds no value in it."""
    table = MemoryTier(10).table("f")
    entry = store(table, "k")
    assert table.drop_key("k")
    assert not table.drop_key("k")
    assert entry.deadline == -INF
    entry.deadline = INF
    with pytest.raises(AttributeError):
        entry.value
    assert table.find("k") is None


def test_commit_when_key_was_dropped_meanwhile_then_refused_for_all_rivals() -> None:
    """A drop spoils every reservation of the key that was taken before it, none taken after."""
    table = MemoryTier(10).table("f")
    store(table, "k", "old")
    before = [table.reserve("k"), table.reserve("k")]
    table.drop_key("k")
    after = table.reserve("k")
    assert [entry.alive for entry in (*before, after)] == [False, False, True]
    assert [table.commit(entry, "stale", INF) for entry in before] == [None, None]
    assert table.commit(after, "new", INF) is table.find("k")
    assert table.statistics.refusals == 2


def test_reservations_when_committed_in_any_order_then_the_last_one_wins() -> None:
    """Several computations of one key may end in another order than they began."""
    table = MemoryTier(10).table("f")
    first, second = table.reserve("k"), table.reserve("k")
    table.commit(second, 2, INF)
    table.commit(first, 1, INF)
    found = table.find("k")
    assert found is not None
    assert found.value == 1
    assert len(table) == 1


def test_replaced_entry_when_tier_is_full_of_live_ones_then_nothing_else_is_evicted() -> None:
    """Refreshing the entries of a full tier costs no other entry its place."""
    tier = MemoryTier(8)
    table = tier.table("f")
    for _ in range(20):
        for key in range(8):
            store(table, key)
    assert len(table) == 8
    assert tier.evictions == 0
    assert len(tier) <= 10


def test_partition_when_parent_is_dropped_then_all_within_is_gone() -> None:
    """Nested partitions die with the one around them, siblings live."""
    tier = MemoryTier(10)
    table = tier.table("f", 2)
    store(table, 1, scopes=("f", "a", "a.x"))
    store(table, 2, scopes=("f", "a", "a.y"))
    store(table, 3, scopes=("f", "b", "b.x"))
    open_one = table.reserve(4, scopes=("f", "a", "a.x"))
    tier.drop_name("a")
    assert [entry.key for entry in tier.entries()] == [3]
    assert not open_one.alive
    fresh = table.reserve(4, scopes=("f", "a", "a.x"))
    assert table.commit(open_one, "old", INF) is None
    assert table.commit(fresh, "new", INF) is not None
    tier.drop_name("a.x")
    assert [entry.key for entry in tier.entries()] == [3]


def test_function_when_dropped_by_name_then_late_fills_are_refused() -> None:
    """Dropping a function swaps its dict and spoils what is being computed."""
    tier = MemoryTier(10)
    table = tier.table("f")
    seen: list[dict[Any, Entry]] = []
    table.follow(seen.append)
    entry = store(table, "k")
    late = table.reserve("late")
    tier.drop_name("f")
    assert seen == [{"k": entry, "late": late}, {}] or seen[1] is table.entries
    assert table.commit(late, 1, INF) is None
    assert len(table) == 0


def test_text_when_named_then_every_key_of_that_text_is_dropped() -> None:
    """Two fast keys may share one canonical text."""
    tier = MemoryTier(10, by_text=True)
    table = tier.table("f")
    store(table, "A", text="t")
    store(table, "a", text="t")
    store(table, "b", text="u")
    tier.drop_name("t")
    assert [entry.key for entry in tier.entries()] == ["b"]


def test_tag_when_dropped_then_entries_and_unknowing_reservations_are_spoiled() -> None:
    """A reservation whose tags depend on its result cannot outlive any tag message."""
    tier = MemoryTier(10)
    table = tier.table("f")
    store(table, 1, tags=("red",))
    store(table, 2, tags=("blue",))
    known = table.reserve(3, tags=("blue",))
    unknown = table.reserve(4, tags=None)
    tier.drop_tag("red")
    assert [entry.key for entry in tier.entries()] == [2]
    assert table.commit(known, 3, INF) is not None
    assert table.commit(unknown, 4, INF, tags=("blue",)) is None
    late = table.commit(table.reserve(5, tags=None), 5, INF, tags=("green",))
    tier.drop_name("green")
    assert late is not None
    assert not late.alive


def test_tags_when_not_reserved_then_commit_raises() -> None:
    """A tag that a drop in the meantime could not have reached is an error."""
    table = MemoryTier(10).table("f")
    with pytest.raises(ValueError, match="were not reserved"):
        table.commit(table.reserve(1), 1, INF, tags=("t",))


def test_clear_when_called_then_everything_is_gone_at_once() -> None:
    """Clearing frees values and spoils reservations of all functions."""
    tier = MemoryTier(10)
    table = tier.table("f")
    value = Value()
    gone = weakref.ref(value)
    store(table, 1, value)
    del value
    late = table.reserve(2)
    tier.clear()
    assert len(tier) == 0
    assert table.commit(late, 2, INF) is None
    del late
    gc.collect()
    assert gone() is None
    assert store(table, 3) is table.find(3)


def test_scopes_when_their_number_is_wrong_then_reserve_raises() -> None:
    """A table checks as many partition cells on a hit as it was made for."""
    table = MemoryTier(10).table("f", 1)
    with pytest.raises(ValueError, match="has 1 partitions"):
        table.reserve(1)
    with pytest.raises(ValueError, match="has 1 partitions"):
        table.reserve(1, scopes=("f", "a", "b"))


def test_table_when_asked_for_twice_then_shared_unless_partitions_differ() -> None:
    """One name is one table while it is alive."""
    tier = MemoryTier(10)
    table = tier.table("f")
    assert tier.table("f") is table
    with pytest.raises(ConfigurationError, match="give the function a name"):
        tier.table("f", 1)


@pytest.mark.parametrize("bounds", [(0, None), (1, 0)])
def test_tier_when_bound_is_below_one_then_error(bounds: tuple[int, int | None]) -> None:
    """A tier that can hold nothing is a mistake."""
    with pytest.raises(ConfigurationError, match="at least 1"):
        MemoryTier(*bounds)


def test_entries_when_many_keys_are_stored_then_memory_is_bounded() -> None:
    """100,000 distinct keys leave no more than the bound behind, in any structure."""
    evicted: list[int] = []
    tier = MemoryTier(1000, on_evict=evicted.append, by_text=True)
    table = tier.table("f", 1)
    for key in range(100_000):
        store(table, key, text=str(key), scopes=("f", f"p{key}"), tags=(f"t{key}",))
    held = len(tier)
    assert 970 <= held <= 1000
    assert len(table.entries) == len(tier._partitions) == held
    assert sum(evicted) == tier.evictions == table.statistics.evictions == 100_000 - held
    assert len(tier._names) == 2 * held
    ghosts = tier.queues._ghosts
    assert len(ghosts.newer) + len(ghosts.older) <= 600


def test_bytes_when_bounded_then_entries_leave_and_giants_are_refused() -> None:
    """Sizes count until entries are dropped, and one that never fits stores nothing."""
    tier = MemoryTier(100, max_bytes=1000)
    table = tier.table("f")
    for key in range(20):
        table.commit(table.reserve(key), key, INF, size=100)
    assert tier.bytes == 1000
    assert len(table) == 10
    for entry in list(tier.entries())[:5]:
        table.drop_key(entry.key)
    assert tier.bytes == 500
    assert table.commit(table.reserve("big"), b"", INF, size=1001) is None
    estimated = table.commit(table.reserve("text"), "x" * 50, INF)
    assert estimated is not None
    assert sys.getsizeof("x" * 50) < estimated.size < 1000


def test_expired_entries_when_others_are_written_then_swept() -> None:
    """Values of expired entries are freed by a bounded number of writes."""
    clock = VirtualClock()
    tier = MemoryTier(100, clock=clock)
    table = tier.table("f")
    values = [Value() for _ in range(50)]
    gone = [weakref.ref(value) for value in values]
    for key in range(50):
        store(table, key, values[key], end=110.0)
    del values
    clock.now = 111.0
    for _ in range(30):
        store(table, "other", end=200.0)
    assert all(ref() is None for ref in gone)
    assert len(table.entries) == 1
    assert tier.evictions == 0


def test_dropped_partition_when_others_are_written_then_its_values_are_freed() -> None:
    """What a drop leaves behind does not count forever."""
    tier = MemoryTier(100)
    table = tier.table("f", 1)
    for key in range(60):
        store(table, key, scopes=("f", "p"))
    tier.drop_name("p")
    for _ in range(40):
        store(table, "other", scopes=("f", "q"))
    assert len(table.entries) == 1
    assert len(tier) <= 5
    assert len(tier._partitions) == 1


def test_table_when_nobody_holds_it_then_its_values_are_freed() -> None:
    """The queues of a tier keep no collected function's values alive."""
    tier = MemoryTier(10)
    table = tier.table("f")
    value = Value()
    gone, ended = weakref.ref(value), weakref.ref(table)
    store(table, 1, value)
    del value, table
    gc.collect()
    assert gone() is None
    assert ended() is None
    assert list(tier.entries()) == []
    assert len(tier.table("f")) == 0


def test_finalizer_when_it_uses_the_tier_then_drops_count_and_nothing_breaks() -> None:
    """A value whose finalizer writes to the tier that evicts it deadlocks nothing."""
    tier = MemoryTier(1)
    table = tier.table("f")
    done: list[object] = []

    class Loud:
        def __del__(self) -> None:
            done.append(store(table, "from finalizer"))

    store(table, 1, Loud())
    store(table, 2)
    assert len(done) == 1
    assert len(table) == 1


def test_drop_when_it_hits_an_entry_that_is_leaving_then_the_bound_still_holds() -> None:
    """What a finalizer drops in the middle of an eviction is not counted twice."""
    tier = MemoryTier(256)
    table = tier.table("f")
    dropped: list[bool] = []
    doomed = iter(range(1, 256))

    class Key:
        def __hash__(self) -> int:
            if tier.busy:
                dropped.append(table.drop_key(next(doomed)))
            return 1

    store(table, Key())
    for key in range(1, 2000):
        store(table, key)
    assert True in dropped
    assert len(table) <= 256
    assert tier.queues.dropped == 0


def test_writer_when_it_interrupts_another_then_stores_nothing_but_drops() -> None:
    """While a write is in progress in this thread, a nested one is refused and a drop works."""
    tier = MemoryTier(10)
    table = tier.table("f", 1)
    kept = store(table, 1, scopes=("f", "p"))
    plain = tier.table("g")
    nested = plain.reserve(1)
    with tier.lock:
        tier.busy = True
        assert store(table, 2, scopes=("f", "p")) is None
        assert plain.commit(nested, 1, INF) is None
        assert table.drop_key(1)
        tier.busy = False
    assert not kept.alive
    store(plain, 2)
    assert list(plain.entries) == [2]
