"""Writes of many rows at once, and deletes with what goes with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.db.models import Count, F, Value
from django.db.models.functions import Upper

from packages.integrations.django.tests.ruled import dropped, ruled
from packages.integrations.django.tests.shop.models import (
    Book,
    Category,
    Discounted,
    Like,
    Owner,
    Product,
    Tag,
    Token,
)
from tiercel_django.testing import capture_invalidations

pytestmark = pytest.mark.django_db(databases=["default", "postgres"])

EVERYTHING = ["everything"]


def test_update_when_values_are_plain_then_drops_old_and_new(
    alias: str, products: list[Product], owners: list[Owner]
) -> None:
    """`QuerySet.update` drops what each row said before and what it says now."""
    function = ruled(Product, "owner_id")
    with capture_invalidations() as captured:
        Product.objects.using(alias).filter(owner__in=owners[:2]).update(owner=owners[2])
    assert sorted(dropped(captured, function)) == [each.pk for each in owners]


def test_update_when_expression_then_new_values_are_read(
    alias: str, products: list[Product]
) -> None:
    """What `F` made of a column only the database knows."""
    function = ruled(Product, "price")
    by_name = ruled(Product, "name")
    with capture_invalidations() as captured:
        Product.objects.using(alias).filter(name="a").update(
            price=F("price") + 5, name=Upper("name")
        )
    assert dropped(captured, function) == [1, 6]
    assert dropped(captured, by_name) == ["a", "A"]


def test_update_when_watched_value_stays_then_drops_nothing(
    alias: str, products: list[Product]
) -> None:
    """Only rows whose watched value really changed count."""
    function = ruled(Product, watch_fields=["price"])
    Product.objects.using(alias).filter(name="a").update(price=2)
    with capture_invalidations() as captured:
        Product.objects.using(alias).update(price=2)
    assert sorted(dropped(captured, function)) == [each.pk for each in products[1:]]
    with capture_invalidations() as captured:
        Product.objects.using(alias).update(name="z")
    assert dropped(captured, function) == []


def test_update_when_nothing_matches_then_drops_nothing(alias: str) -> None:
    """No row, no change."""
    function = ruled(Product)
    with capture_invalidations() as captured:
        Product.objects.using(alias).filter(pk=-1).update(price=2)
    assert dropped(captured, function) == []


def test_update_when_query_is_complicated_then_rows_are_found(
    alias: str, products: list[Product], owners: list[Owner]
) -> None:
    """Joins, annotations, distinct and orders do not hide a row."""
    function = ruled(Product)
    rows = Product.objects.using(alias)
    tag = Tag.objects.using(alias).create(name="t")
    products[0].tags.add(tag)
    queries: list[Any] = [
        rows.filter(tags__name="t").order_by("-name"),
        rows.filter(tags__name="t").distinct(),
        rows.annotate(many=Count("tags")).filter(many=1),
        rows.annotate(x=Value(1)).filter(category__isnull=True, owner__name="a"),
        rows.filter(category__name=None, owner__name="a").select_related("owner").only("name"),
    ]
    for number, query in enumerate(queries):
        with capture_invalidations() as captured:
            assert query.update(price=number + 10) == 1
        assert dropped(captured, function) == [products[0].pk]


@pytest.mark.parametrize(("rows", "expected"), [(1000, None), (1001, EVERYTHING)])
def test_update_when_rows_are_many_then_told_apart_up_to_a_thousand(
    alias: str, rows: int, expected: list[str] | None
) -> None:
    """More than 1,000 rows are not looked at one by one: everything of the function is dropped."""
    function = ruled(Token, "label")
    Token.objects.using(alias).bulk_create(Token(label=str(n)) for n in range(rows))
    with capture_invalidations() as captured:
        Token.objects.using(alias).update(label="new")
    labels = {*map(str, range(rows)), "new"}
    assert set(dropped(captured, function)) == set(expected or labels)


def test_update_when_another_row_appears_meanwhile_then_everything_is_dropped(
    alias: str, products: list[Product]
) -> None:
    """The database says how many rows it has written: one more than were looked at."""
    function = ruled(Product, "name")
    rows = Product.objects.using(alias)

    def appear(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('UPDATE "shop_product"'):
            with connections[alias].cursor() as cursor:
                cursor.execute("UPDATE shop_product SET price = 77 WHERE name = 'b'")
        return execute(sql, *rest)

    with capture_invalidations() as captured, connections[alias].execute_wrapper(appear):
        rows.filter(price=77).update(status="live")
    assert dropped(captured, function) == EVERYTHING


def test_update_of_primary_keys_then_everything_is_dropped(alias: str) -> None:
    """Rows cannot be followed from one key to another."""
    Category.objects.using(alias).create(pk=1, name="x")
    function = ruled(Category, "name")
    with capture_invalidations() as captured:
        Category.objects.using(alias).filter(pk=1).update(id=2)
    assert dropped(captured, function) == EVERYTHING


def test_update_through_a_proxy_or_child_then_seen(alias: str, owners: list[Owner]) -> None:
    """Rows are the same, whichever class the query is of."""
    book = Book.objects.using(alias).create(owner=owners[0], name="x", isbn="1")
    on_parent, on_child = ruled(Product, "name"), ruled(Book, "isbn")
    inherited = ruled(Book, "name")
    with capture_invalidations() as captured:
        Discounted.objects.using(alias).update(name="y")
    assert dropped(captured, on_parent) == ["x", "y"]
    assert dropped(captured, inherited) == ["x", "y"]
    with capture_invalidations() as captured:
        Book.objects.using(alias).filter(pk=book.pk).update(isbn="2", name="z")
    assert dropped(captured, on_parent) == ["y", "z"]
    assert dropped(captured, on_child) == ["1", "2"]


def test_bulk_update_then_drops_old_and_new(
    alias: str, products: list[Product], owners: list[Owner]
) -> None:
    """`bulk_update` writes with one expression for all rows; each is told apart."""
    function = ruled(Product, "owner_id")
    products[0].owner, products[1].owner = owners[2], owners[0]
    with capture_invalidations() as captured:
        Product.objects.using(alias).bulk_update(products[:2], ["owner"])
    assert sorted(set(dropped(captured, function))) == [each.pk for each in owners]


def test_bulk_create_then_new_rows_count_if_asked_for(alias: str, owners: list[Owner]) -> None:
    """`bulk_create` is many creations."""
    without = ruled(Product, "owner_id")
    with_ = ruled(Product, "owner_id", trigger_on_create=True)
    by_key = ruled(Product, trigger_on_create=True)
    with capture_invalidations() as captured:
        made = Product.objects.using(alias).bulk_create(Product(owner=each) for each in owners[:2])
    assert dropped(captured, without) == []
    assert dropped(captured, with_) == [owners[0].pk, owners[1].pk]
    assert dropped(captured, by_key) == [each.pk for each in made]


def test_bulk_create_when_rows_are_written_over_then_old_and_new(alias: str) -> None:
    """With `update_conflicts` rows that were there are updated, the others new."""
    tag = Tag.objects.using(alias).create(name="old")
    updated, created = ruled(Tag), ruled(Tag, "name", trigger_on_create=True)
    with capture_invalidations() as captured:
        Tag.objects.using(alias).bulk_create(
            [Tag(name="old"), Tag(name="new")],
            update_conflicts=True, unique_fields=["name"], update_fields=["name"],
        )  # fmt: skip
    assert dropped(captured, updated) == [tag.pk]
    assert sorted(set(dropped(captured, created))) == ["new", "old"]


def test_bulk_create_when_conflicts_are_ignored_then_what_is_unknown_drops_everything(
    alias: str,
) -> None:
    """The database does not say which keys the rows have got."""
    function = ruled(Tag, trigger_on_create=True)
    with capture_invalidations() as captured:
        Tag.objects.using(alias).bulk_create([Tag(name="new")], ignore_conflicts=True)
    assert dropped(captured, function) == EVERYTHING


def test_delete_when_key_is_gone_from_the_instance_then_known(
    alias: str, products: list[Product]
) -> None:
    """Django takes the key from a deleted instance; the partition is known nevertheless."""
    function, by_name = ruled(Product, require_args=True), ruled(Product, "name")
    pk = products[0].pk
    products[0].name = "changed, but not saved"
    with capture_invalidations() as captured:
        products[0].delete()
    assert products[0].pk is None
    assert dropped(captured, function) == [pk]
    assert dropped(captured, by_name) == ["a"]


def test_delete_of_a_query_then_each_row_is_seen(alias: str, products: list[Product]) -> None:
    """`QuerySet.delete` is many deletions."""
    function = ruled(Product, "name")
    with capture_invalidations() as captured:
        Product.objects.using(alias).filter(name__in=["a", "b"]).delete()
    assert sorted(dropped(captured, function)) == ["a", "b"]


def test_delete_of_rows_nobody_refers_to_then_seen(alias: str) -> None:
    """Django deletes such rows without loading them."""
    Token.objects.using(alias).create(label="x")
    function = ruled(Token, "label")
    with capture_invalidations() as captured:
        Token.objects.using(alias).all().delete()
    assert dropped(captured, function) == ["x"]


def test_delete_of_many_rows_then_everything_is_dropped(alias: str) -> None:
    """More than 1,000 rows are not told apart, loaded or not."""
    function = ruled(Token, "label")
    Token.objects.using(alias).bulk_create(Token(label=str(n)) for n in range(1001))
    with capture_invalidations() as captured:
        Token.objects.using(alias).all().delete()
    assert dropped(captured, function) == EVERYTHING


def test_cascade_then_rows_that_go_with_others_are_seen(
    alias: str, products: list[Product], owners: list[Owner]
) -> None:
    """Deleting an owner deletes products, and likes of these."""
    Like.objects.using(alias).create(product=products[0], owner=owners[1], stars=4)
    function, of_likes = ruled(Product, "name"), ruled(Like, "stars")
    with capture_invalidations() as captured:
        owners[0].delete()
    assert set(dropped(captured, function)) == {"a"}
    assert dropped(captured, of_likes) == [4]


def test_delete_of_a_child_then_rules_on_both_see_it(alias: str, owners: list[Owner]) -> None:
    """A book and its product go together."""
    book = Book.objects.using(alias).create(owner=owners[0], name="x", isbn="1")
    on_parent, on_child, pk = ruled(Product), ruled(Book, "isbn"), book.pk
    with capture_invalidations() as captured:
        book.delete()
    assert set(dropped(captured, on_parent)) == {pk}
    assert dropped(captured, on_child) == ["1"]


def test_delete_of_a_parent_then_rules_on_the_child_see_it(alias: str, owners: list[Owner]) -> None:
    """A product cannot go without its book."""
    book = Book.objects.using(alias).create(owner=owners[0], name="x", isbn="1")
    function = ruled(Book, "isbn")
    with capture_invalidations() as captured:
        Product.objects.using(alias).get(pk=book.pk).delete()
    assert dropped(captured, function) == ["1"]


@pytest.mark.django_db(transaction=True)
async def test_async_twins_then_seen() -> None:
    """`asave`, `aupdate`, `adelete`, `abulk_create` and the others go the same ways."""
    function = ruled(Category, "name", trigger_on_create=True)
    with capture_invalidations() as captured:
        row = await Category.objects.acreate(name="a")
        row.name = "b"
        await row.asave()
        await Category.objects.filter(pk=row.pk).aupdate(name="c")
        await Category.objects.abulk_create([Category(name="d")])
        await Category.objects.aupdate_or_create(name="d", defaults={"name": "e"})
        await row.adelete()
    seen = dropped(captured, function)
    assert seen == ["a", "b", "c", "d", "e"]
