"""`save` and everything built on it: which partitions a change of one row drops."""

from __future__ import annotations

import gc
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core import serializers
from django.db import connection, connections
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.test.utils import CaptureQueriesContext, override_settings

from packages.integrations.django.tests.ruled import dropped, ruled
from packages.integrations.django.tests.shop.models import (
    Owner,
    Product,
    Quiet,
    Shelved,
    Status,
    Token,
)
from tiercel_django.testing import capture_invalidations

BOTH = pytest.mark.django_db(databases=["default", "postgres"])
pytestmark = BOTH


def test_save_when_nothing_else_is_said_then_drops_the_mapped_partition(product: Product) -> None:
    """A plain `save()` drops what the row maps to."""
    function = ruled(Product)
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [product.pk]


def test_cached_value_when_row_is_saved_then_computed_anew(product: Product) -> None:
    """The entry is really gone afterwards, and others are not."""
    function = ruled(Product)
    mine, other = function(product.pk), function(-1)
    with capture_invalidations():
        product.save()
    assert function(product.pk) is not mine
    assert function(-1) is other


def test_save_when_foreign_key_moves_then_drops_old_and_new(
    product: Product, owners: list[Owner]
) -> None:
    """Moving a row from one owner to another drops the partitions of both, and of no third."""
    function = ruled(Product, "owner_id")
    product.owner = owners[1]
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [owners[0].pk, owners[1].pk]


