"""Threads in which no request ends: nobody but Tiercel closes the connections they opened."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from pytest_django import Settings

from packages.integrations.django.tests.shop.models import Sample
from tiercel import Cache, cached_for
from tiercel.testing.servers import wait_until

pytestmark = pytest.mark.django_db(databases=["postgres"], transaction=True)

TABLE = "tiercel_threads"
DATABASE = "django.core.cache.backends.db.DatabaseCache"

Made = list[tuple[str, BaseDatabaseWrapper]]
"""Connections that other threads than the test's opened, with the names of those threads."""


class PostgresRouter:
    """Keeps the table of the cache on PostgreSQL."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "postgres" if model._meta.app_label == "django_cache" else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self.db_for_read(model, **hints)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == "postgres" if app_label == "django_cache" else None


@pytest.fixture
def made() -> Iterator[Made]:
    """Note who opens connections."""
    found: Made = []
    here = threading.get_ident()

    def note(sender: Any, connection: BaseDatabaseWrapper, **given: Any) -> None:
        if threading.get_ident() != here:
            found.append((threading.current_thread().name, connection))

    connection_created.connect(note)
    yield found
    connection_created.disconnect(note)


@pytest.fixture
def shared(settings: Settings) -> Iterator[Cache]:
    """A cache whose shared tier is a table."""
    settings.DATABASE_ROUTERS = [f"{__name__}.PostgresRouter"]
    settings.CACHES = {
        "default": {"BACKEND": DATABASE, "LOCATION": TABLE, "KEY_PREFIX": uuid4().hex}
    }
    call_command("createcachetable", database="postgres")
    yield Cache("django://default")
    with connections["postgres"].cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")


def are_closed(made: Made) -> bool:
    return all(connection.connection is None for _, connection in made)


async def test_plain_function_when_its_method_is_awaited_then_its_connection_is_closed(
    made: Made,
) -> None:
    """The thread that computes lives on for others, which must not get what has broken since."""

    @Cache("memory://").cached(name="tests:counted")
    def counted() -> int:
        return Sample.objects.using("postgres").count()

    for _ in range(2):
        assert await counted.arefresh() == 0
    assert made
    assert are_closed(made)


def test_warm_up_when_it_has_begun_then_its_connection_is_closed(made: Made, shared: Cache) -> None:
    """Its thread asks the shared tier which process computes, and ends."""
    warmed = threading.Event()

    @cached_for(hours=1, cache=shared, warmup_on_startup=True, name="tests:warmed")
    def count() -> int:
        warmed.set()
        return Sample.objects.using("postgres").count()

    shared.set("used", 1)
    assert warmed.wait(60)
    wait_until(lambda: are_closed(made), "the ends of both threads")
    assert "tiercel-warmup" in [name for name, _ in made]
