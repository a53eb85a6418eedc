"""Which values of Django can be part of keys, what tells them apart, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import rest_framework.request
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Count, F, Prefetch, Q
from django.db.models.functions import Lower
from django.http import HttpRequest, QueryDict
from django.test import RequestFactory
from django.test.utils import isolate_apps
from django.utils.functional import SimpleLazyObject, lazy
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy, override
from pytest_django import Settings

from packages.integrations.django.tests.shop.models import Book, Discounted, Owner, Product, Tag
from tiercel import Cache, UnkeyableValue
from tiercel_django.keys import ENCODERS

Key = Callable[[Any], str]
Request: Any = rest_framework.request.Request


class Color(models.TextChoices):
    RED = "r", gettext_lazy("Yes")


class Size(models.IntegerChoices):
    SMALL = 1


class PrimaryRouter:
    """Reads from a replica, writes to the primary."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "postgres"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *objects: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def key() -> Key:
    """The text of a key with one argument."""
    cached = Cache().cached(name="tests:f")(lambda value: None)
    return cached.get_cache_key


def refusal(key: Key, value: Any) -> str:
    with pytest.raises(UnkeyableValue) as error:
        key(value)
    return str(error.value)


# Rows


@pytest.mark.django_db
def test_row_is_known_by_its_class_and_primary_key(key: Key) -> None:
    """However it was fetched, and whatever its fields hold."""
    owner, other = (Owner.objects.create(name=name) for name in "ab")
    fetched = Owner.objects.only("pk").get(pk=owner.pk)
    changed = Owner.objects.get(pk=owner.pk)
    changed.name = "changed"
    assert key(owner) == key(fetched) == key(changed) != key(other)
    tag = Tag.objects.create(pk=owner.pk)
    assert key(tag) != key(owner)
    assert key([owner]) != key(owner)
    assert f"shop.models/Owner({owner.pk})" in key(owner)


@pytest.mark.django_db
def test_row_whose_number_was_given_as_text_is_the_same_row(key: Key) -> None:
    """Until it is read back, an instance holds what it was given."""
    made = Owner(pk="77")
    made.save()
    assert key(made) == key(Owner.objects.get(pk=77))


@pytest.mark.django_db
def test_row_of_a_proxy_or_child_is_another_value(key: Key) -> None:
    """What a function does with it may depend on its class."""
    book = Book.objects.create(owner=Owner.objects.create(name="a"))
    rows = [book, Product.objects.get(pk=book.pk), Discounted.objects.get(pk=book.pk)]
    assert len({key(row) for row in rows}) == 3
    assert f"Book({book.pk})" in key(book)


@pytest.mark.django_db
def test_row_that_is_not_saved_is_refused(key: Key) -> None:
    """Also with a primary key that was set, or not any more after it was deleted."""
    deleted = Owner.objects.create(name="a")
    deleted.delete()
    for owner in (Owner(), Owner(pk=5), deleted):
        said = refusal(key, owner)
        assert "Owner: it is not saved, so no primary key identifies it; save it first" in said
        assert "argument 'value'" in said


@pytest.mark.django_db(databases=["default", "postgres"])
def test_row_of_another_database_is_another_row(key: Key, settings: Settings) -> None:
    """Two shards have rows of one number; a replica has those of its primary."""
    for alias in ("default", "postgres"):
        Owner(pk=9, name=alias).save(using=alias)
    one, two = (Owner.objects.using(alias).get(pk=9) for alias in ("default", "postgres"))
    assert key(one) != key(two)
    settings.DATABASE_ROUTERS = [f"{__name__}.PrimaryRouter"]
    assert key(one) == key(two) == key(Owner.objects.get(pk=9))


@isolate_apps("packages.integrations.django.tests.shop")
def test_row_with_a_primary_key_of_any_type(key: Key) -> None:
    """UUID, text, another row, several columns."""

    class ByUUID(models.Model):
        id: Any = models.UUIDField(primary_key=True)

        class Meta:
            app_label = "shop"

    class ByOwner(models.Model):
        owner: Any = models.OneToOneField(Owner, models.CASCADE, primary_key=True)

        class Meta:
            app_label = "shop"

    class ByBoth(models.Model):
        pk = models.CompositePrimaryKey("owner_id", "number")
        owner: Any = models.ForeignKey(Owner, models.CASCADE)
        number: Any = models.IntegerField()

        class Meta:
            app_label = "shop"

    number = uuid.uuid4()
    rows = {
        f"UUID({number})": ByUUID(id=str(number)),
        "ByOwner(5)": ByOwner(owner_id=5),
        "ByBoth((1,2))": ByBoth(owner_id=1, number=2),
    }
    for text, row in rows.items():
        row._state.adding = False
        assert text in key(row)


