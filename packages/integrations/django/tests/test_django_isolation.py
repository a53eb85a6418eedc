"""What is computed in a transaction that sees what others do not is not stored."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace

import pytest
from django.db import connections, transaction

from packages.integrations.django.tests.shop.models import Category
from tiercel import Cache

EVERYWHERE = pytest.mark.django_db(databases=["default", "postgres"], transaction=True)


class Shop:
    """A function that reads the names of all categories of a database, and counts its runs."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.runs = 0
        self.cache = Cache(name="isolation")

        @self.cache.cached(name="isolation.names")
        def names() -> list[str]:
            self.runs += 1
            return sorted(Category.objects.using(alias).values_list("name", flat=True))

        self.names = names

    def add(self, name: str) -> None:
        """Write a row."""
        Category.objects.using(self.alias).create(name=name)


class Undone(Exception):
    """Rolls a transaction back."""


@pytest.fixture
def shop(alias: str) -> Shop:
    """A shop on each database."""
    return Shop(alias)


@EVERYWHERE
def test_value_when_the_transaction_is_rolled_back_then_nobody_ever_sees_it(shop: Shop) -> None:
    """The code itself gets what it has written; it is not stored."""
    with suppress(Undone), transaction.atomic(shop.alias):
        shop.add("dirty")
        assert shop.names() == ["dirty"]
        raise Undone
    assert shop.names() == []


@EVERYWHERE
def test_value_when_the_function_itself_writes_in_a_transaction_then_it_is_not_stored(
    shop: Shop,
) -> None:
    """What was clean before the computation may not be so after it."""

    @shop.cache.cached(name="isolation.counter")
    def count() -> int:
        shop.add("another")
        return int(Category.objects.using(shop.alias).count())

    with suppress(Undone), transaction.atomic(shop.alias):
        assert count() == 1
        raise Undone
    assert count.get_cached_metadata() is None
    assert count() == 1


@EVERYWHERE
def test_value_when_the_transaction_only_reads_then_it_is_stored(shop: Shop) -> None:
    """A view that reads in a transaction of its own is cached as any other."""
    shop.add("kept")
    with transaction.atomic(shop.alias):
        assert shop.names() == ["kept"]
    assert shop.names() == ["kept"]
    assert shop.runs == 1


@EVERYWHERE
def test_value_when_it_is_cached_already_then_a_dirty_transaction_is_served_it(shop: Shop) -> None:
    """Until the commit the old value is right for everybody else, and stays."""
    shop.names()
    with transaction.atomic(shop.alias):
        shop.add("new")
        assert shop.names() == []
    assert shop.runs == 1


@EVERYWHERE
def test_value_when_the_writing_transaction_is_over_then_it_is_stored_again(shop: Shop) -> None:
    """A block that a decorator uses again and again is a new transaction each time."""
    add = transaction.atomic(shop.alias)(shop.add)
    add("one")
    assert shop.names() == ["one"]
    assert shop.names() == ["one"]
    assert shop.runs == 1


@EVERYWHERE
def test_value_when_a_savepoint_has_written_then_the_whole_transaction_is_dirty(
    shop: Shop,
) -> None:
    """Whether the inner block is over or not."""
    with transaction.atomic(shop.alias):
        with transaction.atomic(shop.alias):
            shop.add("inner")
        shop.names()
    shop.names()
    assert shop.runs == 2


@EVERYWHERE
def test_value_when_the_isolation_level_shows_an_earlier_state_then_it_is_not_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a transaction does not see later commits, its results may be older than a drop."""
    shop = Shop("postgres")
    connection = connections["postgres"]
    connection.ensure_connection()
    level = SimpleNamespace(name="REPEATABLE_READ")
    with transaction.atomic("postgres"):
        monkeypatch.setattr(connection, "isolation_level", level)
        shop.names()
    monkeypatch.undo()
    shop.names()
    assert shop.runs == 2


@pytest.mark.django_db
def test_value_when_a_test_case_opened_the_transaction_then_it_is_stored() -> None:
    """Otherwise nothing would be cached in tests that Django rolls back."""
    shop = Shop("default")
    shop.add("in a test")
    assert shop.names() == shop.names() == ["in a test"]
    assert shop.runs == 1
