"""Stores that get and set wrongly, or add what is there, are caught behind the adapter."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from packages.core.tests.stores import WithAdd
from packages.core.tests.wrong_backends import Kit
from tiercel.contracts.backend import DropKey
from tiercel.engine.keyvalue import adapt
from tiercel.testing import DictBackend, VirtualClock
from tiercel.testing.conformance.tier import Tier


class SwallowsDeletes(DictBackend):
    """Reports a delete that did not happen."""

    def delete(self, key: str) -> None:
        pass


class Truncates(DictBackend):
    """Keeps the first 64 kB."""

    def set(self, key: str, value: bytes, ttl: float) -> None:
        super().set(key, value[:65_536], ttl)


class ReadsStale(DictBackend):
    """Serves each key as it was when it was read first."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self._near: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        found = super().get(key)
        return found and self._near.setdefault(key, found)


class MixesBulk(DictBackend):
    """Replies in the order of the alphabet."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.get(key) for key in sorted(keys)]


class Overwrites(WithAdd):
    """Adds what is there, and says so."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        self.set(key, value, ttl)
        return True


class OverwritesAndDenies(WithAdd):
    """Knows that something is there, and replaces it nevertheless."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        absent = self.get(key) is None
        self.set(key, value, ttl)
        return absent


class LooksThenWrites(WithAdd):
    """Of several threads each may find nothing there."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        if self.get(key) is not None:
            return False
        time.sleep(0.005)
        self.set(key, value, ttl)
        return True


class SaysYes(WithAdd):
    def add(self, key: str, value: bytes, ttl: float) -> bool:
        super().add(key, value, ttl)
        return True


class SaysNothing(WithAdd):
    def add(self, key: str, value: bytes, ttl: float) -> None:  # type: ignore[override]
        super().add(key, value, ttl)


class AddsForEver(WithAdd):
    """Forgets what was set, but not what was added."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        return super().add(key, value, 1e9)


MUTANTS: dict[type[DictBackend], str] = {
    SwallowsDeletes: "test_drop_key_removes_the_entry_and_says_so",
    Truncates: "test_payload_of_any_size_comes_back_whole",
    ReadsStale: "test_drop_of_a_partition_covers_its_entries_only",
    MixesBulk: "test_begin_when_stamps_exist_keeps_them",
    Overwrites: "test_begin_when_another_holds_the_lease_is_held",
    OverwritesAndDenies: "test_begin_when_another_holds_the_lease_is_held",
    LooksThenWrites: "test_begin_by_many_at_once_grants_one",
    SaysYes: "test_begin_when_another_holds_the_lease_is_held",
    SaysNothing: "test_begin_when_nothing_is_stored_grants_and_mints",
    AddsForEver: "test_stamps_end_whichever_way_they_were_written",
}
"""Each mistake, and the test of the kit that is about it."""


@pytest.mark.parametrize(
    ("mutant", "name"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_wrong_store_fails_the_test_that_is_about_it(mutant: type[DictBackend], name: str) -> None:
    """What the adapter cannot make good is found; the right store passes that test."""
    clock, test = VirtualClock(), getattr(Kit(), name)
    test(Tier(adapt(WithAdd(clock), clock), advance=clock.advance))
    with pytest.raises(AssertionError):
        test(Tier(adapt(mutant(clock), clock), advance=clock.advance))


def test_store_that_swallows_deletes_serves_nothing_dropped() -> None:
    """The stamp of the key drops the entry, whatever became of its bytes."""
    clock = VirtualClock()
    tier = Tier(adapt(SwallowsDeletes(clock), clock))
    tier.store(tier.key(), b"old")
    tier.run(DropKey(tier.key()))
    assert tier.value(tier.key()) is None
