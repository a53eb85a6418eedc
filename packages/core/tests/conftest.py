"""Fixtures of the tests of the core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packages.core.tests.stages import KINDS, Stage, Way


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A cache of every kind, one after the other."""
    made = Stage(request.param)
    yield made
    made.close()


@pytest.fixture
def memory() -> Iterator[Stage]:
    """A cache in memory only."""
    made = Stage("memory")
    yield made
    made.close()


@pytest.fixture
def tiers() -> Iterator[Stage]:
    """A cache with memory that follows a shared tier."""
    made = Stage("two_tiers")
    yield made
    made.close()


@pytest.fixture
def shared() -> Iterator[Stage]:
    """A cache with a shared tier only."""
    made = Stage("shared")
    yield made
    made.close()


@pytest.fixture(params=("plain", "coroutine"))
def way(request: pytest.FixtureRequest) -> Way:
    """A plain and a coroutine function, each used in its own way, one after the other."""
    return Way(request.param)
