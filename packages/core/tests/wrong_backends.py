"""Runs one test of the conformance kit on a backend, as the modules of wrong backends do."""

from __future__ import annotations

from typing import Any

import pytest

from tiercel.testing import BackendConformance, SimulatedBackend, VirtualClock
from tiercel.testing.conformance import channel, index
from tiercel.testing.conformance.tier import Mode, Tier


class Kit(BackendConformance):
    virtual_time = True
    examples = 10_000  # the first that fails is the last; fewer may all be lucky
    shrink = False
    __test__ = False


def run(name: str, backend: SimulatedBackend, mode: Mode = "sync", kit: Kit | None = None) -> None:
    """Run one test of the kit."""
    clock = backend.clock
    assert isinstance(clock, VirtualClock)
    tier = Tier(backend, mode, clock.advance, lambda: backend)
    test: Any = getattr(kit or Kit(), name)
    try:
        test(tier)
    finally:
        tier.close()


def assert_caught(
    name: str,
    mutant: type[SimulatedBackend],
    mode: Mode = "sync",
    right: type[SimulatedBackend] = SimulatedBackend,
) -> None:
    """Check that the right backend passes a test of the kit, and the wrong one fails it."""
    run(name, right(), mode)
    with pytest.MonkeyPatch.context() as patch:
        for module in (channel, index):
            patch.setattr(module, "SOON", 0.3)
        with pytest.raises(AssertionError):
            run(name, mutant(), mode)


def assert_caught_by_histories(mutant: type[SimulatedBackend]) -> None:
    """Check that random histories find a mistake without being told where to look."""
    with pytest.raises(AssertionError):
        run("test_histories_of_any_commands_agree_with_the_model", mutant())
