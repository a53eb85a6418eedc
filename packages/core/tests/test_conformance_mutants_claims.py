"""Backends that keep claims wrongly, each in one way that a real one might, are caught."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from packages.core.tests.wrong_backends import assert_caught
from tiercel.contracts.backend import (
    Begin,
    Begun,
    DropKey,
    Fill,
    Granted,
    Key,
    Release,
    Renew,
    Settle,
)
from tiercel.testing import SimulatedBackend
from tiercel.testing.cells import Claim


class ForgetsClaims(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        return super()._begin(replace(command, claim=0.0))


class GrantsToEverybody(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        return super()._begin(replace(command, force=bool(command.claim)))


class EndsTheClaimWithTheFill(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        self._cells.pop(f"claim/{command.key.text}", None)
        return super()._fill(command)


class EndsTheClaimWithTheLease(SimulatedBackend):
    def _release(self, command: Release) -> None:
        super()._release(replace(command, claim=True))


class ForgetsTheFailure(SimulatedBackend):
    def _settle(self, command: Settle) -> None:
        super()._settle(replace(command, failure=None))


class SettlesForAnyone(SimulatedBackend):
    def _settle(self, command: Settle) -> None:
        claim = self._claim(command.key)
        token = claim.token if claim else command.token
        super()._settle(replace(command, token=token))


class ClaimsForEver(SimulatedBackend):
    def _settle(self, command: Settle) -> None:
        super()._settle(replace(command, life=1e9))


class KeepsTheClaimOfADroppedKey(SimulatedBackend):
    def _dropkey(self, command: DropKey) -> bool:
        claim = self._claim(command.key)
        existed = super()._dropkey(command)
        if claim:
            self._put(f"claim/{command.key.text}", claim, 1e6)
        return existed


class IgnoresGenerations(SimulatedBackend):
    def _claim(self, key: Key) -> Claim | None:
        claim, stamps = super()._claim(key), [self._get(f"stamp/{name}") for name in key.scopes]
        return claim and Claim(claim.token, b"".join(stamps), claim.state, claim.failure)


class RenewsOnlyTheLease(SimulatedBackend):
    def _renew(self, command: Renew) -> bool:
        return super()._renew(replace(command, claim=0.0))


class NeverGivesUp(SimulatedBackend):
    def _release(self, command: Release) -> None:
        super()._release(replace(command, claim=False))


class GivesUpForAnyone(SimulatedBackend):
    def _release(self, command: Release) -> None:
        if command.claim:
            self._cells.pop(f"claim/{command.key.text}", None)
        super()._release(command)


class KeepsTheOldClaimWhenForced(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        claim = self._claim(command.key)
        begun = super()._begin(command)
        if command.force and claim and isinstance(begun, Granted):
            self._put(f"claim/{command.key.text}", claim, command.claim)
        return begun


class SkipsClaimsOfIndexed(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        return super()._begin(replace(command, claim=0.0) if command.index else command)


MUTANTS: dict[type[SimulatedBackend], str] = {
    ForgetsClaims: "test_claim_when_its_lease_expired_is_running_for_ever",
    GrantsToEverybody: "test_claim_by_many_at_once_grants_one",
    EndsTheClaimWithTheFill: "test_claim_when_its_value_is_lost_is_done",
    EndsTheClaimWithTheLease: "test_claim_when_released_without_giving_it_up_stays",
    ForgetsTheFailure: "test_claim_when_it_failed_tells_how",
    SettlesForAnyone: "test_claim_when_forced_is_taken_along",
    ClaimsForEver: "test_claim_when_its_life_is_over_is_gone",
    KeepsTheClaimOfADroppedKey: "test_claim_when_something_is_dropped_is_void",
    IgnoresGenerations: "test_claim_when_something_is_dropped_is_void",
    RenewsOnlyTheLease: "test_claim_when_renewed_lives_longer",
    NeverGivesUp: "test_claim_when_given_up_is_free",
    GivesUpForAnyone: "test_claim_when_given_up_is_free",
    KeepsTheOldClaimWhenForced: "test_claim_when_forced_is_taken_along",
    SkipsClaimsOfIndexed: "test_claim_of_an_indexed_function_is_one",
}
"""Each mistake, and the test of the kit that is about it."""


@pytest.mark.parametrize(
    ("mutant", "name"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_claims_of_a_wrong_backend_fail_the_test(mutant: type[SimulatedBackend], name: str) -> None:
    """The right backend passes that test, the wrong one fails it."""
    assert_caught(name, mutant)
