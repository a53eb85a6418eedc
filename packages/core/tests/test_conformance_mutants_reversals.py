"""Backends that drop wrongly again what was dropped before a reversal are caught."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from packages.core.tests.wrong_backends import assert_caught
from tiercel.contracts.reversal import Replay, Revertible
from tiercel.testing import SimulatedBackend


class Reverting(Revertible, SimulatedBackend):
    """A store that may come back in an earlier state."""


class Partly(Reverting):
    """Drops again, except what it forgets."""

    forgotten: str

    def _replay(self, command: Replay) -> None:
        kept = {n: cell for n, cell in self._cells.items() if n.startswith(f"{self.forgotten}/")}
        super()._replay(command)
        self._cells.update(kept)


class KeepsEntries(Partly):
    forgotten = "value"


class KeepsLeases(Partly):
    forgotten = "lease"


class KeepsClaims(Partly):
    forgotten = "claim"


class KeepsStamps(Partly):
    forgotten = "stamp"


class ForgetsEverything(Reverting):
    def _replay(self, command: Replay) -> None:
        self._cells.clear()
        self._announce(command.names)


class SaysNothing(Reverting):
    def _replay(self, command: Replay) -> None:
        super()._replay(replace(command, names=()))
        for name in command.names:
            self._cells.pop(f"value/{name}", None)


class SaysEachByItself(Reverting):
    def _replay(self, command: Replay) -> None:
        for name in command.names:
            super()._replay(replace(command, names=(name,)))


MUTANTS = {
    KeepsEntries: "test_replay_of_keys_ends_their_entries_and_leases",
    KeepsLeases: "test_replay_of_keys_ends_their_entries_and_leases",
    KeepsClaims: "test_replay_of_a_key_ends_its_claim",
    KeepsStamps: "test_replay_of_a_scope_voids_what_depends_on_it",
    ForgetsEverything: "test_replay_of_a_scope_voids_what_depends_on_it",
    SaysNothing: "test_replay_is_one_message_on_each_channel",
    SaysEachByItself: "test_replay_is_one_message_on_each_channel",
}
"""Each mistake, and the test of the kit that is about it."""


@pytest.mark.parametrize(
    ("mutant", "name"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_replay_of_a_wrong_backend_fails_the_test(mutant: type[Reverting], name: str) -> None:
    """The right backend passes that test, the wrong one fails it."""
    assert_caught(name, mutant, right=Reverting)
