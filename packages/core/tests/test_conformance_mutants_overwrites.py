"""Backends that overwrite wrongly are caught, each by the test that is about its mistake."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from packages.core.tests.races.wrong_tiers import LeavesTheLease, OverwritesInSilence
from packages.core.tests.wrong_backends import assert_caught, assert_caught_by_histories
from tiercel.contracts.overwrite import Overwrite
from tiercel.testing import SimulatedBackend
from tiercel.testing.conformance import overwriting


class AsksForNoStamps(SimulatedBackend):
    def _overwrite(self, command: Overwrite) -> bool:
        return super()._overwrite(command) or self._store_anyway(command)

    def _store_anyway(self, command: Overwrite) -> bool:
        self._put(f"value/{command.key.text}", command.payload, command.life)
        return True


class LooksAtTheFirstStamp(AsksForNoStamps):
    def _overwrite(self, command: Overwrite) -> bool:
        key = command.key
        first = replace(command, key=replace(key, scopes=key.scopes[:1]))
        return super(AsksForNoStamps, self)._overwrite(first)


class MintsStamps(SimulatedBackend):
    def _overwrite(self, command: Overwrite) -> bool:
        for name in command.key.scopes:
            self._mint(name, command.life)
        return super()._overwrite(command)


class WakesNobody(SimulatedBackend):
    def _overwrite(self, command: Overwrite) -> bool:
        self._cells.pop(f"lease/{command.key.text}", None)
        return super()._overwrite(command)


class SaysTooMuch(SimulatedBackend):
    def _overwrite(self, command: Overwrite) -> bool:
        stored = super()._overwrite(command)
        if not stored:
            self._announce((command.key.text,))
        return stored


class ForgetsTheStamps(SimulatedBackend):
    def _overwrite(self, command: Overwrite) -> bool:
        stamps = [f"stamp/{name}" for name in command.key.scopes]
        before = {name: self._cells[name] for name in stamps if name in self._cells}
        stored = super()._overwrite(command)
        self._cells.update(before)
        return stored


class LivesForEver(SimulatedBackend):
    def _overwrite(self, command: Overwrite) -> bool:
        return super()._overwrite(replace(command, life=1e6))


MUTANTS: dict[type[SimulatedBackend], str] = {
    AsksForNoStamps: "test_overwrite_under_other_stamps_changes_nothing",
    LooksAtTheFirstStamp: "test_overwrite_under_other_stamps_changes_nothing",
    MintsStamps: "test_overwrite_without_stamps_mints_none",
    LeavesTheLease: "test_overwrite_ends_the_lease",
    WakesNobody: "test_overwrite_wakes_who_waits",
    OverwritesInSilence: "test_overwrite_is_announced_where_it_stored",
    SaysTooMuch: "test_overwrite_is_announced_where_it_stored",
    ForgetsTheStamps: "test_overwrite_prolongs_the_stamps",
}
"""Each mistake, and the test of the kit that is about it."""


@pytest.mark.parametrize(
    ("mutant", "name"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_overwrite_of_a_wrong_backend_fails_the_test(
    mutant: type[SimulatedBackend], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right backend passes that test, the wrong one fails it."""
    monkeypatch.setattr(overwriting, "SOON", 0.3)
    assert_caught(name, mutant)


@pytest.mark.parametrize("mutant", [AsksForNoStamps, LeavesTheLease, LivesForEver])
def test_overwrite_of_a_wrong_backend_is_caught_by_histories(
    mutant: type[SimulatedBackend],
) -> None:
    """Random histories overwrite, too."""
    assert_caught_by_histories(mutant)
