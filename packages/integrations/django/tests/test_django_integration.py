"""What Tiercel asks of Django: keys, values of tasks, connections, event loops."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.test.utils import override_settings
from django.utils.functional import SimpleLazyObject

from packages.integrations.django.tests.ruled import dropped, ruled
from packages.integrations.django.tests.shop.models import (
    Book,
    Category,
    Discounted,
    Owner,
    Product,
    Token,
)
from tiercel import Cache, InvalidationRule, cache_result
from tiercel.spi import Change, ChangeKind, Work, plan
from tiercel_django.integration import DjangoIntegration
from tiercel_django.testing import capture_invalidations

INTEGRATION = DjangoIntegration()
BOTH = pytest.mark.django_db(databases=["default", "postgres"])


def _carried(value: Any) -> Any:
    packed = INTEGRATION.pack(value)
    assert packed is not None
    return INTEGRATION.unpack(*packed)


@BOTH
@pytest.mark.parametrize("alias", ["default", "postgres"])
def test_instance_as_argument_of_a_task_then_loaded_from_its_database(alias: str) -> None:
    """A row goes to a worker as its label, primary key and database."""
    owner = Owner.objects.using(alias).create(name="a")
    found = _carried(SimpleLazyObject(lambda: owner))
    assert (found, found._state.db, found.name) == (owner, alias, "a")
    token = Token.objects.using(alias).create(label="x")
    assert _carried(token).pk == token.pk


@BOTH
def test_proxy_as_argument_of_a_task_then_of_the_same_class() -> None:
    """A proxy stays one, since it may have methods of its own."""
    owner = Owner.objects.create(name="a")
    Product.objects.create(owner=owner)
    assert type(_carried(Discounted.objects.get())) is Discounted


@BOTH
def test_instance_when_gone_then_a_lookup_error() -> None:
    """What a task stands for may not exist any more."""
    owner = Owner.objects.create(name="a")
    packed = INTEGRATION.pack(owner)
    owner.delete()
    assert packed is not None
    with pytest.raises(LookupError, match=r"shop\.Owner \d+ does not exist any more"):
        INTEGRATION.unpack(*packed)


def test_model_as_argument_of_a_task_then_by_its_label() -> None:
    """A class goes by the name that the registry of applications knows."""
    assert INTEGRATION.pack(Product) == ("django.model", "shop.Product")
    assert _carried(Book) is Book
    with pytest.raises(LookupError):
        INTEGRATION.unpack("django.model", "shop.Gone")


@pytest.mark.parametrize("value", [Owner(name="unsaved"), object(), "shop.Owner", 5])
def test_other_values_then_none_of_django(value: object) -> None:
    """What no other process could find, and what is no model, is left to others."""
    assert INTEGRATION.pack(value) is None


def test_signing_keys_then_derived_of_every_secret_key() -> None:
    """The first signs; fallbacks are accepted; the secret itself is not given away."""
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        new, old = INTEGRATION.signing_keys()
    with override_settings(SECRET_KEY="old", SECRET_KEY_FALLBACKS=[]):
        assert INTEGRATION.signing_keys() == (old,)
    assert len({new, old, b"new", b"old"}) == 4
    assert len(new) == 32
    with override_settings(SECRET_KEY=""):
        assert INTEGRATION.signing_keys() == ()


def test_models_in_the_shared_tier_then_signed_without_more_ado() -> None:
    """`codec="pickle"` works in Django without a key of its own."""
    cache = Cache("memory://")

    @cache.cached(codec="pickle", name="pickled")
    def function() -> int:
        return 1

    assert function() == 1


@pytest.mark.django_db(databases=["postgres"], transaction=True)
def test_task_on_a_thread_then_its_connections_do_not_pile_up() -> None:
    """A thread of a pool does not keep a connection that is too old or broken."""

    def work() -> tuple[bool, bool]:
        connection = connections["postgres"]
        with INTEGRATION.around_task():
            connection.ensure_connection()
            connection.close_at = 0  # it is older than the settings allow
            inside = connection.connection is not None
        return inside, connection.connection is None

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result(20) == (True, True)


@pytest.mark.django_db(databases=["postgres"], transaction=True)
def test_task_inside_a_transaction_then_its_connection_is_left_alone() -> None:
    """A task that is performed where somebody's transaction is open does not end it."""
    with transaction.atomic("postgres"), INTEGRATION.around_task():
        Owner.objects.using("postgres").create(name="a")
    assert Owner.objects.using("postgres").exists()


