"""Sets Django up before any test of this package is collected, and starts servers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tiercel.testing.servers import RedisServer


def pytest_configure() -> None:
    """Configure Django; this package's tests have a process of their own."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "packages.dispatchers.rq.tests.settings"
    django.setup()
    del os.environ["DJANGO_SETTINGS_MODULE"]  # plain programs that tests start are without Django


@pytest.fixture(scope="session")
def cache_server() -> Iterator[RedisServer]:
    """The Redis of the caches."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def broker() -> Iterator[RedisServer]:
    """A Redis for queues, which the test may kill."""
    with RedisServer() as server:
        yield server
