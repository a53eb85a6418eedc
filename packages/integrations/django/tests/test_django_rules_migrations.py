"""Migrations write rows through models of their own; rules on the models of today see that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.db.migrations.state import ProjectState

from packages.integrations.django.tests.ruled import ruled
from packages.integrations.django.tests.shop.models import Category, Owner, Product

pytestmark = pytest.mark.django_db(databases=["default", "postgres"], transaction=True)


@pytest.fixture(scope="module")
def then() -> Callable[[type], Any]:
    """Return a model as migrations know it."""
    state = ProjectState.from_apps(apps)
    return lambda model: state.apps.get_model("shop", model.__name__)


def _save(rows: Any) -> None:
    for row in rows:
        row.save()


def _bulk_update(rows: Any) -> None:
    rows.bulk_update(list(rows), ["name"])


WRITES: dict[str, Callable[[Any], object]] = {
    "save": _save,
    "update": lambda rows: rows.update(name="b"),
    "bulk_update": _bulk_update,
    "delete": lambda rows: rows.get().delete(),
    "delete many": lambda rows: rows.delete(),
    "create": lambda rows: rows.create(name="c"),
    "bulk_create": lambda rows: rows.bulk_create([rows.model(name="d")]),
}


@pytest.mark.parametrize("write", WRITES)
def test_rows_that_a_migration_writes_then_everything_is_dropped(
    alias: str, then: Callable[[type], Any], write: str
) -> None:
    """Which ones were written is not asked: the tables may not be those of today yet."""
    category = Category.objects.using(alias).create(name="a")
    function, other = ruled(Category), ruled(Owner)
    before = function(category.pk), other(1)
    with transaction.atomic(alias):
        WRITES[write](then(Category).objects.using(alias).all())
        assert function(category.pk) is before[0]
    assert function(category.pk) is not before[0]
    assert other(1) is before[1]


def test_rows_that_go_with_others_then_everything_of_them_is_dropped(
    alias: str, then: Callable[[type], Any]
) -> None:
    """Some are deleted, too, and some refer to nothing any more."""
    owner, category = Owner.objects.using(alias).create(), Category.objects.using(alias).create()
    Product.objects.using(alias).create(owner=owner, category=category)
    function = ruled(Product)
    before = function(1)
    then(Category).objects.using(alias).get().delete()
    assert (between := function(1)) is not before
    then(Owner).objects.using(alias).get().delete()
    assert function(1) is not between


def test_model_that_is_gone_when_a_migration_writes_it_then_nothing_happens(
    alias: str, then: Callable[[type], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later migration has deleted it."""
    function = ruled(Product)
    before = function(1)
    former = then(Category)
    monkeypatch.setattr(former._meta, "model_name", "former")
    former.objects.using(alias).create(name="a")
    assert function(1) is before