# Querysets

_QUERIES: dict[str, Callable[[], Any]] = {
    "all": lambda: Product.objects.all(),
    "filter": lambda: Product.objects.filter(price=1),
    "other parameter": lambda: Product.objects.filter(price=2),
    "other type": lambda: Product.objects.filter(name="1"),
    "exclude": lambda: Product.objects.exclude(price=1),
    "both": lambda: Product.objects.filter(price=1, name="a"),
    "related": lambda: Product.objects.filter(owner__name="a"),
    "or": lambda: Product.objects.filter(Q(price=1) | Q(name="a")),
    "order": lambda: Product.objects.order_by("name"),
    "other order": lambda: Product.objects.order_by("-name"),
    "slice": lambda: Product.objects.all()[:5],
    "other slice": lambda: Product.objects.all()[5:10],
    "distinct": lambda: Product.objects.distinct(),
    "nothing": lambda: Product.objects.none(),
    "only": lambda: Product.objects.only("name"),
    "defer": lambda: Product.objects.defer("name"),
    "select": lambda: Product.objects.select_related("owner"),
    "prefetch": lambda: Product.objects.prefetch_related("tags"),
    "prefetch some": lambda: Product.objects.prefetch_related(
        Prefetch("tags", Tag.objects.filter(name="a"))
    ),
    "prefetch others": lambda: Product.objects.prefetch_related(
        Prefetch("tags", Tag.objects.filter(name="b"))
    ),
    "prefetch to": lambda: Product.objects.prefetch_related(
        Prefetch("tags", Tag.objects.filter(name="a"), to_attr="some_tags")
    ),
    "annotate": lambda: Product.objects.annotate(n=Count("tags")),
    "annotate otherwise": lambda: Product.objects.annotate(n=Lower("name")),
    "values": lambda: Product.objects.values("name"),
    "values of another": lambda: Product.objects.values("price"),
    "values list": lambda: Product.objects.values_list("name"),
    "flat": lambda: Product.objects.values_list("name", flat=True),
    "named": lambda: Product.objects.values_list("name", named=True),
    "expression": lambda: Product.objects.filter(price__gt=F("owner_id") + 1),
    "subquery": lambda: Product.objects.filter(owner__in=Owner.objects.filter(name="a")),
    "other subquery": lambda: Product.objects.filter(owner__in=Owner.objects.filter(name="b")),
    "union": lambda: Product.objects.filter(price=1).union(Product.objects.filter(price=2)),
    "proxy": lambda: Discounted.objects.all(),
    "other model": lambda: Owner.objects.all(),
    "other database": lambda: Product.objects.using("postgres"),
    "raw": lambda: Product.objects.raw("SELECT * FROM shop_product"),
    "raw with parameter": lambda: Product.objects.raw("SELECT 1 AS id WHERE %s = 1", [1]),
    "raw with other": lambda: Product.objects.raw("SELECT 1 AS id WHERE %s = 1", [2]),
}


def test_queryset_is_known_by_what_it_asks_for(key: Key) -> None:
    """Made twice it is the same; anything that changes the result makes it another; no query."""
    texts = {name: key(make()) for name, make in _QUERIES.items()}
    assert texts == {name: key(make()) for name, make in _QUERIES.items()}
    assert len(set(texts.values())) == len(texts)
    for make in _QUERIES.values():
        assert make()._result_cache is None


def test_queryset_when_conditions_come_in_another_order_is_the_same(key: Key) -> None:
    """Keywords have none."""
    one = Product.objects.filter(price=1, name="a")
    two = Product.objects.filter(name="a", price=1)
    assert key(one) == key(two)


@pytest.mark.django_db
def test_queryset_when_evaluated_is_the_same(key: Key, django_assert_num_queries: Any) -> None:
    """What it asks for counts, not what it has got."""
    products = Product.objects.filter(price=1)
    with django_assert_num_queries(0):
        before = key(products)
    list(products)
    with django_assert_num_queries(0):
        assert key(products) == before