def test_save_when_instance_is_out_of_date_then_drops_what_the_database_had(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """Somebody else moved the row meanwhile: his value is overwritten, so it is dropped, too."""
    stale = Product.objects.using(alias).get(pk=product.pk)
    Product.objects.using(alias).filter(pk=product.pk).update(owner=owners[1])
    function = ruled(Product, "owner_id")
    stale.owner = owners[2]
    with capture_invalidations() as captured:
        stale.save()
    assert dropped(captured, function) == [owners[1].pk, owners[2].pk]


def test_save_when_only_other_fields_are_written_then_drops_what_the_row_keeps(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """With `update_fields` what memory holds of other fields is not written, and not dropped."""
    Product.objects.using(alias).filter(pk=product.pk).update(owner=owners[1])
    function = ruled(Product, "owner_id")
    product.owner = owners[2]
    with capture_invalidations() as captured:
        product.save(update_fields=["name"])
    assert dropped(captured, function) == [owners[1].pk]


def test_watch_fields_when_plain_save_changes_one_then_drops(product: Product) -> None:
    """The value really changed, so a `save()` without `update_fields` counts."""
    function = ruled(Product, watch_fields=["price"])
    product.price = 4
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [product.pk]


@pytest.mark.parametrize("fields", [None, ["price"], ["name"], ["name", "price"]])
def test_watch_fields_when_value_stays_then_drops_nothing(
    product: Product, fields: list[str] | None
) -> None:
    """Writing the same value again, or another field, changes nothing that is watched."""
    function = ruled(Product, watch_fields=["price"])
    product.name = "mug"
    with capture_invalidations() as captured:
        product.save(update_fields=fields)
    assert dropped(captured, function) == []


def test_watch_fields_when_text_of_the_same_number_is_written_then_drops_nothing(
    product: Product,
) -> None:
    """Values are compared as the database has them, not as they lie in memory."""
    function = ruled(Product, watch_fields=["price"])
    product.price = "3"
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == []


@pytest.mark.parametrize(
    ("path", "written", "then"),
    [
        ("price", "5", 5),
        ("status", Status.LIVE, "live"),
        ("weight", 1.5, Decimal("1.50")),
        ("weight", Decimal(2), Decimal("2.00")),
        ("name", 7, "7"),
    ],
)
def test_mapped_value_when_attribute_has_another_type_then_as_a_reader_gets_it(
    alias: str, product: Product, path: str, written: Any, then: Any
) -> None:
    """A partition is told by what comes out of the database, with its type."""
    function = ruled(Product, path)
    setattr(product, path, written)
    with capture_invalidations() as captured:
        product.save()
    new = dropped(captured, function)[-1]
    read = getattr(Product.objects.using(alias).get(pk=product.pk), path)
    assert (new, type(new), str(new)) == (then, type(then), str(then))
    assert (new, type(new), str(new)) == (read, type(read), str(read))


def test_primary_key_when_given_as_a_text_then_as_the_database_has_it(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """A key from a form is a text; the partition is that of the number."""
    function, token = ruled(Product, trigger_on_create=True), ruled(Token, trigger_on_create=True)
    with capture_invalidations() as captured:
        Product(pk=str(product.pk), owner=owners[0]).save(using=alias)
        Product(pk="4711", owner=owners[0]).save(using=alias)
        made = Token.objects.using(alias).create(pk=str(uuid4()))
        made.save()
    assert dropped(captured, function) == [product.pk, 4711]
    assert dropped(captured, token) == [UUID(str(made.pk))]


def test_deferred_instance_when_saved_then_old_values_are_known(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """An instance loaded with `only` knows nothing of the fields that rules ask for."""
    function = ruled(Product, "owner_id", watch_fields=["price"])
    few = Product.objects.using(alias).only("price").get(pk=product.pk)
    few.price = 9
    with capture_invalidations() as captured:
        few.save()
    assert dropped(captured, function) == [owners[0].pk]


def test_instance_made_by_hand_when_saved_then_old_values_are_known(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """An instance that was never loaded overwrites a row, whose values are dropped."""
    function = ruled(Product, "owner_id")
    with capture_invalidations() as captured:
        Product(pk=product.pk, owner=owners[1]).save(using=alias)
    assert dropped(captured, function) == [owners[0].pk, owners[1].pk]


def test_expression_when_saved_then_new_value_is_read(product: Product) -> None:
    """After `F("price") + 1` only the database knows the value."""
    function, watching = ruled(Product, "price"), ruled(Product, watch_fields=["price"])
    product.price = F("price") + 1
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [3, 4]
    assert dropped(captured, watching) == [product.pk]


def test_expression_on_a_text_when_saved_then_new_value_is_read(product: Product) -> None:
    """An expression in a field that rules do not ask for does no harm either."""
    function = ruled(Product, "name")
    product.name = Concat(F("name"), Value("s"))
    with capture_invalidations() as captured:
        product.save(update_fields=["name"])
    assert dropped(captured, function) == ["cup", "cups"]


def test_create_when_not_asked_for_then_drops_nothing(alias: str, owners: list[Owner]) -> None:
    """New rows count only with `trigger_on_create`."""
    without = ruled(Product, "owner_id")
    with_ = ruled(Product, "owner_id", trigger_on_create=True)
    with capture_invalidations() as captured:
        Product.objects.using(alias).create(owner=owners[0])
    assert dropped(captured, without) == []
    assert dropped(captured, with_) == [owners[0].pk]


def test_create_when_key_is_given_and_new_then_not_an_update(alias: str) -> None:
    """A key that was chosen before does not make a new row an old one."""
    function = ruled(Owner)
    with capture_invalidations() as captured:
        Owner(pk=4711, name="x").save(using=alias)
    assert dropped(captured, function) == []


def test_create_when_model_makes_the_key_then_nothing_is_read_before(alias: str) -> None:
    """Django inserts without an update, so there is nothing to look at."""
    function = ruled(Token, "label", trigger_on_create=True)
    with capture_invalidations() as captured, CaptureQueriesContext(connections[alias]) as queries:
        Token(label="x").save(using=alias)
    assert dropped(captured, function) == ["x"]
    assert [each["sql"] for each in queries if each["sql"].startswith("SELECT")] == []


def test_update_or_create_and_get_or_create_then_seen(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """Both ways of `update_or_create` are seen; getting is no change."""
    function = ruled(Product, "owner_id", trigger_on_create=True)
    rows = Product.objects.using(alias)
    with capture_invalidations() as captured:
        rows.update_or_create(pk=product.pk, defaults={"owner": owners[1]})
    assert dropped(captured, function) == [owners[0].pk, owners[1].pk]
    with capture_invalidations() as captured:
        rows.update_or_create(name="new", defaults={"owner": owners[2]})
    assert dropped(captured, function) == [owners[2].pk]
    with capture_invalidations() as captured:
        rows.get_or_create(name="new", defaults={"owner": owners[0]})
    captured.assert_nothing()


def test_default_manager_when_it_hides_the_row_then_seen_nevertheless(alias: str) -> None:
    """What a manager leaves out are rows all the same."""
    row = Shelved(name="x", visible=False)
    row.save(using=alias)
    assert not Shelved.objects.using(alias).exists()
    function = ruled(Shelved, "name")
    row.name = "y"
    with capture_invalidations() as captured:
        row.save()
    assert dropped(captured, function) == ["x", "y"]
    with capture_invalidations() as captured:
        row.delete()
    assert dropped(captured, function) == ["y"]


def test_condition_when_row_had_the_value_before_then_drops(product: Product) -> None:
    """What has just stopped to match is still in the cached result."""
    function = ruled(Product, invalidate_when={"status": "live"})
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == []
    for status in ("live", "draft"):
        product.status = status
        with capture_invalidations() as captured:
            product.save()
        assert dropped(captured, function) == [product.pk]


def test_fixture_when_loaded_then_counts_unless_the_settings_say_otherwise(
    product: Product, alias: str
) -> None:
    """`raw` saves are changes by default."""
    function = ruled(Product, "owner_id")
    text = serializers.serialize("json", [product])
    with capture_invalidations() as captured:
        for each in serializers.deserialize("json", text, using=alias):
            each.save(using=alias)
    assert dropped(captured, function) == [product.owner_id]
    with override_settings(TIERCEL={"RAW": False}), capture_invalidations() as captured:
        for each in serializers.deserialize("json", text, using=alias):
            each.save(using=alias)
    captured.assert_nothing()


def test_model_without_rules_then_nothing_is_done_for_it() -> None:
    """Not one statement more is executed for a model that no rule names."""
    gc.collect()
    with CaptureQueriesContext(connection) as queries:
        row = Quiet.objects.create(name="x")
        row.save()
        Quiet.objects.update(name="y")
        Quiet.objects.bulk_create([Quiet()])
        row.delete()
    starts = [each["sql"].split()[0] for each in queries]
    assert [each for each in starts if each not in ("SAVEPOINT", "RELEASE")] == [
        "INSERT", "UPDATE", "UPDATE", "INSERT", "DELETE", "DELETE",
    ]  # fmt: skip


def test_rule_on_the_primary_key_then_nothing_is_read(product: Product, alias: str) -> None:
    """A mapping that the key answers costs no statement."""
    function = ruled(Quiet)
    row = Quiet.objects.using(alias).create(name="x")
    with CaptureQueriesContext(connections[alias]) as queries, capture_invalidations() as captured:
        row.save()
    assert dropped(captured, function) == [row.pk]
    assert len(queries) == 1


def test_rule_whose_function_is_gone_then_its_model_costs_nothing_again(alias: str) -> None:
    """A rule lives as long as its function."""
    function = ruled(Quiet, "name")
    row = Quiet.objects.using(alias).create(name="x")
    del function
    gc.collect()
    with CaptureQueriesContext(connections[alias]) as queries:
        row.save()
    assert len(queries) == 1
