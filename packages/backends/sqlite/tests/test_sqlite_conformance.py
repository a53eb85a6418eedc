"""The kit on SQLite: two clients of one file, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tiercel.spi import Backend, BackendLocation
from tiercel.testing import BackendConformance, VirtualClock
from tiercel_sqlite.backend import SQLiteBackend


class TestSQLiteBackend(BackendConformance):
    virtual_time = True
    clock = VirtualClock()

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        location = BackendLocation(f"sqlite:///{tmp_path}/cache.db", timeout=60.0)
        backend = SQLiteBackend(location, self.clock.time)
        yield backend
        backend.close()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def reopen(self, backend: Backend) -> Backend:
        assert isinstance(backend, SQLiteBackend)
        return SQLiteBackend(backend.location, self.clock.time)
