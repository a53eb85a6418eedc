"""Real servers and real worker processes, each test with its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tiercel.testing.servers import RedisServer


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of this test's own, on a free port."""
    with RedisServer() as server:
        yield server
