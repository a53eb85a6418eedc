"""One Redis for all pages that use one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tiercel.testing.servers import RedisServer


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a server that this session started."""
    with RedisServer() as server:
        yield f"redis://127.0.0.1:{server.port}"
