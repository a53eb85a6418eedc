"""A real server for each test, and caches of every shape on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.rig import SHAPES, Rig, Shape
from tiercel.testing.servers import RedisServer


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of this test's own, on a free port."""
    with RedisServer() as server:
        yield server


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest) -> Shape:
    """Sync and async, with two tiers and with the shared one only."""
    shape: Shape = request.param
    return shape


@pytest.fixture
def rig(redis: RedisServer, shape: Shape) -> Iterator[Rig]:
    """A cache of this shape on the test's own server."""
    with Rig(redis.url, shape) as rig:
        yield rig
