"""The kit for backends on caches of Django: in memory, in files, in databases, on Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker, Settings

from tiercel import Cache
from tiercel.spi import Backend
from tiercel.testing import BackendConformance
from tiercel.testing.servers import RedisServer

ROOM = {"MAX_ENTRIES": 1_000_000}
SQLITE = "cache_file"
TABLE = "tiercel"


class CacheRouter:
    """Keeps the table of the cache in a database of its own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return SQLITE if model._meta.app_label == "django_cache" else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self.db_for_read(model, **hints)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == SQLITE if app_label == "django_cache" else None


def opened(settings: Settings, **configured: Any) -> Backend:
    """Configure an alias, and return the backend that stands on it."""
    settings.CACHES = {"shared": {"KEY_PREFIX": uuid4().hex, **configured}}
    backend = Cache("django://shared").shared
    assert backend is not None
    return backend


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def database(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A file with the table of a cache, beside the databases of all other tests."""
    connections.databases[SQLITE] = connections.databases["default"] | {
        "NAME": tmp_path_factory.mktemp("database") / "cache.db",
        "OPTIONS": {
            "init_command": "PRAGMA synchronous=OFF",  # no commit waits for the disk
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
        },
    }
    shared = {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": TABLE,
    }
    overridden = {"CACHES": {"shared": shared}, "DATABASE_ROUTERS": [f"{__name__}.CacheRouter"]}
    with django_db_blocker.unblock(), override_settings(**overridden):
        with connections[SQLITE].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
        call_command("createcachetable", database=SQLITE)
        yield SQLITE
        connections[SQLITE].close()
    del connections.databases[SQLITE]


class TestLocMemCache(BackendConformance):
    @pytest.fixture
    def backend(self, settings: Settings) -> Backend:
        return opened(
            settings,
            BACKEND="django.core.cache.backends.locmem.LocMemCache",
            LOCATION=uuid4().hex,
            OPTIONS=ROOM,
        )


class TestFileBasedCache(BackendConformance):
    examples, entries = 5, 200  # each of its writes lists the whole folder

    @pytest.fixture
    def backend(self, settings: Settings, tmp_path: Path) -> Backend:
        return opened(
            settings,
            BACKEND="django.core.cache.backends.filebased.FileBasedCache",
            LOCATION=str(tmp_path),
            OPTIONS=ROOM,
        )


class TestDatabaseCache(BackendConformance):
    examples = 10

    @pytest.fixture
    def backend(
        self, settings: Settings, database: str, django_db_blocker: DjangoDbBlocker
    ) -> Iterator[Backend]:
        settings.DATABASE_ROUTERS = [f"{__name__}.CacheRouter"]
        with django_db_blocker.unblock():
            yield opened(
                settings,
                BACKEND="django.core.cache.backends.db.DatabaseCache",
                LOCATION=TABLE,
                OPTIONS=ROOM,
            )


class TestRedisCache(BackendConformance):
    examples = 10

    @pytest.fixture
    def backend(self, settings: Settings, server: RedisServer) -> Iterator[Backend]:
        yield opened(
            settings, BACKEND="django.core.cache.backends.redis.RedisCache", LOCATION=server.url
        )
        cache: Any = caches["shared"]
        cache._cache.get_client().connection_pool.disconnect()


class TestDjangoRedis(BackendConformance):
    """Every write is read back, since django-redis was told to hide what goes wrong."""

    examples = 10

    @pytest.fixture
    def backend(self, settings: Settings, server: RedisServer) -> Backend:
        return opened(
            settings,
            BACKEND="django_redis.cache.RedisCache",
            LOCATION=server.url,
            OPTIONS={"IGNORE_EXCEPTIONS": True},
        )
