"""The distributions as the architecture tests see them."""

from __future__ import annotations

import pytest

from tools.packages import Distribution, read_distributions

ALL = read_distributions()


@pytest.fixture(params=ALL, ids=lambda distribution: distribution.module)
def distribution(request: pytest.FixtureRequest) -> Distribution:
    """Each distribution in turn."""
    found: Distribution = request.param
    return found


@pytest.fixture
def all_distributions() -> list[Distribution]:
    """Every distribution of the repository."""
    return ALL
