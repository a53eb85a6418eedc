"""Paths from a row to a value, and models that share rows: proxies, parents, children."""

from __future__ import annotations

from typing import Any

import pytest

from packages.integrations.django.tests.ruled import dropped, ruled
from packages.integrations.django.tests.shop.models import (
    Book,
    Discounted,
    Owner,
    Product,
    Profile,
)
from tiercel import ArgsKeyField, Cache, ConfigurationError, InvalidationRule
from tiercel_django.testing import capture_invalidations

BOTH = pytest.mark.django_db(databases=["default", "postgres"])
pytestmark = BOTH


def taking_rows(field: ArgsKeyField, path: str) -> Any:
    """Return a function of a row, with a rule that maps it to a path."""
    rule = InvalidationRule(Product, field_mapping={"what": path})

    @Cache().cached(key={"what": field}, invalidates_on=[rule])
    def function(what: Product) -> str:
        return str(what)

    return function


def test_dotted_path_when_root_moves_then_drops_old_and_new(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """A path through a foreign key is followed before and after the row leads elsewhere."""
    Owner.objects.using(alias).filter(pk=owners[1].pk).update(tenant=7)
    function = ruled(Product, "owner.tenant")
    product.owner = owners[1]
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [1, 7]


def test_dotted_path_when_related_row_is_out_of_date_in_memory_then_database_counts(
    alias: str, product: Product
) -> None:
    """The related instance that hangs in memory may be old."""
    assert product.owner.tenant == 1
    Owner.objects.using(alias).filter(pk=product.owner_id).update(tenant=8)
    function = ruled(Product, "owner.tenant")
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [8]


def test_path_over_a_reverse_one_to_one_then_followed(
    alias: str, product: Product, owners: list[Owner]
) -> None:
    """A path may lead through the other side of a one-to-one relation."""
    Profile.objects.using(alias).create(owner=owners[0], city="Oslo")
    function = ruled(Product, "owner.profile.city")
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == ["Oslo"]


def test_path_into_json_then_followed(product: Product) -> None:
    """What follows a JSON field are its keys."""
    function = ruled(Product, "data.color")
    product.data = {"color": "red"}
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == ["red"]


def test_path_into_json_when_a_key_is_missing_then_its_value_is_none(
    product: Product, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows without it are as good as others: they say no target, and have not changed."""
    mapped, watching = ruled(Product, "data.color"), ruled(Product, watch_fields=["data.color"])
    with capture_invalidations() as captured:
        product.save()
    assert not dropped(captured, mapped)
    assert not dropped(captured, watching)
    product.data = {"color": "red"}
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, mapped) == ["red"]
    assert dropped(captured, watching) == [product.pk]
    assert not caplog.records


@pytest.mark.parametrize(("path", "then"), [("shout", ["CUP", "MUG"]), ("initial", ["c", "m"])])
def test_property_when_mapped_then_computed_from_rows_of_the_database(
    product: Product, path: str, then: list[str]
) -> None:
    """A property says what it says of the row before, and of the row after."""
    function = ruled(Product, path)
    product.name = "mug"
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == then


def test_property_when_watched_and_other_fields_are_written_then_its_value_decides(
    product: Product,
) -> None:
    """Which fields a property depends on is not known, so its value is compared."""
    function = ruled(Product, watch_fields=["shout"])
    product.price, product.name = 9, "mug"
    with capture_invalidations() as captured:
        product.save(update_fields=["price"])
    assert dropped(captured, function) == []
    with capture_invalidations() as captured:
        product.save(update_fields=["name"])
    assert dropped(captured, function) == [product.pk]


def test_foreign_key_itself_when_mapped_then_an_instance(
    product: Product, owners: list[Owner], django_assert_num_queries: Any
) -> None:
    """A path that ends at a relation gives instances, which know their key without a query."""
    function = ruled(Product, "owner")
    product.owner = owners[1]
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == owners[:2]


def test_proxy_when_saved_then_rules_on_the_model_and_the_proxy_see_it(
    alias: str, product: Product
) -> None:
    """A proxy and its model are the same rows."""
    on_model, on_proxy = ruled(Product), ruled(Discounted)
    for each in (product, Discounted.objects.using(alias).get(pk=product.pk)):
        with capture_invalidations() as captured:
            each.save()
        assert dropped(captured, on_model) == [product.pk]
        assert dropped(captured, on_proxy) == [product.pk]


def test_property_of_a_proxy_when_the_model_is_saved_then_known(product: Product) -> None:
    """A rule on a proxy may ask for what only the proxy can say."""
    function = ruled(Discounted, "half")
    product.price = 10
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [1, 5]


def test_child_when_saved_then_rules_on_the_parent_see_it(alias: str, owners: list[Owner]) -> None:
    """A row of a model that inherits is a row of its parent, too."""
    book = Book.objects.using(alias).create(owner=owners[0], name="x", isbn="1")
    on_parent, on_child = ruled(Product, "owner_id"), ruled(Book, "isbn")
    book.owner, book.isbn = owners[1], "2"
    with capture_invalidations() as captured:
        book.save()
    assert dropped(captured, on_parent) == [owners[0].pk, owners[1].pk]
    assert dropped(captured, on_child) == ["1", "2"]


def test_parent_when_saved_then_rules_on_the_child_see_it(alias: str, owners: list[Owner]) -> None:
    """The parent's table holds a part of the child's row."""
    book = Book.objects.using(alias).create(owner=owners[0], name="x", isbn="1")
    function = ruled(Book, "name", watch_fields=["name"])
    parent = Product.objects.using(alias).get(pk=book.pk)
    parent.name = "y"
    with capture_invalidations() as captured:
        parent.save()
    assert dropped(captured, function) == ["x", "y"]


def test_parent_without_child_when_saved_then_rules_on_the_child_are_silent(
    product: Product,
) -> None:
    """Not every product is a book."""
    function = ruled(Book, "name")
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("onwer_id", "did you mean 'owner_id'?"),
        ("owner.tenent", "did you mean 'tenant'?"),
        ("method", "no field or property 'method'"),
        ("tags.name", "leads to many rows"),
        ("tags", "only watch_fields may name it"),
        ("price.x", "its values have no 'x'"),
        ("objects", "no field or property 'objects'"),
    ],
)
def test_path_when_misspelt_then_an_error_at_decoration(path: str, said: str) -> None:
    """A wrong path is found before anything is saved, and the error says what there is."""
    with pytest.raises(ConfigurationError, match=said.replace("?", r"\?")):
        ruled(Product, path)


@pytest.mark.parametrize("path", ["pk", "id", "owner_id", "owner.pk", "name", "owner.tenant"])
@pytest.mark.parametrize("by", [{}, {"path": "pk"}])
def test_object_when_mapped_to_a_column_then_an_error_at_decoration(
    path: str, by: dict[str, str]
) -> None:
    """The key of a row is never that of its primary key, so nothing would be dropped."""
    with pytest.raises(ConfigurationError, match=f"maps what to '{path}', which is a plain value"):
        taking_rows(ArgsKeyField("what", partition=True, **by), path)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["owner", "data.color", "shout"])
def test_object_when_mapped_to_what_may_be_one_then_accepted(path: str) -> None:
    """A relation gives a row, and what JSON or a property holds is not known."""
    taking_rows(ArgsKeyField("what", partition=True), path)


def test_object_when_its_field_takes_the_primary_key_too_then_its_entries_are_dropped(
    product: Product,
) -> None:
    """As the error says."""
    either = ArgsKeyField("what", normalizer=lambda it: getattr(it, "pk", it), partition=True)
    function = taking_rows(either, "pk")
    function(product)
    with capture_invalidations():
        product.save()
    assert function.get_cached_metadata(product) is None


def test_model_without_rows_then_an_error_at_decoration() -> None:
    """An abstract model is nothing that could change."""
    from packages.integrations.django.tests.shop.models import Listed

    with pytest.raises(ConfigurationError, match="abstract"):
        ruled(Listed)


def test_model_by_its_label_then_the_same(product: Product) -> None:
    """A rule may name a model by a text, which is checked."""
    function = ruled("shop.Product")
    with capture_invalidations() as captured:
        product.save()
    assert dropped(captured, function) == [product.pk]
    with pytest.raises(ConfigurationError, match="has no model 'Prodct'"):
        ruled("shop.Prodct")
