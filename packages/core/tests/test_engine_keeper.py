"""Leases outlive computations that take longer than they live."""

from __future__ import annotations

from typing import Any

from tiercel.contracts.backend import Begin, Fill, Granted, Held, Key
from tiercel.engine.effects import Steps
from tiercel.engine.keeper import Keeper
from tiercel.testing import SimulatedBackend, VirtualClock

KEY = Key("t:f:1", ("t:f!stamp",), "t:f:1")


def carry_out(backend: SimulatedBackend, steps: Steps[None]) -> None:
    """Drive steps that yield commands only."""
    reply: Any = None
    try:
        while True:
            command: Any = steps.send(reply)
            reply = backend.execute(command)
    except StopIteration:
        return


def test_keeper_while_a_lease_is_kept_renews_it_in_time() -> None:
    """After three lives of the lease nobody else gets it, and its holder may fill."""
    clock = VirtualClock()
    backend = SimulatedBackend(clock=clock)
    keeper = Keeper(clock, lambda steps: None)
    granted = backend.execute(Begin(KEY, 3.0, 600.0))
    assert isinstance(granted, Granted)
    keeper.keep(granted.token, KEY, 3.0)
    for _ in range(9):
        clock.advance(1.0)
        carry_out(backend, keeper.renew())
    assert isinstance(backend.execute(Begin(KEY, 3.0, 600.0)), Held)
    assert backend.execute(Fill(KEY, granted.token, b"value", 60.0))


def test_keeper_when_a_lease_was_dropped_leaves_it_alone() -> None:
    """A lease that cannot be renewed is not asked for again."""
    clock = VirtualClock()
    keeper = Keeper(clock, lambda steps: None)
    keeper.keep(b"0" * 16, KEY, 3.0)
    clock.advance(2.0)
    assert len(list(keeper.renew())) == 1
    clock.advance(2.0)
    assert list(keeper.renew()) == []


def test_keeper_when_a_lease_is_given_up_stops_renewing_it() -> None:
    """Nothing is sent for a lease that is no longer held."""
    clock = VirtualClock()
    keeper = Keeper(clock, lambda steps: None)
    keeper.keep(b"0" * 16, KEY, 3.0)
    keeper.release(b"0" * 16)
    clock.advance(2.0)
    assert list(keeper.renew()) == []
