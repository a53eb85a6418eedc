"""Fixtures of the tests of traces and metrics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packages.integrations.opentelemetry.tests.watching import Telemetry
from tiercel import Cache
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel_opentelemetry import TiercelInstrumentor


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Providers of this test alone; everything is sampled."""
    made = Telemetry()
    TiercelInstrumentor().instrument(
        tracer_provider=made.tracer_provider, meter_provider=made.meter_provider
    )
    yield made
    TiercelInstrumentor().uninstrument()
    made.close()


@pytest.fixture
def clock() -> VirtualClock:
    """What tells the time of the caches."""
    return VirtualClock()


@pytest.fixture
def shared(clock: VirtualClock, telemetry: Telemetry) -> Iterator[Cache]:
    """A cache with a shared tier and no memory."""
    cache = Cache(backend=SimulatedBackend(clock), memory=0, name="shop", clock=clock)
    yield cache
    cache.close()


@pytest.fixture
def memory(clock: VirtualClock, telemetry: Telemetry) -> Iterator[Cache]:
    """A cache in memory."""
    cache = Cache(name="near", clock=clock)
    yield cache
    cache.close()
