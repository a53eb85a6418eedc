"""What `doctor` finds, and what it advises."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tiercel import Cache
from tiercel.clock import SystemClock
from tiercel.configuration import use_caches
from tiercel.contracts.backend import Begin, Begun, Command, Mailbox
from tiercel.contracts.integration import Finding
from tiercel.errors import BackendRefused, BackendUnavailable
from tiercel.inspection import examine_all
from tiercel.inspection.tier_health import examine_cache
from tiercel.testing import DictBackend, SimulatedBackend


@contextmanager
def configured(**caches: Cache) -> Iterator[None]:
    former = use_caches(caches)
    try:
        yield
    finally:
        for cache in use_caches(former).values():
            cache.close()


def by_subject(findings: Iterator[Finding]) -> Mapping[str, Finding]:
    return {each.subject: each for each in findings}


def test_cache_when_all_is_well_then_ok() -> None:
    """Connection, guarantee, clock and channel are looked at, and the channel is timed."""
    found = by_subject(examine_cache(Cache(backend=SimulatedBackend(), name="a")))
    assert {name: each.state for name, each in found.items()} == {
        "cache a": "ok", "guarantee of a": "ok", "clock of a": "ok", "push channel of a": "ok",
        "wakes of a": "ok", "processes of a": "ok",
    }  # fmt: skip
    assert "a drop arrived after" in found["push channel of a"].detail


def test_cache_when_server_is_gone_then_only_that() -> None:
    """What cannot be known is not guessed."""
    backend = SimulatedBackend()
    backend.unreachable = True
    (found,) = examine_cache(Cache(backend=backend, name="a"))
    assert (found.state, found.advice[:16]) == ("wrong", "start the server")


def test_cache_when_backend_is_weak_then_warned_what_that_means() -> None:
    """A bare object with get and set carries less, and it is said what."""
    found = by_subject(examine_cache(Cache(backend=DictBackend(), name="a")))
    weak = found["guarantee of a"]
    assert (weak.state, weak.detail[:2]) == ("warning", "G1")
    assert "atomic, push" in weak.detail
    assert found["push channel of a"].detail.startswith("none")


def test_cache_when_server_talks_nonsense_then_only_that() -> None:
    """What answers may be anything; the other caches are looked at all the same."""

    class Foreign(SimulatedBackend):
        def execute(self, command: Command[Any]) -> Any:
            raise TypeError("'<=' not supported")

    (found,) = examine_cache(Cache(backend=Foreign(), name="a"))
    assert found.state == "wrong"
    assert found.detail.endswith("TypeError: '<=' not supported")


def test_cache_when_nobody_is_woken_then_warned() -> None:
    """Waiters that ask again by the clock take longer, and nothing else would show it."""

    class Mute(SimulatedBackend):
        def open_mailbox(self, waiter: str) -> Mailbox:
            raise BackendUnavailable("NOPERM no permissions to access a channel")

    found = by_subject(examine_cache(Cache(backend=Mute(), name="a")))
    assert found["wakes of a"].state == "warning"
    assert "NOPERM" in found["wakes of a"].detail


def test_cache_when_probe_is_not_stored_then_wrong() -> None:
    """A server that takes nothing is found out."""

    class Full(SimulatedBackend):
        def _begin(self, command: Begin) -> Begun:
            raise BackendRefused("OOM command not allowed")

    found = by_subject(examine_cache(Cache(backend=Full(), name="a")))
    assert found["clock of a"].state == "wrong"


def test_all_then_versions_plugins_caches_and_functions() -> None:
    """Every part is looked at, and no application is no failure."""
    with configured(default=Cache(name="default"), a=Cache(backend=SimulatedBackend(), name="a")):
        found = {each.subject: each for each in examine_all()}
    assert {"versions", "cache default", "cache a", "push channel of a"} <= found.keys()
    assert found["versions"].detail.startswith("Python 3.")
    assert "memory of each process only" in found["cache default"].detail


class Ahead(SystemClock):
    """The clock of a host that runs fast."""

    @staticmethod
    def time() -> float:
        return time.time() + 100


def test_processes_when_a_clock_is_wrong_then_warned_which() -> None:
    """Clocks matter to people only, but a drop that is told an hour off leads them astray."""
    backend = SimulatedBackend()
    other = Cache(backend=backend, name="b", clock=Ahead(), events=True)
    doubled = other.cached(name="health.double")(lambda number: 2 * number)
    assert doubled(2) == 4
    found = by_subject(examine_cache(Cache(backend=backend, name="a")))["processes of a"]
    other.close()
    assert found.state == "warning"
    assert f"the clock of {other.publisher.process} is +" in found.detail
