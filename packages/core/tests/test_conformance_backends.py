"""The kit on the backends that core brings: the reference and a bare dict object."""

from __future__ import annotations

import pytest

from tiercel.contracts.backend import Backend
from tiercel.engine.keyvalue import adapt
from tiercel.testing import BackendConformance, DictBackend, SimulatedBackend, VirtualClock


class TestSimulatedBackend(BackendConformance):
    virtual_time = True
    clock = VirtualClock()

    @pytest.fixture
    def backend(self) -> Backend:
        return SimulatedBackend(self.clock)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestDictBackend(BackendConformance):
    virtual_time = True
    clock = VirtualClock()

    @pytest.fixture
    def backend(self) -> Backend:
        return adapt(DictBackend(self.clock), self.clock)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
