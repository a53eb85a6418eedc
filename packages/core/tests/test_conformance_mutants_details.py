"""Backends that leave out what a command says beside its main matter are caught."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from packages.core.tests.wrong_backends import assert_caught
from tiercel.contracts.backend import Begun, DropScopes, Read, Reading, ReadMany, ReadThenBegin
from tiercel.testing import SimulatedBackend


class ShowsWhatHasEnded(SimulatedBackend):
    """Looks whether an entry has ended only where it was asked for its life."""

    def _read(self, command: Read) -> Reading:
        reading, cell = super()._read(command), self._cells.get(f"value/{command.key.text}")
        if command.life or cell is None:
            return reading
        return replace(reading, payload=cell.data, remaining=inf)


class ShowsNoLife(SimulatedBackend):
    """Says that nothing is left where it was not asked."""

    def _read(self, command: Read) -> Reading:
        reading = super()._read(command)
        return reading if command.life else replace(reading, remaining=0.0)


class ShowsNoTags(SimulatedBackend):
    """Knows the stamps of tags only where it was asked for a life, too."""

    def _read(self, command: Read) -> Reading:
        reading = super()._read(command)
        return reading if command.life else replace(reading, tags=())


class ShowsInBulkWhatHasEnded(SimulatedBackend):
    def _readmany(self, command: ReadMany) -> list[Reading]:
        cells = [self._cells.get(f"value/{key.text}") for key in command.keys]
        return [
            replace(reading, payload=cell.data, remaining=1.0) if cell else reading
            for cell, reading in zip(cells, super()._readmany(command), strict=True)
        ]


class ShortensStamps(SimulatedBackend):
    """Sets the life of a stamp to whatever was asked for last."""

    def _prolong(self, name: str, life: float) -> None:
        data = self._get(name)
        if data is not None:
            self._put(name, data, life)


class OpensNoChannel(SimulatedBackend):
    def _dropscopes(self, command: DropScopes) -> None:
        if command.scopes:
            super()._dropscopes(command)


class BeginsWithLess(SimulatedBackend):
    """Leaves something out where it reads and begins in one round trip."""

    without: Mapping[str, Any]

    def _readthenbegin(self, command: ReadThenBegin) -> tuple[Reading, Begun]:
        return super()._readthenbegin(ReadThenBegin(replace(command.begin, **self.without)))


class BeginsWithoutFloor(BeginsWithLess):
    without = {"floor": 0.0}  # noqa: RUF012


class BeginsWithoutForce(BeginsWithLess):
    without = {"force": False}  # noqa: RUF012


class BeginsWithoutWaiter(BeginsWithLess):
    without = {"waiter": None}  # noqa: RUF012


class BeginsWithoutClaim(BeginsWithLess):
    without = {"claim": 0.0}  # noqa: RUF012


class BeginsWithoutIndex(BeginsWithLess):
    without = {"index": None}  # noqa: RUF012


MUTANTS: dict[type[SimulatedBackend], str] = {
    ShowsWhatHasEnded: "test_read_that_asks_for_no_life_still_shows_only_what_lives",
    ShowsNoLife: "test_read_that_asks_for_no_life_still_shows_only_what_lives",
    ShowsNoTags: "test_read_that_asks_for_no_life_still_shows_only_what_lives",
    ShowsInBulkWhatHasEnded: "test_entry_when_its_life_is_over_is_gone",
    ShortensStamps: "test_stamps_are_not_shortened_by_who_needs_them_for_less",
    OpensNoChannel: "test_drop_of_nothing_opens_every_channel",
    BeginsWithoutFloor: "test_read_then_begin_heeds_the_floor_and_who_forces",
    BeginsWithoutForce: "test_read_then_begin_heeds_the_floor_and_who_forces",
    BeginsWithoutWaiter: "test_waiter_is_woken_who_read_and_began_at_once",
    BeginsWithoutClaim: "test_claim_when_read_in_the_same_round_trip_is_one",
    BeginsWithoutIndex: "test_fence_when_read_in_the_same_round_trip_is_that_of_the_lease",
}
"""Each mistake, and the test of the kit that is about it."""


@pytest.mark.parametrize(
    ("mutant", "name"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_mutant_fails_the_test_that_is_about_it(mutant: type[SimulatedBackend], name: str) -> None:
    """The right backend passes that test, the wrong one fails it."""
    assert_caught(name, mutant)
