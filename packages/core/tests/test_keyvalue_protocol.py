"""What stamps alone can promise: drops hold whatever a plain store loses, delays or ignores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from packages.core.tests.stores import WithAdd
from tiercel.contracts.backend import Backend, Begin, DropKey, Granted, Read
from tiercel.engine.keyvalue import SKEW, adapt
from tiercel.errors import BackendUnavailable
from tiercel.testing import BackendConformance, DictBackend, VirtualClock
from tiercel.testing.conformance.tier import LONG, Tier


class WithAsyncBulk(DictBackend):
    """Coroutines, many keys at a time."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.get(key) for key in keys]


class CannotDelete:
    """Get and set, nothing else."""

    def __init__(self, clock: VirtualClock) -> None:
        self._store = DictBackend(clock)

    def get(self, key: str) -> bytes | None:
        return self._store.get(key)

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self._store.set(key, value, ttl)


class TestAnyStore(BackendConformance):
    """The kit on stores that have more and less than a dict."""

    virtual_time = True
    examples = 10
    clock = VirtualClock()

    @pytest.fixture(params=[WithAdd, CannotDelete])
    def backend(self, request: pytest.FixtureRequest) -> Backend:
        return adapt(request.param(self.clock), self.clock)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestAsyncStore(BackendConformance):
    """The kit on coroutines."""

    virtual_time = True
    examples = 10
    clock = VirtualClock()

    @pytest.fixture
    def backend(self) -> Backend:
        return adapt(WithAsyncBulk(self.clock), self.clock)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_any_stamp_that_is_lost_makes_the_entry_unreadable_for_good(clock: VirtualClock) -> None:
    """Evicting a stamp of the function, the partition or the key costs a miss (P3)."""
    store = DictBackend(clock)
    tier = Tier(adapt(store, clock))
    key = tier.key()
    tier.store(key, b"value")
    for name in [name for name in store.cells if name.endswith(("!s", "!k"))]:
        kept = dict(store.cells)
        del store.cells[name]
        assert tier.value(key) is None
        assert isinstance(tier.run(Begin(key, LONG, LONG)), Granted)
        assert tier.value(key) is None
        store.cells = kept
        assert tier.value(key) == b"value"


def test_fill_after_the_stamp_of_the_key_was_lost_is_refused(clock: VirtualClock) -> None:
    """Without the stamp nobody can tell whether the key was dropped, so nothing is stored."""
    store = DictBackend(clock)
    tier = Tier(adapt(store, clock))
    key = tier.key()
    granted = tier.take(key)
    del store.cells[f"{key.text}!k"]
    assert tier.fill(key, granted, b"value") is False
    assert set(store.cells) == {f"{name}!s" for name in key.scopes}


def test_drop_of_a_key_holds_although_the_delete_fails(clock: VirtualClock) -> None:
    """The stamp changes first; a delete that raises is reported, and the value stays void."""

    class FailingDelete(DictBackend):
        def delete(self, key: str) -> None:
            raise OSError("read only")

    tier = Tier(adapt(FailingDelete(clock), clock))
    key = tier.key()
    tier.store(key, b"old")
    with pytest.raises(BackendUnavailable, match=r"FailingDelete\.delete\(\) failed"):
        tier.run(DropKey(key))
    assert tier.value(key) is None


class HidesFailures(DictBackend):
    """Loses its next writes, and says nothing of that; something may happen after the others."""

    hides_failures = True

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.losing = 0
        self.then: Callable[[], object] | None = None

    def set(self, key: str, value: bytes, ttl: float) -> None:
        if self.losing:
            self.losing -= 1
            return
        super().set(key, value, ttl)
        then, self.then = self.then, None
        if then is not None:
            then()


@pytest.mark.parametrize("way", ["key", "scope"])
def test_drop_when_failures_are_hidden_is_read_back(clock: VirtualClock, way: str) -> None:
    """It is tried again if it was lost, and is no drop if that does not help."""
    store = HidesFailures(clock)
    tier = Tier(adapt(store, clock))
    key = tier.key()
    for losing in (1, 1000):
        tier.store(key, b"old")
        store.losing = losing
        drop = (
            (lambda: tier.run(DropKey(key))) if way == "key" else lambda: tier.drop(tier.function())
        )
        if losing == 1:
            drop()
            assert tier.value(key) is None
        else:
            with pytest.raises(BackendUnavailable, match="did not keep a write, in silence"):
                drop()
        store.losing = 0


def test_drop_when_another_has_come_since_is_not_written_again(clock: VirtualClock) -> None:
    """Else what was filled between the two would be valid once more."""
    store = HidesFailures(clock)
    tier = Tier(adapt(store, clock))
    key = tier.key()

    def fill_and_drop() -> None:
        tier.store(key, b"old")
        tier.drop(tier.function())

    store.then = fill_and_drop
    tier.drop(tier.function())
    assert tier.value(key) is None


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_entry_when_the_wall_clock_jumps_is_a_miss(clock: VirtualClock, jump: float) -> None:
    """Entries from the future, or past their end, are not served."""
    tier = Tier(adapt(DictBackend(clock), clock))
    tier.store(tier.key(), b"value", life=300.0)
    clock.jump(jump)
    assert tier.value(tier.key()) is None


def test_remaining_when_clocks_differ_a_little_stays_within_the_life(clock: VirtualClock) -> None:
    """A writer whose clock is ahead does not prolong its entries."""
    tier = Tier(adapt(DictBackend(clock), clock))
    tier.store(tier.key(), b"value", life=300.0)
    clock.jump(-SKEW / 2)
    assert tier.run(Read(tier.key())).remaining == 300.0


def test_value_that_is_not_ours_is_a_miss(clock: VirtualClock) -> None:
    """Rubbish under our name is neither served nor an error."""
    store = DictBackend(clock)
    tier = Tier(adapt(store, clock))
    tier.store(tier.key(), b"value")
    for rubbish in (b"", b"short", bytes(16), b"\xff" * 200):
        store.set(f"{tier.key().text}!v", rubbish, LONG)
        assert tier.value(tier.key()) is None
