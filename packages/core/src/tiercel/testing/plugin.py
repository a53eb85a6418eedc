"""The pytest plugin: fixtures that keep cached values from leaking between your tests.

Active wherever tiercel is installed beside pytest; a test that asks for nothing pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tiercel.caches import Cache
    from tiercel.testing.clock import VirtualClock

ISOLATE = "tiercel_isolate"
"""The ini option, and the marker, that give tests the fixture `tiercel_caches` unasked."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    help_ = "give every test fresh caches in memory, as its fixture tiercel_caches does"
    parser.addini(ISOLATE, help_, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", f"{ISOLATE}: give the test fresh caches in memory")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Isolate a test that the ini option or a marker says is to be isolated."""
    if not isinstance(item, pytest.Function) or "tiercel_caches" in item.fixturenames:
        return
    if item.config.getini(ISOLATE) or item.get_closest_marker(ISOLATE):
        item.fixturenames = ["tiercel_caches", *item.fixturenames]


@pytest.fixture
def tiercel_caches(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Cache]]:
    """Isolate a test: every configured cache is replaced by an empty one in memory.

    Afterwards the former caches are back, and cached functions bind to them anew. A test that
    asks for `virtual_clock` too has caches whose time that clock tells. What would be sent to
    workers is done inline. A `Cache` that decorates functions by its own `cached` is no part of the
    configuration, and stays as it is.

    Yields:
        The caches by name; `default` is always among them.
    """
    from tiercel.clock import SYSTEM_CLOCK
    from tiercel.oversight import isolated_caches

    timed = "virtual_clock" in request.fixturenames
    clock = request.getfixturevalue("virtual_clock") if timed else SYSTEM_CLOCK
    with isolated_caches(clock) as caches:
        yield caches


@pytest.fixture
def tiercel_disabled() -> Iterator[None]:
    """Switch caching off for a test: every cached function is simply called."""
    from tiercel.switch import disabled

    with disabled():
        yield


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock that moves only when the test says so; time of `tiercel_caches` follows it."""
    from tiercel.testing.clock import VirtualClock

    return VirtualClock()
