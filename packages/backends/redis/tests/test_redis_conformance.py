"""The kit on one server and on a Cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tiercel.spi import Backend, BackendLocation
from tiercel.testing import BackendConformance
from tiercel.testing.servers import RedisCluster, RedisServer
from tiercel_redis.backend import RedisBackend


class TestRedis(BackendConformance):
    url: str

    @pytest.fixture
    def backend(self, server: RedisServer) -> Iterator[Backend]:
        self.url = server.url
        yield from self.opened()

    def opened(self) -> Iterator[Backend]:
        """Open a backend, and close it after the test."""
        backend = RedisBackend(BackendLocation(self.url, timeout=30.0))
        yield backend
        backend.close()

    def reopen(self, backend: Backend) -> Backend:
        return RedisBackend(BackendLocation(self.url, timeout=30.0))


class TestRedisCluster(TestRedis):
    @pytest.fixture
    def backend(self, cluster: RedisCluster) -> Iterator[Backend]:
        self.url = cluster.url
        yield from self.opened()
