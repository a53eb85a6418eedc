"""A shared tier in an earlier state: what was dropped lately is dropped again, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.races.world import Connected
from tiercel import ArgsKeyField, Cache, ConfigurationError
from tiercel.contracts.backend import DropKey, DropScopes, Key, Scope
from tiercel.contracts.reversal import Replay
from tiercel.engine.channel import Channel
from tiercel.engine.effects import Steps
from tiercel.engine.journal import Journal
from tiercel.engine.outage import PendingDrops
from tiercel.errors import BackendUnavailable
from tiercel.memory import MemoryTier
from tiercel.testing import SimulatedBackend, VirtualClock

WINDOW = 60.0
FUNCTION = Scope("t:f:v1!1.0")


def key(number: int) -> Key:
    """Return the key of one call of the function."""
    partition = f"t:f:v1:p={number}"
    return Key(f"{partition}:", (FUNCTION.name, f"{partition}!1.0"), str(number))


class Observed:
    """A process without threads: a journal, what it owes, and the channel that it follows."""

    def __init__(self, limit: int = 100) -> None:
        self.clock = VirtualClock()
        self.store = SimulatedBackend(self.clock)
        self.journal = Journal(self.clock, WINDOW, limit)
        self.pending = PendingDrops()
        self.pending.journal = self.journal
        self.channel = Channel(MemoryTier(10, clock=self.clock), self.clock, 0.5)
        self.channel.journal, self.channel.reverted = self.journal, self.pending.owe_again
        self.poll()
        self.poll()

    def run(self, steps: Steps[Any]) -> Any:
        """Carry out steps that ask for commands only."""
        reply: Any = None
        try:
            while True:
                command: Any = steps.send(reply)
                reply = self.store.execute(command)
        except StopIteration as end:
            return end.value

    def poll(self) -> bool:
        """Follow the channel; return whether it was whole."""
        return bool(self.run(self.channel.poll()))

    def drop(self, drop: Any) -> None:
        """Have another process drop something."""
        self.store.execute(drop)


@pytest.fixture
def observed() -> Observed:
    """A process that follows the channel."""
    return Observed()


def scopes_of(journal: Journal) -> set[str]:
    """Return what would be dropped again."""
    return set(journal.recall())


def test_journal_when_the_window_has_passed_then_it_remembers_nothing() -> None:
    """What was dropped longer ago has reached every replica, or never will."""
    clock = VirtualClock()
    journal = Journal(clock, WINDOW)
    journal.note(DropKey(key(1)))
    clock.advance(WINDOW / 2)
    journal.hear("00", ("t!tag:x", "", FUNCTION.name))
    assert scopes_of(journal) == {key(1).text, "t!tag:x", FUNCTION.name}
    clock.advance(WINDOW / 2 + 1)
    assert scopes_of(journal) == {"t!tag:x", FUNCTION.name}
    clock.advance(WINDOW / 2)
    assert scopes_of(journal) == set()


def test_journal_when_a_name_was_announced_in_many_channels_then_it_returns_to_all() -> None:
    """A function is spread over a Cluster, and dropped in each part of it."""
    journal = Journal(VirtualClock(), WINDOW)
    for channel in ("01", "00", "00", "02"):
        journal.hear(channel, (FUNCTION.name,))
    journal.hear("01", ("t!tag:x", FUNCTION.name))
    everywhere = Replay(("00", "01", "02"), (FUNCTION.name,))
    assert journal.recall() == {FUNCTION.name: everywhere, "t!tag:x": Replay(("01",), ("t!tag:x",))}
    pending = PendingDrops()
    pending.journal = journal
    pending.owe_again()
    journal.note(DropScopes((FUNCTION,), 60.0))
    pending.owe_again()
    assert pending.among([FUNCTION.name]) == [DropScopes((FUNCTION,), 60.0)]


def test_journal_when_it_is_full_then_it_remembers_functions() -> None:
    """Memory is bounded, and what is dropped again is never less than what was dropped."""
    clock = VirtualClock()
    journal = Journal(clock, WINDOW, limit=10)
    other = Scope("t:ns:g:v1!0.0")
    for function in (FUNCTION, other):
        journal.cover(function, 60.0)
    for number in range(8):
        journal.note(DropKey(key(number)))
    journal.hear("00", (key(8).scopes[1], key(9).text, f"{FUNCTION.name}!fence"))
    assert set(journal.recall().items()) == {(FUNCTION.name, DropScopes((FUNCTION,), 60.0))}
    journal.note(DropKey(key(1)))
    assert scopes_of(journal) == {FUNCTION.name, key(1).text}
    clock.advance(WINDOW + 1)
    assert scopes_of(journal) == set()


def test_journal_when_a_tag_does_not_fit_then_all_functions_stand_for_it() -> None:
    """A tag, or a function that only others have, belongs to no function of this process."""
    journal = Journal(VirtualClock(), WINDOW, limit=1)
    others = [FUNCTION, Scope("t:ns:g:v1!0.0")]
    for function in others:
        journal.cover(function, 60.0)
    journal.note(DropScopes((Scope("t!tag:x"), Scope("t!tag:y")), 60.0))
    assert scopes_of(journal) == {function.name for function in others}


def test_journal_when_millions_are_dropped_then_it_stays_small() -> None:
    """However many drops there are in a window."""
    journal = Journal(VirtualClock(), WINDOW, limit=100)
    journal.cover(FUNCTION, 60.0)
    for number in range(5_000):
        journal.hear("00", (key(number).text,))
        assert len(journal._noted) <= 100
    assert len(journal.recall()) <= 101


def test_channel_when_it_goes_back_then_everything_is_owed_once(observed: Observed) -> None:
    """What was announced is dropped again with one command; that is no reason to do so again."""
    before = observed.store.snapshot()
    observed.drop(DropKey(key(1)))
    observed.drop(DropScopes((Scope("t!tag:x"),), 60.0))
    assert observed.poll()
    observed.store.rollback(before)
    assert not observed.poll()
    assert len(observed.pending) == 2
    observed.store.commands.clear()
    assert observed.run(observed.pending.settle()) == 2
    assert [type(each) for each in observed.store.commands] == [Replay]
    assert [observed.poll() for _ in range(3)] == [True] * 3
    assert not observed.pending


@pytest.mark.parametrize("happens", ["trimmed", "trimmed_to_one", "read_late"])
def test_channel_when_it_has_a_gap_then_nothing_is_dropped_again(
    observed: Observed, happens: str
) -> None:
    """A reader that was cut off for long empties its memory, as often as that happens."""
    for _ in range(5):
        for number in range(20):
            observed.drop(DropKey(key(number)))
        if happens == "read_late":
            observed.store._stream = (*observed.store._stream[:2], *observed.store._stream[-5:])
        else:
            observed.store.trim_stream(1 if happens == "trimmed_to_one" else 10)
        assert not observed.poll()
        assert not observed.pending


def test_channel_when_it_is_lost_then_everything_is_owed_once(observed: Observed) -> None:
    """An empty server, or one that has evicted the channel: the two look alike."""
    observed.drop(DropKey(key(1)))
    assert observed.poll()
    observed.store.lose_stream()
    assert not observed.poll()
    assert observed.run(observed.pending.settle()) == 1
    observed.poll()
    assert [observed.poll() for _ in range(3)] == [True] * 3
    assert not observed.pending


def test_drop_when_the_store_goes_back_while_it_is_paid_then_it_stays_owed(
    observed: Observed,
) -> None:
    """An acknowledgement from before that is worth nothing."""
    observed.pending.add(DropKey(key(1)), FUNCTION)
    steps = observed.pending.settle()
    reply = observed.store.execute(next(steps))  # type: ignore[arg-type]
    observed.pending.owe_again()
    with pytest.raises(BackendUnavailable):
        steps.send(reply)
    assert observed.pending.covers(key(1))


@pytest.fixture
def store() -> SimulatedBackend:
    """A store that real processes share."""
    return SimulatedBackend()


@pytest.mark.parametrize("window", [WINDOW, 0])
@pytest.mark.parametrize("memory", [0, 100])
def test_cache_when_its_store_goes_back_then_the_window_decides(
    store: SimulatedBackend, window: float, memory: int
) -> None:
    """With a window the dropped value stays dropped; with none the store has the last word."""
    version = [0]
    cache = Cache(backend=Connected(store), memory=memory, replay_window=window, clock=store.clock)

    @cache.cached(key={"user": ArgsKeyField("user", partition=True)}, ttl=600)
    def present(user: int) -> int:
        return version[0]

    assert present(1) == 0
    before = store.snapshot()
    version[0] = 1
    present.delete_by_prefix(user=1)
    store.rollback(before)
    assert [present(1) for _ in range(3)] == ([1] * 3 if window else [0] * 3)
    cache.close()


def test_cache_when_its_store_goes_back_all_the_time_then_the_log_says_so_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that evicts the channel again and again looks like that."""
    clock = VirtualClock()
    backend = Connected(SimulatedBackend(clock))
    cache = Cache(backend=backend, memory=0, clock=clock)
    present = cache.cached(ttl=600, name="present")(lambda: 0)
    present.invalidate_all()
    for _ in range(5):
        backend.reverted()
    clock.advance(61.0)
    present.invalidate_all()
    backend.reverted()
    first, second = [each.getMessage() for each in caplog.records if "earlier" in each.getMessage()]
    assert "more times" not in first
    assert second.endswith("(and 4 more times before)")
    cache.close()


def test_cache_when_its_store_never_goes_back_then_it_keeps_no_journal() -> None:
    """Objects of users, and memory alone, cost nothing."""
    for cache in (Cache(), Cache(backend=SimulatedBackend())):
        assert cache.engine.pending.journal is None
        cache.close()


def test_window_when_it_is_no_time_then_it_is_refused() -> None:
    """Misuse is an error at start-up; 0 turns it off."""
    Cache("memory://?replay_window=0")
    for wrong in ("-1", "soon", "inf"):
        with pytest.raises(ConfigurationError, match="replay_window"):
            Cache(f"memory://?replay_window={wrong}")
