"""When work is carried out: after the commit, on the database that was written, or never."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.db import close_old_connections, connections, transaction
from django.db.models import QuerySet
from django.db.models.signals import post_save

import tiercel
from packages.integrations.django.tests.ruled import ByWhat, dropped, ruled, undone
from packages.integrations.django.tests.shop.models import Category, Owner, Product
from tiercel import Cache, InvalidationRule, cache_result
from tiercel.spi import DropScopes
from tiercel.testing import SimulatedBackend
from tiercel_django.configured import configure_caches
from tiercel_django.testing import capture_invalidations

pytestmark = pytest.mark.django_db(databases=["default", "postgres"], transaction=True)


@pytest.fixture(autouse=True)
def _no_rules_of_other_tests() -> None:
    """Rules live as long as their functions, which may be part of cycles."""
    gc.collect()


@pytest.fixture
def category(alias: str) -> Category:
    """A row."""
    return Category.objects.using(alias).create(name="a")


def test_work_when_transaction_is_open_then_waits_for_the_commit(
    alias: str, category: Category
) -> None:
    """Nobody else can see the row yet, so what was computed from the old one is right."""
    function = ruled(Category)
    before = function(category.pk)
    with transaction.atomic(alias):
        category.save()
        assert function(category.pk) is before
    assert function(category.pk) is not before


def test_work_when_transaction_is_rolled_back_then_forgotten(
    alias: str, category: Category
) -> None:
    """What did not happen drops nothing."""
    function, pk = ruled(Category), category.pk
    before = function(pk)
    with undone(alias):
        category.save()
        Category.objects.using(alias).update(name="x")
        category.delete()
    assert function(pk) is before


@pytest.mark.parametrize("write", ["save", "update", "delete"])
def test_work_when_a_savepoint_is_rolled_back_then_forgotten(alias: str, write: str) -> None:
    """Only what was undone is forgotten; what came before and after is done."""
    rows = [Category.objects.using(alias).create(name=name) for name in "abc"]
    pks = [each.pk for each in rows]
    function = ruled(Category)
    with capture_invalidations() as captured, transaction.atomic(alias):
        rows[0].save()
        with undone(alias):
            writes: dict[str, Callable[[], Any]] = {
                "save": rows[1].save,
                "update": lambda: Category.objects.using(alias).filter(pk=pks[1]).update(name=1),
                "delete": rows[1].delete,
            }
            writes[write]()
        rows[2].save()
    assert dropped(captured, function) == [pks[0], pks[2]]


def test_work_when_savepoints_are_nested_then_each_by_its_own_fate(alias: str) -> None:
    """Released savepoints inside one that is rolled back are undone with it, others are kept."""
    rows = [Category.objects.using(alias).create(name=str(n)) for n in range(5)]
    function = ruled(Category)
    with capture_invalidations() as captured, transaction.atomic(alias):
        with transaction.atomic(alias):
            rows[0].save()
        with undone(alias):
            with transaction.atomic(alias):
                rows[1].save()
            rows[2].save()
        with transaction.atomic(alias):
            with undone(alias):
                rows[3].save()
            rows[4].save()
    assert dropped(captured, function) == [rows[0].pk, rows[4].pk]


def test_work_when_savepoint_is_rolled_back_and_written_again_then_done(
    alias: str, category: Category
) -> None:
    """The second attempt counts, although the same work was forgotten with the first."""
    function = ruled(Category)
    with capture_invalidations() as captured, transaction.atomic(alias):
        with undone(alias):
            category.save()
        category.save()
    assert dropped(captured, function) == [category.pk]


def test_two_databases_then_each_commit_decides_for_its_own(category: Category, alias: str) -> None:
    """A commit or rollback on one database says nothing about the other."""
    other = {"default": "postgres", "postgres": "default"}[alias]
    function = ruled(Category)
    before = function(category.pk)
    with undone(other):
        with transaction.atomic(alias):
            category.save()
            assert function(category.pk) is before
        after = function(category.pk)
        assert after is not before
        Category.objects.using(other).create(pk=category.pk, name="z")
        Category.objects.using(other).filter(pk=category.pk).update(name="y")
    assert function(category.pk) is after


def test_autocommit_switched_off_then_the_commit_by_hand_counts(
    alias: str, category: Category
) -> None:
    """Who manages transactions himself gets his drops after his commit."""
    function = ruled(Category, "name")
    before = function("a")
    transaction.set_autocommit(False, alias)
    try:
        category.save()
        assert function("a") is before
        transaction.commit(alias)
    finally:
        transaction.set_autocommit(True, alias)
    assert function("a") is not before


class Counting(SimulatedBackend):
    """Counts what is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: list[str] = []

    def execute(self, command: Any) -> Any:
        if isinstance(command, DropScopes):
            self.dropped += [scope.name for scope in command.scopes]
        return super().execute(command)


