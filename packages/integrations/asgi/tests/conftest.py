"""Caches of either kind, whose clock does not move by itself, and an application of FastAPI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from tiercel import Cache
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel_asgi import TiercelMiddleware


@pytest.fixture(params=["memory", "shared"])
def cache(request: pytest.FixtureRequest, virtual_clock: VirtualClock) -> Iterator[Cache]:
    """A cache of either kind: what is kept must read the same from either tier."""
    options: dict[str, Any] = {"clock": virtual_clock, "name": f"asgi-{request.param}"}
    if request.param == "shared":
        options |= {"backend": SimulatedBackend(virtual_clock), "memory": 0}
    cache = Cache(**options)
    yield cache
    cache.close()


@pytest.fixture
def app() -> FastAPI:
    """An application with the middleware."""
    app = FastAPI()
    app.add_middleware(TiercelMiddleware)
    return app
