"""Random schedules of a larger world, each of which can be played again by its seed.

`TIERCEL_SCHEDULES` says how many (2,000 by default; 100,000 with `-m long`), `TIERCEL_SEED` with
which seed to begin.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import partial

import pytest
from msgspec import Struct

from packages.core.tests.races.towns import town
from tiercel.testing.interleave import run_at_random

SHORT, LONG = 2_000, 100_000


class Tally(Struct):
    """What was seen in many schedules."""

    schedules: int = 0
    steps: int = 0
    reads: int = 0
    drops: int = 0


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the engine from logging each of the faults that it gets over."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play(schedules: int) -> Tally:
    """Play that many schedules; fail at the first that breaks a promise."""
    tally = Tally()
    first = int(os.environ.get("TIERCEL_SEED", "0"))
    for seed in range(first, first + schedules):
        world, failure = run_at_random(partial(town, seed), seed)
        if failure is not None:
            pytest.fail(f"seed {seed} (TIERCEL_SEED={seed} TIERCEL_SCHEDULES=1): {failure}")
        tally.schedules += 1
        tally.steps += len(world.taken)
        tally.reads += world.promises.reads
        tally.drops += world.promises.drops
    print(tally)  # noqa: T201
    return tally


def test_random_schedules_when_played_then_nothing_stale_is_served() -> None:
    """No promise is broken in any schedule, and the schedules do read and drop."""
    tally = play(int(os.environ.get("TIERCEL_SCHEDULES", SHORT)))
    assert tally.reads > tally.schedules
    assert tally.drops >= tally.schedules


@pytest.mark.long
def test_many_random_schedules_when_played_then_nothing_stale_is_served() -> None:
    """The same, a hundred thousand times."""
    tally = play(int(os.environ.get("TIERCEL_SCHEDULES", LONG)))
    assert tally.reads > tally.schedules


def test_schedule_when_played_twice_then_it_is_the_same() -> None:
    """A seed names one schedule, down to the random bytes in it."""
    first, _ = run_at_random(partial(town, 7), 7)
    second, _ = run_at_random(partial(town, 7), 7)
    assert first.taken == second.taken
    assert first.backend.snapshot() == second.backend.snapshot()
