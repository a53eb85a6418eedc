"""The engine's own generators in every order in which they can meet: nothing dropped is served."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import packages.core.tests.races.failover_scenarios
import packages.core.tests.races.index_scenarios
import packages.core.tests.races.memory_scenarios
import packages.core.tests.races.once_scenarios
import packages.core.tests.races.scenarios  # noqa: F401 - importing them fills the table
from packages.core.tests.races.mutant import Mutant
from packages.core.tests.races.mutants import MUTANTS, NOT_YET
from packages.core.tests.races.scenes import SCENARIOS, names
from tiercel.testing.interleave import Exploration, explore, replay

HOLES = [f"H{number}" for number in range(1, 26)]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the engine from logging each of the faults that it gets over."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def played(name: str, seconds: float = 600.0) -> Exploration:
    """Play a scene in every order."""
    found = explore(SCENARIOS[name].world, seconds=seconds)
    print(f"{name}: {found.states} states, {found.transitions} steps, {found.seconds:.1f} s")  # noqa: T201
    return found


@pytest.mark.parametrize("name", names(long=False))
def test_scene_when_played_in_every_order_then_no_promise_is_broken(name: str) -> None:
    """P1 to P6 hold in every interleaving of the scene, and all of them were tried."""
    found = played(name)
    assert found.failure is None, str(found.failure)
    assert found.complete


@pytest.mark.long
@pytest.mark.parametrize("name", names(long=True))
def test_long_scene_when_played_in_every_order_then_no_promise_is_broken(name: str) -> None:
    """P1 to P6 hold in every interleaving of the larger scenes too."""
    found = played(name, seconds=3600.0)
    assert found.failure is None, str(found.failure)
    assert found.complete


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.hole} {mutant.name}")
def test_mutant_when_its_scene_is_played_then_it_is_caught(mutant: Mutant) -> None:
    """A wrong variant is given away by the promise that it breaks, with a schedule to read."""
    scene = SCENARIOS[mutant.scene]
    with mutant.applied():
        found = explore(lambda: scene.world(mutant.backend), seed=mutant.seed, seconds=60)
        assert found.failure is not None, f"{mutant.name}: not caught in {found.states} states"
        again = replay(lambda: scene.world(mutant.backend), found.failure.schedule)
    assert found.failure.broken.startswith(mutant.promise)
    assert again == found.failure
    assert found.failure.trace


def test_table_of_holes_when_looked_through_then_each_has_a_mutant_or_a_reason() -> None:
    """No hole of the protocol's table is passed over in silence."""
    caught = {mutant.hole for mutant in MUTANTS}
    assert sorted({*caught, *NOT_YET}) == sorted(HOLES)
    assert not caught & NOT_YET.keys()
    assert all(mutant.hole in SCENARIOS[mutant.scene].holes.split() for mutant in MUTANTS)
