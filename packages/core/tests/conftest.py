"""Fixtures of the tests of the core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packages.core.tests.brokers import ListBroker, plugged
from packages.core.tests.jobbing import Web
from packages.core.tests.ruled import Surroundings, surroundings
from packages.core.tests.stages import KINDS, Stage, Way
from tiercel.invalidation import registry


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A cache of every kind, one after the other."""
    made = Stage(request.param)
    yield made
    made.close()


@pytest.fixture
def memory() -> Iterator[Stage]:
    """A cache in memory only."""
    made = Stage("memory")
    yield made
    made.close()


@pytest.fixture
def tiers() -> Iterator[Stage]:
    """A cache with memory that follows a shared tier."""
    made = Stage("two_tiers")
    yield made
    made.close()


@pytest.fixture
def shared() -> Iterator[Stage]:
    """A cache with a shared tier only."""
    made = Stage("shared")
    yield made
    made.close()


@pytest.fixture
def own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules of functions that other tests made, and that still live, hear of nothing."""
    monkeypatch.setattr(registry, "_registry", registry.RuleRegistry())


@pytest.fixture
def around() -> Iterator[Surroundings]:
    """The plugins of this test alone: a queue, an observer, an integration."""
    with surroundings() as made:
        yield made


@pytest.fixture(params=("memory", "two_tiers", "shared"))
def listing(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A cache whose entries can all be listed, of each kind."""
    made = Stage(request.param)
    yield made
    made.close()


@pytest.fixture(params=("plain", "coroutine"))
def way(request: pytest.FixtureRequest) -> Way:
    """A plain and a coroutine function, each used in its own way, one after the other."""
    return Way(request.param)


@pytest.fixture
def broker() -> Iterator[ListBroker]:
    """A broker, known as dispatcher `list`."""
    broker = ListBroker()
    with plugged(broker):
        yield broker


@pytest.fixture(params=[0, 100], ids=["shared", "two_tiers"])
def web(request: pytest.FixtureRequest, broker: ListBroker) -> Iterator[Web]:
    """Processes without and with memory tiers."""
    web = Web(broker, request.param)
    yield web
    web.close()
