"""Backends that read, lease or fill wrongly, each in one way that a real one might, are caught."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from packages.core.tests.wrong_backends import assert_caught, assert_caught_by_histories, run
from tiercel.contracts.backend import (
    STAMP_BYTES,
    Begin,
    Begun,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
)
from tiercel.testing import SimulatedBackend
from tiercel.testing.cells import Lease


class IgnoresTtl(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        return super()._fill(replace(command, life=float("inf")))


class ShowsTheFullLife(SimulatedBackend):
    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        reading = super()._reading(key, tags)
        return replace(reading, remaining=50.0 if reading.payload else 0.0)


class KeepsTheFirstLife(SimulatedBackend):
    def _put(self, name: str, data: Any, life: float) -> None:
        old = self._cells.get(name) if name.startswith("value/") else None
        super()._put(name, data, life)
        if old:
            self._cells[name] = replace(self._cells[name], deadline=old.deadline)


class ReturnsText(SimulatedBackend):
    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        reading = super()._reading(key, tags)
        text: Any = reading.payload and reading.payload.decode("latin-1")
        return replace(reading, payload=text)


class ReturnsViews(SimulatedBackend):
    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        reading = super()._reading(key, tags)
        views: Any = [tag and memoryview(tag) for tag in reading.tags]
        return replace(reading, tags=views)


class CountsInDecimals(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        begun = super()._begin(command)
        if isinstance(begun, Held):
            remaining: Any = Decimal(begun.remaining)
            return replace(begun, remaining=remaining)
        return begun


class BeginsBeforeItReads(SimulatedBackend):
    def _readthenbegin(self, command: ReadThenBegin) -> tuple[Reading, Begun]:
        begun = self._begin(command.begin)
        return self._reading(command.begin.key), begun


class StripsTrailingZeros(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        return super()._fill(replace(command, payload=command.payload.rstrip(b"\0")))


class TruncatesValues(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        return super()._fill(replace(command, payload=command.payload[:65_535]))


class MixesBulkOrder(SimulatedBackend):
    def _readmany(self, command: ReadMany) -> list[Reading]:
        return [self._reading(key) for key in sorted(command.keys, key=lambda key: key.text)]


class SkipsAbsentKeysInBulk(SimulatedBackend):
    def _readmany(self, command: ReadMany) -> list[Reading]:
        return [each for each in super()._readmany(command) if each.payload is not None]


class IgnoresCase(SimulatedBackend):
    def _get(self, name: str) -> Any:
        return super()._get(name.lower())

    def _put(self, name: str, data: Any, life: float) -> None:
        super()._put(name.lower(), data, life)

    def _remaining(self, name: str) -> float:
        return super()._remaining(name.lower())


class CutsNames(SimulatedBackend):
    def _get(self, name: str) -> Any:
        return super()._get(name[:200])

    def _put(self, name: str, data: Any, life: float) -> None:
        super()._put(name[:200], data, life)

    def _remaining(self, name: str) -> float:
        return super()._remaining(name[:200])


class HoldsFewEntries(SimulatedBackend):
    def _put(self, name: str, data: Any, life: float) -> None:
        values = [each for each in self._cells if each.startswith("value/")]
        if len(values) > 100:
            del self._cells[values[0]]
        super()._put(name, data, life)


class CrossesAnswers(SimulatedBackend):
    """Keeps the last reply where the next caller finds it first."""

    _last_reading: Reading | None = None

    def execute(self, command: Any) -> Any:
        if not isinstance(command, Read):
            return super().execute(command)
        self._last_reading = super().execute(command)
        time.sleep(0.001)
        return self._last_reading


class MintsOnRead(SimulatedBackend):
    def _read(self, command: Read) -> Reading:
        for name in command.key.scopes:
            self._mint(name, 100.0)
        return super()._read(command)


class MintsAtFill(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        for number, name in enumerate(command.key.scopes):
            at = 48 + STAMP_BYTES * number
            if self._get(f"stamp/{name}") is None:
                self._put(f"stamp/{name}", command.payload[at : at + STAMP_BYTES], command.life)
        return super()._fill(command)


class DerivesStamps(SimulatedBackend):
    """Invents for a lost stamp the one it had."""

    def _mint(self, name: str, life: float) -> bytes:
        if self._get(f"stamp/{name}") is None:
            stamp = hashlib.blake2b(name.encode(), digest_size=STAMP_BYTES).digest()
            self._put(f"stamp/{name}", stamp, life)
        return super()._mint(name, life)


class CountsStamps(SimulatedBackend):
    """Numbers that wrap around."""

    _count = 0

    def _new_stamp(self) -> bytes:
        self._count = (self._count + 1) % 16
        return self._count.to_bytes(STAMP_BYTES, "big")


class LetsStampsExpire(SimulatedBackend):
    def _prolong(self, name: str, life: float) -> None:
        pass


class GrantsTwice(SimulatedBackend):
    """Looks whether there is a lease, then writes one: not atomic."""

    def execute(self, command: Any) -> Any:
        if isinstance(command, Begin) and self._lease(command.key) is None:
            time.sleep(0.005)
            self.evict(f"lease/{command.key.text}")
        return super().execute(command)


class GrantsAlways(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        self._cells.pop(f"lease/{command.key.text}", None)
        return super()._begin(command)


class NeverFinds(SimulatedBackend):
    def _is_current(self, key: Key, stamps: Sequence[bytes], floor: float) -> bool:
        return False


class IgnoresTheFloor(SimulatedBackend):
    def _is_current(self, key: Key, stamps: Sequence[bytes], floor: float) -> bool:
        return super()._is_current(key, stamps, 0.0)


class FindsWhatWasDropped(SimulatedBackend):
    def _is_current(self, key: Key, stamps: Sequence[bytes], floor: float) -> bool:
        return super()._is_current(key, (), floor)


class WaitsForVoidLeases(SimulatedBackend):
    def _lease(self, key: Key) -> Lease | None:
        lease = super()._lease(key)
        stamps = [self._get(f"stamp/{name}") or b"" for name in key.scopes]
        return lease and Lease(lease.token, b"".join(stamps), lease.waiters)


class KeepsTheTokenWhenForced(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        lease, begun = self._lease(command.key), super()._begin(command)
        if command.force and lease:
            self._put(f"lease/{command.key.text}", lease, command.lease)
            begun = replace(begun, token=lease.token)
        return begun


class DropsTheEntryWhenForced(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        if command.force:
            self._cells.pop(f"value/{command.key.text}", None)
        return super()._begin(command)


class FillsWithoutLease(SimulatedBackend):
    def _holds(self, key: Key, token: bytes) -> bool:
        return True


class FillsIfTheLeaseIsAbsent(SimulatedBackend):
    def _holds(self, key: Key, token: bytes) -> bool:
        return self._lease(key) is None or super()._holds(key, token)


class KeepsTheLeaseAfterFill(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        lease = self._cells.get(f"lease/{command.key.text}")
        filled = super()._fill(command)
        if filled and lease:
            self._cells[f"lease/{command.key.text}"] = lease
        return filled


class RenewsForAnyone(SimulatedBackend):
    def _renew(self, command: Renew) -> bool:
        lease = self._lease(command.key)
        return super()._renew(replace(command, token=lease.token)) if lease else False


class RenewsInVain(SimulatedBackend):
    def _renew(self, command: Renew) -> bool:
        return self._holds(command.key, command.token)


class ReleasesForAnyone(SimulatedBackend):
    def _release(self, command: Release) -> None:
        self._end_lease(command.key)


class NeverReleases(SimulatedBackend):
    def _release(self, command: Release) -> None:
        pass


class InventsStamps(SimulatedBackend):
    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        reading = super()._reading(key, tags)
        return replace(reading, stamps=[stamp or bytes(STAMP_BYTES) for stamp in reading.stamps])


class RemintsAlways(SimulatedBackend):
    def _mint(self, name: str, life: float) -> bytes:
        self._cells.pop(f"stamp/{name}", None)
        return super()._mint(name, life)


class FindsDespiteForce(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        found = isinstance(super()._begin(replace(command, force=False)), Found)
        return Found() if found else super()._begin(command)


class LeasesForEver(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        return super()._begin(replace(command, lease=1e6))


class SharesTokens(SimulatedBackend):
    """One token per partition, not per key."""

    def _begin(self, command: Begin) -> Begun:
        begun = super()._begin(command)
        if isinstance(begun, Granted):
            token = hashlib.blake2b(begun.stamps[-1], digest_size=STAMP_BYTES).digest()
            lease = Lease(token, b"".join(begun.stamps))
            self._put(f"lease/{command.key.text}", lease, command.lease)
            begun = replace(begun, token=token)
        return begun


class ReadsWithoutBeginning(SimulatedBackend):
    def _readthenbegin(self, command: ReadThenBegin) -> tuple[Reading, Begun]:
        return self._reading(command.begin.key), Found()


MUTANTS: dict[type[SimulatedBackend], str] = {
    IgnoresTtl: "test_entry_when_its_life_is_over_is_gone",
    ShowsTheFullLife: "test_remaining_is_the_life_left",
    KeepsTheFirstLife: "test_fill_when_replacing_sets_the_new_life",
    ReturnsText: "test_replies_are_bytes_and_nothing_like_them",
    ReturnsViews: "test_replies_are_bytes_and_nothing_like_them",
    CountsInDecimals: "test_times_are_numbers_that_floats_mix_with",
    BeginsBeforeItReads: "test_read_then_begin_replies_as_the_two_would",
    StripsTrailingZeros: "test_payload_of_any_bytes_comes_back_unchanged",
    TruncatesValues: "test_payload_of_any_size_comes_back_whole",
    MixesBulkOrder: "test_read_many_replies_in_the_order_of_its_keys",
    SkipsAbsentKeysInBulk: "test_read_many_replies_in_the_order_of_its_keys",
    IgnoresCase: "test_names_of_any_allowed_character_are_told_apart",
    CutsNames: "test_names_of_the_longest_size_are_told_apart",
    HoldsFewEntries: "test_many_entries_all_stay",
    CrossesAnswers: "test_reads_at_the_same_time_get_their_own_answers",
    MintsOnRead: "test_read_when_nothing_is_stored_mints_nothing",
    MintsAtFill: "test_fill_when_stamps_are_lost_does_not_mint_them",
    DerivesStamps: "test_stamp_when_lost_is_minted_anew",
    CountsStamps: "test_drop_never_gives_a_stamp_twice",
    LetsStampsExpire: "test_stamps_are_prolonged_by_begin_and_by_fill",
    GrantsTwice: "test_begin_by_many_at_once_grants_one",
    GrantsAlways: "test_begin_when_another_holds_the_lease_is_held",
    NeverFinds: "test_begin_when_the_entry_is_current_finds_it",
    IgnoresTheFloor: "test_begin_when_the_entry_lives_too_short_for_the_floor_grants",
    FindsWhatWasDropped: "test_drop_of_a_dropped_entry_keeps_it_from_being_found",
    WaitsForVoidLeases: "test_drop_of_a_scope_leaves_no_lease_to_wait_for",
    KeepsTheTokenWhenForced: "test_begin_when_forced_takes_the_lease_from_its_holder",
    DropsTheEntryWhenForced: "test_entry_when_a_refresh_is_forced_is_served_until_the_fill",
    FillsWithoutLease: "test_fill_without_a_lease_stores_nothing",
    FillsIfTheLeaseIsAbsent: "test_lease_when_it_expired_refuses_its_holder",
    KeepsTheLeaseAfterFill: "test_fill_ends_the_lease",
    RenewsForAnyone: "test_renew_by_a_stranger_is_refused",
    RenewsInVain: "test_renew_by_its_holder_prolongs_the_lease",
    ReleasesForAnyone: "test_release_by_a_stranger_changes_nothing",
    NeverReleases: "test_release_by_its_holder_frees_the_lease",
    InventsStamps: "test_read_when_nothing_is_stored_finds_nothing",
    RemintsAlways: "test_begin_when_stamps_exist_keeps_them",
    FindsDespiteForce: "test_begin_when_forced_grants_despite_a_current_entry",
    LeasesForEver: "test_lease_when_it_expires_passes_to_the_next_caller",
    SharesTokens: "test_leases_of_different_keys_are_independent",
    ReadsWithoutBeginning: "test_read_then_begin_replies_as_the_two_would",
}
"""Each mistake, and the test of the kit that is about it."""

CAUGHT_BY_HISTORIES: list[type[SimulatedBackend]] = [
    IgnoresTtl,
    MixesBulkOrder,
    GrantsAlways,
    NeverFinds,
    FindsWhatWasDropped,
    FillsWithoutLease,
    KeepsTheLeaseAfterFill,
    NeverReleases,
]


@pytest.mark.parametrize(
    ("mutant", "name"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_mutant_fails_the_test_that_is_about_it(mutant: type[SimulatedBackend], name: str) -> None:
    """The right backend passes that test, the wrong one fails it."""
    assert_caught(name, mutant)


@pytest.mark.parametrize("mutant", CAUGHT_BY_HISTORIES)
def test_mutant_fails_the_random_histories(mutant: type[SimulatedBackend]) -> None:
    """Random histories find the mistake without being told where to look."""
    assert_caught_by_histories(mutant)


def test_holders_that_overlap_are_caught_by_the_race() -> None:
    """Callers without a fixed schedule find a lease that is granted twice."""
    with pytest.raises(AssertionError):
        run("test_holders_of_one_key_never_overlap", GrantsTwice())