async def test_running_loop_when_in_a_thread_that_it_awaits_then_that_one() -> None:
    """Code in `sync_to_async` finds the loop that waits for it."""
    found = await sync_to_async(INTEGRATION.running_loop)()
    assert found is asyncio.get_running_loop()


def test_running_loop_when_nobody_awaits_then_none() -> None:
    """A thread of somebody else has no loop, and neither has one whose loop has ended."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(INTEGRATION.running_loop).result(10) is None
    asyncio.run(sync_to_async(lambda: None)())
    assert INTEGRATION.running_loop() is None
    assert threading.current_thread() is threading.main_thread()


# What invalidators get


ROWS: list[Any] = []


def note(wrapper: Any, instance: Any, **extras: Any) -> None:
    """Keep what an invalidator is called with."""
    ROWS.append((instance, extras))


@cache_result(invalidates_on=[InvalidationRule(Product, invalidator=note, trigger_on_create=True)])
def noted() -> None:
    """Is never called."""


@cache_result(invalidates_on=[InvalidationRule(Discounted, invalidator=note)])
def noted_proxy() -> None:
    """Is never called."""


@BOTH
def test_invalidator_when_other_rules_ask_for_other_names_then_told_of_what_was_written() -> None:
    """Neither the column of a relation, nor a property that somebody watches, was written."""
    product = Product.objects.create(owner=Owner.objects.create(name="a"), name="cup")
    watching = ruled(Product, watch_fields=["shout", "owner_id"])
    ROWS.clear()
    with capture_invalidations() as captured:
        product.owner = Owner.objects.create(name="b")
        product.save(update_fields=["owner"])
    assert [extras["update_fields"] for _, extras in ROWS] == [frozenset({"owner"})] * 2
    assert dropped(captured, watching) == [product.pk]


@BOTH
def test_invalidator_when_row_is_saved_or_deleted_then_gets_the_instance() -> None:
    """It is given the row as it is in the database, the key of a deleted one included."""
    owner = Owner.objects.create(name="a")
    ROWS.clear()
    with capture_invalidations():
        product = Product.objects.create(owner=owner, name="cup", weight="1.5", data={"a": [1]})
        product.price = "7"
        product.save(update_fields=["price"])
        pk = product.pk
        product.delete()
    mine = [(row, extras) for row, extras in ROWS if type(row) is Product]
    seen = [(row.pk, row.price, row.name, str(row.weight), row.data) for row, _ in mine]
    assert seen == [
        (pk, 0, "cup", "1.50", {"a": [1]}),
        (pk, 7, "cup", "1.50", {"a": [1]}),
        (pk, 7, "cup", "1.50", {"a": [1]}),
    ]
    assert [extras["signal_type"] for _, extras in mine] == ["post_save"] * 2 + ["post_delete"]
    assert [extras["instance_created"] for _, extras in mine] == [True, False, False]
    assert [extras["update_fields"] for _, extras in mine] == [None, frozenset({"price"}), None]
    assert {type(row) for row, _ in ROWS} == {Product, Discounted}


@BOTH
def test_work_of_an_invalidator_when_sent_to_another_process_then_the_row_comes_along() -> None:
    """The snapshot holds every column, so that a row that is gone can be rebuilt."""
    owner = Owner.objects.create(name="a")
    book = Book.objects.create(owner=owner, name="x", isbn="1", data={"a": 1})
    change = Change(source=Book, kind=ChangeKind.DELETED, old=book)
    texts = [work.to_json() for work in plan(change) if work.function.endswith("noted")]
    (work,) = map(Work.from_json, texts)
    assert work.row is not None
    source = INTEGRATION.source(Product)
    assert source is not None
    again = source.rebuild(work.row.snapshot)
    assert (type(again), again.pk, again.isbn, again.data) == (Book, book.pk, "1", {"a": 1})
    assert again._state.db == "default"
    assert Category._meta.label == "shop.Category"
