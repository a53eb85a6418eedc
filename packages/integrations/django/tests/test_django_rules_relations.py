"""Relations of many to many: changed from either side, or by writing their rows."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from packages.integrations.django.tests.ruled import dropped, ruled
from packages.integrations.django.tests.shop.models import (
    Category,
    Like,
    Owner,
    Product,
    Quiet,
    Tag,
)
from tiercel_django.testing import capture_invalidations

pytestmark = pytest.mark.django_db(databases=["default", "postgres"])


@pytest.mark.parametrize("loaded", [False, True])
def test_set_null_then_rows_that_lose_a_relation_are_seen(
    alias: str, products: list[Product], loaded: bool
) -> None:
    """Django sets the foreign key to NULL and sends no signal for it."""
    category = Category.objects.using(alias).create(name="x")
    Product.objects.using(alias).filter(pk=products[0].pk).update(category=category)
    function, watching = ruled(Product, "category_id"), ruled(Product, watch_fields=["category"])
    pk = category.pk
    with capture_invalidations() as captured:
        if loaded:
            category.delete()
        else:
            Category.objects.using(alias).filter(pk=pk).delete()
    assert dropped(captured, function) == [pk]
    assert dropped(captured, watching) == [products[0].pk]


def _two_tags(alias: str) -> list[Tag]:
    return [Tag.objects.using(alias).create(name=name) for name in ("s", "t")]


Change = Callable[[Product, list[Tag]], Any]


@pytest.mark.parametrize(
    ("before", "change", "touched"),
    [
        ([], lambda product, tags: product.tags.add(*tags), [0, 1]),
        ([], lambda product, tags: product.tags.add(tags[0].pk), [0]),
        ([0], lambda product, tags: product.tags.remove(tags[0]), [0]),
        ([0, 1], lambda product, tags: product.tags.clear(), [0, 1]),
        ([0], lambda product, tags: product.tags.set([tags[1]]), [0, 1]),
        ([], lambda product, tags: product.tags.create(name="new"), []),
    ],
    ids=["add", "add key", "remove", "clear", "set", "create"],
)
def test_relation_when_changed_on_this_side_then_both_ends_are_seen(
    alias: str, products: list[Product], before: list[int], change: Change, touched: list[int]
) -> None:
    """Rules on either end of a relation see it change, with its name as the written field."""
    product, tags = products[0], _two_tags(alias)
    product.tags.set([tags[number] for number in before])
    this, that = ruled(Product, watch_fields=["tags"]), ruled(Tag, watch_fields=["products"])
    other = ruled(Product, watch_fields=["name"])
    with capture_invalidations() as captured:
        change(product, tags)
    assert set(dropped(captured, this)) == {product.pk}
    assert {tags[number].pk for number in touched} <= set(dropped(captured, that))
    assert dropped(captured, other) == []


@pytest.mark.parametrize("how", ["add", "remove", "clear", "set"])
def test_relation_when_changed_on_the_other_side_then_both_ends_are_seen(
    alias: str, products: list[Product], how: str
) -> None:
    """The same through the reverse accessor."""
    product, tag = products[0], _two_tags(alias)[0]
    if how in ("remove", "clear"):
        product.tags.add(tag)
    this, that = ruled(Product), ruled(Tag)
    with capture_invalidations() as captured:
        arguments: dict[str, list[Any]] = {"clear": [], "set": [[product]]}
        getattr(tag.products, how)(*arguments.get(how, [product]))
    assert dropped(captured, this) == [product.pk]
    assert dropped(captured, that) == [tag.pk]


def test_relation_when_a_tag_is_deleted_then_products_that_had_it_are_seen(
    alias: str, products: list[Product]
) -> None:
    """Its links go with it, of which Django says nothing to anybody."""
    tag = _two_tags(alias)[0]
    products[1].tags.add(tag)
    function = ruled(Product, watch_fields=["tags"])
    with capture_invalidations() as captured:
        tag.delete()
    assert dropped(captured, function) == [products[1].pk]


def test_relation_through_a_model_then_its_rows_are_the_relation(
    alias: str, products: list[Product], owners: list[Owner]
) -> None:
    """Rows between two models that are written by themselves change the relation, too."""
    function, other = ruled(Product, watch_fields=["fans"]), ruled(Owner, watch_fields=["liked"])
    with capture_invalidations() as captured:
        like = Like.objects.using(alias).create(product=products[0], owner=owners[1])
    assert dropped(captured, function) == [products[0].pk]
    assert dropped(captured, other) == [owners[1].pk]
    like.product = products[2]
    with capture_invalidations() as captured:
        like.save()
    assert dropped(captured, function) == [products[0].pk, products[2].pk]
    with capture_invalidations() as captured:
        like.delete()
    assert dropped(captured, function) == [products[2].pk]


def test_relation_of_a_model_without_rules_then_nothing_is_read(alias: str) -> None:
    """Adding a relation between models of which no rule names either costs nothing more."""
    one, two = (Quiet.objects.using(alias).create(name=name) for name in "ab")
    gc.collect()  # rules of tests before
    with CaptureQueriesContext(connections[alias]) as queries:
        one.others.add(two)
    kinds = [each["sql"].split()[0] for each in queries]
    assert {"SELECT", "UPDATE"} & set(kinds) == set()


def test_relation_of_a_model_to_itself_then_both_rows_are_seen(alias: str) -> None:
    """A symmetric relation is two rows between."""
    one, two = (Quiet.objects.using(alias).create(name=name) for name in "ab")
    function = ruled(Quiet, watch_fields=["others"])
    with capture_invalidations() as captured:
        one.others.add(two)
    assert set(dropped(captured, function)) == {one.pk, two.pk}


def test_relation_when_watched_and_the_row_is_saved_then_nothing_is_dropped(
    alias: str, products: list[Product]
) -> None:
    """Saving a row does not change what it is related to by tables between."""
    function = ruled(Product, watch_fields=["tags"])
    with capture_invalidations() as captured:
        products[0].save()
        Product.objects.using(alias).update(price=9)
    assert dropped(captured, function) == []