@pytest.fixture
def counting() -> Iterator[Counting]:
    """The shared tier of the default cache, which counts drops."""
    backend = Counting()
    cache = Cache(backend=backend, memory=0)
    tiercel.configure(default=cache)
    yield backend
    cache.close()
    configure_caches()


@pytest.mark.parametrize("savepoints", [False, True])
def test_thousand_saves_in_one_transaction_then_one_drop_for_each_partition(
    alias: str, counting: Counting, savepoints: bool
) -> None:
    """Work is merged per transaction, also across savepoints."""
    rows = Category.objects.using(alias).bulk_create(Category(name=str(n % 7)) for n in range(1000))
    function = ruled(Category, "name")
    with transaction.atomic(alias):
        for row in rows:
            with transaction.atomic(alias, savepoint=savepoints):
                row.save()
        assert counting.dropped == []
    assert len(counting.dropped) == len(set(counting.dropped)) == 7
    assert function is not None


def test_select_for_update_then_drop_follows_the_commit(category: Category) -> None:
    """Two who lock the same row change it one after the other; both drop."""
    row = Category.objects.using("postgres").create(name="a")
    function = ruled(Category, "name", watch_fields=["name"])
    locked, order = threading.Event(), list[str]()

    def first() -> None:
        with transaction.atomic("postgres"):
            mine = Category.objects.using("postgres").select_for_update().get(pk=row.pk)
            locked.set()
            mine.name = "b"
            mine.save()
        order.append("first")
        connections.close_all()

    def second() -> None:
        assert locked.wait(60)
        with transaction.atomic("postgres"):
            mine = Category.objects.using("postgres").select_for_update().get(pk=row.pk)
            assert mine.name == "b"
            mine.name = "c"
            mine.save()
        order.append("second")
        connections.close_all()

    old = function("a")
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(first), pool.submit(second)]:
            future.result(90)
    assert function("a") is not old
    assert Category.objects.using("postgres").get(pk=row.pk).name == "c"


class Movers:
    """Threads that move rows between owners in every way, and read lists of them meanwhile."""

    def __init__(self) -> None:
        rows = self.rows
        self.owners = [Owner.objects.using("postgres").create(name=name) for name in "abcd"]
        self.pks = [rows.create(owner=self.owners[n % 4], name=str(n)).pk for n in range(12)]
        self.stop = threading.Event()
        rule = InvalidationRule(Product, field_mapping={"what": "owner_id"})

        @cache_result(key_constructor=ByWhat, invalidates_on=[rule], name="concurrent")
        def listed(what: int) -> list[int]:
            return sorted(self.rows.filter(owner=what).values_list("pk", flat=True))

        self.listed = listed

    @property
    def rows(self) -> QuerySet[Product]:
        return Product.objects.using("postgres")

    def write(self, seed: int) -> None:
        """Move rows at random; the instances that are saved may be long out of date."""
        chance = random.Random(seed)
        held = {pk: self.rows.get(pk=pk) for pk in self.pks}
        ways = (self.save, self.update, self.lock, self.undo)
        for _ in range(40):
            chance.choice(ways)(held[chance.choice(self.pks)], chance.choice(self.owners))
        connections.close_all()

    def save(self, instance: Product, owner: Owner) -> None:
        instance.owner = owner
        instance.save()

    def update(self, instance: Product, owner: Owner) -> None:
        self.rows.filter(pk=instance.pk).update(owner=owner)

    def lock(self, instance: Product, owner: Owner) -> None:
        with transaction.atomic("postgres"):
            fresh = self.rows.select_for_update().get(pk=instance.pk)
            fresh.owner = owner
            fresh.save(update_fields=["owner"])

    def undo(self, instance: Product, owner: Owner) -> None:
        with undone("postgres"):
            self.rows.filter(pk=instance.pk).update(owner=owner)

    def read(self) -> None:
        """Read every list, again and again."""
        while not self.stop.is_set():
            for owner in self.owners:
                self.listed(owner.pk)
        connections.close_all()


