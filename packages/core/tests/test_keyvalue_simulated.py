"""The faults that tests can order from the simulated backend."""

from __future__ import annotations

from random import Random

import pytest

from tiercel.contracts.backend import Begin, DropKey, Granted, Poll, Read
from tiercel.errors import BackendRefused, BackendUnavailable
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.testing.conformance.channel import names_in, positions_of, start
from tiercel.testing.conformance.tier import LONG, Tier


@pytest.fixture
def backend() -> SimulatedBackend:
    return SimulatedBackend()


@pytest.fixture
def tier(backend: SimulatedBackend) -> Tier:
    return Tier(backend, space="tiercel:test")


def test_runs_with_the_same_random_source_are_equal() -> None:
    """Nothing differs between two runs, and another source gives other tokens."""
    backends = [SimulatedBackend(), SimulatedBackend(), SimulatedBackend(None, Random(5).randbytes)]
    tiers = [Tier(backend, space="s") for backend in backends]
    first, second, other = (tier.take(tier.key()) for tier in tiers)
    assert first == second
    assert first != other


def test_evicted_cells_are_gone(backend: SimulatedBackend, tier: Tier) -> None:
    """Names tell kind and key; whatever is evicted costs a miss."""
    key = tier.key()
    tier.store(key, b"value")
    tier.take(tier.key("leased"))
    assert sorted(backend.names()) == [
        "lease/tiercel:test:f:p:leased",
        "stamp/tiercel:test:f",
        "stamp/tiercel:test:f:p",
        "value/tiercel:test:f:p:k",
    ]
    backend.evict("stamp/tiercel:test:f")
    backend.evict("stamp/unknown")
    assert tier.value(key) is None


def test_unreachable_backend_does_nothing(backend: SimulatedBackend, tier: Tier) -> None:
    """Commands and mailboxes fail, and nothing changes meanwhile."""
    tier.store(tier.key(), b"value")
    backend.unreachable = True
    with pytest.raises(BackendUnavailable):
        tier.run(DropKey(tier.key()))
    with pytest.raises(BackendUnavailable):
        backend.open_mailbox("w")
    backend.unreachable = False
    assert tier.value(tier.key()) == b"value"


def test_refused_commands_do_nothing(backend: SimulatedBackend, tier: Tier) -> None:
    """As many as were ordered are refused."""
    tier.store(tier.key(), b"value")
    backend.refuse(2)
    for _ in range(2):
        with pytest.raises(BackendRefused):
            tier.run(DropKey(tier.key()))
    assert tier.value(tier.key()) == b"value"


def test_lost_reply_leaves_its_effect(backend: SimulatedBackend, tier: Tier) -> None:
    """A timeout is ambiguous: the command was executed."""
    tier.store(tier.key(), b"value")
    backend.lose_replies(1)
    with pytest.raises(BackendUnavailable):
        tier.run(DropKey(tier.key()))
    assert tier.run(Read(tier.key())).payload is None


def test_lost_stream_begins_another_epoch(backend: SimulatedBackend, tier: Tier) -> None:
    """Before the next message there is no position, after it the epoch is new."""
    positions = start(tier)
    backend.lose_stream()
    assert positions_of(tier.run(Poll(positions, 0.0))) == {}
    tier.drop(tier.function())
    after = positions_of(tier.run(Poll(positions, 0.0)))
    assert after["changes"].number == 1
    assert after["changes"].epoch != positions["changes"].epoch


def test_trimmed_stream_shows_a_gap(backend: SimulatedBackend, tier: Tier) -> None:
    """What remains does not continue the reader's chain."""
    positions = start(tier)
    for n in range(5):
        tier.drop(tier.partition(f"p{n}"))
    backend.trim_stream(2)
    polled = tier.run(Poll(positions, 0.0))
    assert names_in(polled) == [tier.partition("p3").name, tier.partition("p4").name]
    assert polled["changes"].messages[0].previous != positions["changes"].nonce


def test_rollback_reverts_everything(backend: SimulatedBackend, tier: Tier) -> None:
    """Value, stamp, lease and stream are as they were at the snapshot."""
    tier.store(tier.key(), b"old")
    granted, positions = tier.take(tier.key("leased")), start(tier)
    snapshot = backend.snapshot()
    tier.drop(tier.function())
    tier.run(DropKey(tier.key()))
    tier.run(DropKey(tier.key("leased")))
    backend.rollback(snapshot)
    assert tier.value(tier.key()) == b"old"
    assert positions_of(tier.run(Poll(positions, 0.0))) == positions
    assert tier.fill(tier.key("leased"), granted, b"value")


def test_commands_are_recorded_in_order(backend: SimulatedBackend, tier: Tier) -> None:
    """Tests can count what was asked, refused commands excluded."""
    begin = Begin(tier.key(), LONG, LONG)
    assert isinstance(tier.run(begin), Granted)
    backend.refuse()
    with pytest.raises(BackendRefused):
        tier.run(begin)
    assert backend.commands == [begin]


def test_virtual_clock_moves_only_when_told() -> None:
    """Both clocks advance together; only the wall clock can jump, and none goes back."""
    clock = VirtualClock(monotonic=5.0, time=100.0)
    clock.advance(2.0)
    clock.jump(-50.0)
    assert (clock.monotonic(), clock.time()) == (7.0, 52.0)
    with pytest.raises(ValueError, match="time cannot pass backwards"):
        clock.advance(-1.0)
