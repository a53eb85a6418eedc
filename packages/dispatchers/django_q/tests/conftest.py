"""Sets Django up before any test of this package is collected, and starts servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import pytest

from packages.dispatchers.django_q.tests.django_q_programs import SETTINGS, Shop
from tiercel.testing.servers import RedisServer
from tools.environment import ROOT

_folder = TemporaryDirectory(prefix="django-q-")


def pytest_configure() -> None:
    """Configure Django with a database in a file, which programs of these tests can have too."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    os.environ["SHOP_DATABASE"] = str(Path(_folder.name) / "db.sqlite3")
    django.setup()
    # Processes that run tests beside this one inherit variables. They must not read the settings
    # before they have a database of their own: what one of them clears, others would lose.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure() -> None:
    """Remove the database."""
    _folder.cleanup()


@pytest.fixture(scope="session")
def django_db_setup(migrated: Path) -> None:
    """The database of this process, whichever tests are asked for: pytest-django makes none for
    those that lack its mark.
    """
    copy(migrated, os.environ["SHOP_DATABASE"])


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and no row, to be copied."""
    database = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    command = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
    variables = os.environ | {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PYTHONPATH": str(ROOT),
        "SHOP_DATABASE": str(database),
    }
    subprocess.run(command, env=variables, check=True, timeout=120)
    return database


@pytest.fixture
def make_shop(tmp_path: Path, migrated: Path, cache_server: RedisServer) -> Callable[..., Shop]:
    """Makes the application; takes the broker and options of the dispatcher."""
    copy(migrated, tmp_path)
    return partial(Shop, tmp_path, cache_server)


@pytest.fixture(scope="session")
def cache_server() -> Iterator[RedisServer]:
    """The Redis of the caches."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis for queues, which the test may kill."""
    with RedisServer() as server:
        yield server