def test_queryset_with_json_and_dates_on_postgresql(key: Key) -> None:
    """What psycopg wraps its parameters in is looked into."""
    import datetime as dt

    from django.db.models import JSONField, Value

    def query(value: Any, day: int) -> Any:
        wrapped = Value(value, output_field=JSONField())
        when = Value(dt.datetime(2024, 1, day, tzinfo=dt.UTC))
        return Owner.objects.using("postgres").annotate(j=wrapped, t=when)

    texts = [key(query(value, day)) for value, day in [({"a": 1}, 1), ({"a": 2}, 1), ({"a": 1}, 2)]]
    assert len(set(texts)) == 3
    assert key(query({"a": 1}, 1)) == texts[0]


def test_queryset_that_has_no_text_is_refused(key: Key) -> None:
    """With what Django says of it, or the parameter that has none."""

    class Broken(models.Expression):
        def as_sql(self, *args: Any, **kwargs: Any) -> Any:
            raise ArithmeticError("not today")

    said = refusal(key, Owner.objects.annotate(x=Broken(output_field=models.IntegerField())))
    assert "asking it for its key raised ArithmeticError: not today" in said
    said = refusal(key, Owner.objects.raw("SELECT %s", [object()]))
    assert "inside this django.db.models.query:RawQuerySet, object: nothing but" in said


def test_manager_is_refused(key: Key) -> None:
    """The error says what to pass."""
    for manager in (Owner.objects, getattr(Owner(pk=1), "products")):  # noqa: B009
        assert "a manager is no list of rows; pass a queryset" in refusal(key, manager)


# Other values


def test_model_class_is_known_by_its_name(key: Key) -> None:
    """As any class."""
    assert key(Owner) != key(Product)
    assert "class(" in key(Owner)


def test_safe_text_differs_from_text_that_is_to_be_escaped(key: Key) -> None:
    """What a template makes of them differs."""
    assert key(mark_safe("<b>")) == key(mark_safe("<b>")) != key("<b>")


def test_lazy_text_is_what_it_says_at_the_moment(key: Key) -> None:
    """In the active language; like the text itself."""
    lazy_text = gettext_lazy("Yes")
    with override("de"):
        german = key(lazy_text)
        assert german == key("Ja")
    with override("en"):
        assert key(lazy_text) == key("Yes") != german
    assert key(lazy(lambda: 5, int)()) == key(5) != key("5")
    assert key(lazy(lambda: mark_safe("x"), str)()) == key(mark_safe("x"))


@pytest.mark.django_db
def test_lazy_object_is_what_is_behind_it(key: Key) -> None:
    """`request.user` is the user."""
    user = User.objects.create(username="ann")
    assert key(SimpleLazyObject(lambda: User.objects.get(pk=user.pk))) == key(user)
    assert key(SimpleLazyObject(lambda: [1, {"a": 2}])) == key([1, {"a": 2}])
    nobody = SimpleLazyObject(AnonymousUser)
    assert key(nobody) == key(AnonymousUser()) != key(None)
    assert "not saved" in refusal(key, SimpleLazyObject(User))


def test_query_of_a_request_is_known_by_all_its_values(key: Key) -> None:
    """Their order counts within a name, not between names."""
    texts = ["a=1&b=2", "a=1&a=2&b=2", "a=2&a=1&b=2", "a=1", ""]
    assert len({key(QueryDict(text)) for text in texts}) == len(texts)
    assert key(QueryDict("a=1&b=2")) == key(QueryDict("b=2&a=1"))


@pytest.mark.parametrize("make", [HttpRequest, lambda: Request(RequestFactory().get("/"))])
def test_request_is_refused_with_what_to_key_on(key: Key, make: Callable[[], Any]) -> None:
    """Django's and that of REST framework."""
    said = refusal(key, make())
    assert "no two requests are the same; key on what counts of it" in said
    assert "QueryParamsKeyField" in said


def test_choices_are_enumerations(key: Key) -> None:
    """Their labels, translated or not, do not count."""
    assert key(Color.RED) != key("r")
    assert key(Size.SMALL) != key(1)
    with override("de"):
        german = key(Color.RED)
    assert german == key(Color.RED)


def test_types_by_name_exist() -> None:
    """A type that moved in a new version of its library would silently be refused."""
    for name in ENCODERS:
        module, _, kind = str(name).partition(":")
        assert isinstance(getattr(__import__(module, fromlist=["x"]), kind), type), name


def test_plugin_costs_no_import_of_django() -> None:
    """Nor do keys without its types."""
    program = (
        "import sys, tiercel; f = tiercel.Cache().cached(name='t:f')(lambda x: x);"
        "f((1, 'a')); assert 'tiercel_django.keys' in sys.modules;"
        "assert not any(name.split('.')[0] == 'django' for name in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == 0