def test_concurrent_writers_then_no_list_is_out_of_date() -> None:
    """Whatever four writers do, in the end every cached list is what the database says."""
    movers = Movers()
    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(movers.read) for _ in range(2)]
        writers = [pool.submit(movers.write, seed) for seed in range(4)]
        try:
            for future in writers:
                future.result(60)
        finally:
            movers.stop.set()
        for future in readers:
            future.result(60)
    for owner in movers.owners:
        assert movers.listed(owner.pk) == movers.listed.bypass_cache(owner.pk)


# What goes wrong


def test_broker_down_then_save_does_not_raise_and_everything_is_done(
    alias: str, category: Category
) -> None:
    """The drop is done at once; later rules and hooks of the application run."""
    first, second = ruled(Category, dispatcher="refusing"), ruled(Category)
    before, ran = (first(category.pk), second(category.pk)), []
    with transaction.atomic(alias):
        category.save()
        transaction.on_commit(lambda: ran.append(1), using=alias)
    assert ran == [1]
    assert first(category.pk) is not before[0]
    assert second(category.pk) is not before[1]


@contextmanager
def _rule_that_fails(**options: Any) -> Iterator[None]:
    fails = True

    def invalidate(*_: Any) -> None:
        if fails:
            raise ZeroDivisionError("on purpose")

    rule = InvalidationRule(Category, invalidator=invalidate, **options)

    @cache_result(invalidates_on=[rule], name=f"failing {id(rule)}")
    def function() -> None:
        return None

    yield
    fails = False  # the function lives on in what pytest keeps of the error
    assert function is not None


@pytest.mark.parametrize("inside", [False, True])
def test_invalidator_that_fails_then_save_does_not_raise(
    alias: str, category: Category, inside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Without being asked to, a rule does not raise into whoever saves; it is logged."""
    other = ruled(Category)
    before = other(category.pk)
    with _rule_that_fails(), transaction.atomic(alias) if inside else nullcontext():
        category.save()
    assert other(category.pk) is not before
    assert "on purpose" in caplog.text


@pytest.mark.parametrize("inside", [False, True])
def test_invalidator_that_fails_when_asked_to_raise_then_raises_after_everything_else(
    alias: str, inside: bool
) -> None:
    """With `raise_exception=True` whoever saves gets the error, after everything else."""
    category = Category(name="a")
    failing = _rule_that_fails(raise_exception=True, trigger_on_create=True)
    other = ruled(Category, "name", trigger_on_create=True)
    before, received = other("a"), []

    def receive(sender: object, instance: Category, **_: Any) -> None:
        received.append(instance._state.adding)

    post_save.connect(receive, sender=Category)
    try:
        block = transaction.atomic(alias) if inside else nullcontext()
        with failing, pytest.raises(ZeroDivisionError), block:
            category.save(using=alias)
    finally:
        post_save.disconnect(receive, sender=Category)
    assert Category.objects.using(alias).filter(pk=category.pk).exists()
    assert received == [False]
    assert other("a") is not before


def test_asyncio_dispatcher_when_saved_by_asave_then_runs_on_the_running_loop() -> None:
    """Django saves in a thread; the work reaches the loop that awaits it."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def invalidate(wrapper: Any, instance: Any) -> None:
        loops.append(asyncio.get_running_loop())

    rule = InvalidationRule(
        Category, invalidator=invalidate, dispatcher="asyncio", trigger_on_create=True
    )

    @cache_result(invalidates_on=[rule], name="on the loop")
    async def function() -> None:
        return None

    async def main() -> None:
        row = Category(name="a")
        await row.asave()
        async with asyncio.timeout(60):
            while not loops:  # noqa: ASYNC110 - the list is filled by code under test
                await asyncio.sleep(0.01)
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())
    close_old_connections()
    assert function is not None
