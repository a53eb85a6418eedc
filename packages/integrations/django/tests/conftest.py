"""Sets Django up before any test of this package is collected."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from packages.integrations.django.tests.shop.models import Owner, Product


def pytest_configure() -> None:
    """Configure Django; pytest-django finds it done and takes care of the databases."""
    import django

    import tiercel_django.plugin
    import tiercel_redis.plugin
    from packages.integrations.django.tests import settings
    from packages.integrations.django.tests.refusing import RefusingPlugin
    from tiercel import register_plugin

    # Where the tests run on sources alone, nothing is installed that could be found.
    for plugin in (tiercel_django.plugin, tiercel_redis.plugin, RefusingPlugin()):
        register_plugin(plugin)
    os.environ["DJANGO_SETTINGS_MODULE"] = settings.__name__
    django.setup()


@pytest.fixture(autouse=True, scope="session")
def _empty_tables_by_deleting() -> Iterator[None]:
    """Let tests with transactions of their own not wait for the disk, as TRUNCATE of tables does.

    It takes a hundred times as long as deleting the few rows that a test has left.
    """
    from django.db.backends.postgresql.operations import DatabaseOperations

    def delete(
        self: DatabaseOperations, style: Any, tables: Sequence[str], **options: Any
    ) -> list[str]:
        return [f"DELETE FROM {self.quote_name(table)};" for table in tables]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", delete)
        yield


@pytest.fixture(params=["default", "postgres"])
def alias(request: pytest.FixtureRequest) -> str:
    """Each database in turn: SQLite, PostgreSQL."""
    return str(request.param)


@pytest.fixture
def owners(alias: str) -> list[Owner]:
    """Three owners."""
    from packages.integrations.django.tests.shop.models import Owner

    return [Owner.objects.using(alias).create(name=name) for name in "abc"]


@pytest.fixture
def product(alias: str, owners: list[Owner]) -> Product:
    """A product of the first owner."""
    from packages.integrations.django.tests.shop.models import Product

    return Product.objects.using(alias).create(owner=owners[0], name="cup", price=3)


@pytest.fixture
def products(alias: str, owners: list[Owner]) -> list[Product]:
    """One product of each owner."""
    from packages.integrations.django.tests.shop.models import Product

    rows = Product.objects.using(alias)
    return [rows.create(owner=owner, name=owner.name, price=1) for owner in owners]
