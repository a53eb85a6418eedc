"""Caches of each kind, and a framework for the views on them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import tiercel.web.requested
from packages.core.tests.web.toy import ToyIntegration
from tiercel import Cache
from tiercel.testing import SimulatedBackend, VirtualClock


@pytest.fixture(autouse=True)
def _framework(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = SimpleNamespace(integrations={"toy": ToyIntegration()})
    monkeypatch.setattr(tiercel.web.requested, "default_registry", lambda: registry)


@pytest.fixture(params=["memory", "shared", "both"])
def cache(request: pytest.FixtureRequest, virtual_clock: VirtualClock) -> Iterator[Cache]:
    """A cache of each kind: what is kept must read the same from either tier."""
    options: dict[str, Any] = {"clock": virtual_clock, "name": f"views-{request.param}"}
    if request.param != "memory":
        options["backend"] = SimulatedBackend(virtual_clock)
    if request.param == "shared":
        options["memory"] = 0
    cache = Cache(**options)
    yield cache
    cache.close()
