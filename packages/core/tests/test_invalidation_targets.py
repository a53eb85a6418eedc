"""What a change drops: the partitions of the row before and after, exactly, in every tier."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from packages.core.tests.ruled import Customer, Order, created, deleted, updated
from packages.core.tests.stages import Stage, Way
from tiercel import (
    ArgsKeyField,
    CallableKeyField,
    ConstantKeyField,
    ContextVarKeyField,
    InvalidationRule,
)
from tiercel.spi import Change, ChangeKind, carry_out, plan

pytestmark = pytest.mark.usefixtures("own_rules")

OWNED = {"user": ArgsKeyField("user_id", partition=True), "page": ArgsKeyField("page")}
TENANT: ContextVar[str] = ContextVar("tenant", default="acme")
TENANT_OF_REQUEST: ContextVar[str] = ContextVar("tenant_of_request")


def rule(**options: Any) -> InvalidationRule:
    """Return a rule on orders that maps the owner."""
    return InvalidationRule(Order, **{"field_mapping": {"user_id": "owner"}, **options})


def listing(user_id: int, page: int = 1) -> str:
    """Have a partition, and entries within it."""
    return f"{user_id}/{page}"


def live(function: Any, *calls: Any) -> list[Any]:
    """Return those calls that are cached."""
    split = [call if isinstance(call, tuple) else (call,) for call in calls]
    return [
        call
        for call, args in zip(calls, split, strict=True)
        if function.get_cached_metadata(*args) is not None
    ]


def fill(function: Any, calls: Iterable[Any]) -> None:
    """Call with each of these."""
    for call in calls:
        function(*call) if isinstance(call, tuple) else function(call)


def in_tenant(tenant: str, do: Callable[..., Any], *args: Any) -> Any:
    """Do something while the tenant is this one."""

    def run() -> Any:
        TENANT.set(tenant)
        return do(*args)

    return copy_context().run(run)


CALLS = [(1, 1), (1, 2), (2, 1), (3, 1)]


async def test_change_when_a_row_moves_then_both_partitions_are_dropped(
    stage: Stage, way: Way
) -> None:
    """Its old owner's lists lose it, its new owner's gain it; nobody else's are touched."""
    function = stage.cached(key=OWNED, invalidates_on=[rule()])(way.function(listing))
    for call in CALLS:
        await way.call(function, *call)
    carry_out(plan(updated(Order(owner=1), Order(owner=2))))
    left = [call for call in CALLS if await way.do(function, "get_cached_metadata", *call)]
    assert left == [(3, 1)]


def test_change_when_dropped_then_other_processes_follow(tiers: Stage) -> None:
    """Their memory too, within `max_lag`."""
    here, there = tiers.pair(listing, key=OWNED, invalidates_on=[rule()])
    fill(there, CALLS)
    tiers.cache.changed(Order, old=Order(owner=1), new=Order(owner=1))
    tiers.settle()
    assert live(there, *CALLS) == [(2, 1), (3, 1)]
    assert live(here, *CALLS) == [(2, 1), (3, 1)]


def test_created_when_not_asked_for_then_nothing_happens(memory: Stage) -> None:
    """`trigger_on_create` decides, on this rule alone."""
    silent = memory.cached(key=OWNED, invalidates_on=[rule()])(listing)
    eager = memory.cached(key=OWNED, invalidates_on=[rule(trigger_on_create=True)])(listing)
    fill(silent, CALLS)
    fill(eager, CALLS)
    carry_out(plan(created(Order(owner=1))))
    assert live(silent, *CALLS) == CALLS
    assert live(eager, *CALLS) == CALLS[2:]


def test_deleted_when_the_row_is_gone_then_its_partition_is_dropped(memory: Stage) -> None:
    """Whatever `trigger_on_create` and `watch_fields` say of saves."""
    function = memory.cached(key=OWNED, invalidates_on=[rule(watch_fields=["status"])])(listing)
    fill(function, CALLS)
    carry_out(plan(deleted(Order(owner=1))))
    assert live(function, *CALLS) == CALLS[2:]


def test_values_when_the_row_changes_later_then_those_of_the_change_count(memory: Stage) -> None:
    """A row in memory may have lost its id, or have another owner, by the time of the commit."""
    function = memory.cached(key=OWNED, invalidates_on=[rule()])(listing)
    fill(function, CALLS)
    row = Order(owner=1)
    works = plan(deleted(row))
    row.owner = None
    carry_out(works)
    assert live(function, *CALLS) == CALLS[2:]


async def test_mapping_when_no_partition_exists_then_exactly_the_entry_is_dropped(
    stage: Stage, way: Way
) -> None:
    """Never the whole function."""
    mapping = {"user_id": "owner", "page": "id"}
    rules = [rule(field_mapping=mapping)]
    function = stage.cached(key=None, invalidates_on=rules)(way.function(listing))
    for call in CALLS:
        await way.call(function, *call)
    carry_out(plan(updated(Order(id=1, owner=1), Order(id=2, owner=3))))
    left = [call for call in CALLS if await way.do(function, "get_cached_metadata", *call)]
    assert left == CALLS[1:]


def test_mapping_when_the_key_ignores_arguments_then_they_need_not_be_mapped(
    memory: Stage,
) -> None:
    """The entry is said by what its key depends on; tags are not asked for."""

    def name(user_id: int, about: str, /) -> str:
        return ""

    key, tags = {"id": ArgsKeyField("user_id")}, ["about:{about}"]
    function = memory.cached(key=key, tags=tags, invalidates_on=[rule()])(name)
    fill(function, [(1, "a"), (2, "a")])
    carry_out(plan(deleted(Order(owner=1))))
    assert live(function, (1, "a"), (2, "a")) == [(2, "a")]


def test_function_when_it_has_no_parameters_then_its_entry_is_dropped(memory: Stage) -> None:
    """There is nothing to map."""
    function = memory.cached(invalidates_on=[InvalidationRule(Order)])(lambda: "all")
    function()
    carry_out(plan(deleted(Order())))
    assert live(function, ()) == []


def test_everything_when_asked_for_then_is_dropped(stage: Stage) -> None:
    """In so many words only; the neighbour stays."""
    rules = [rule(field_mapping=InvalidationRule.ALL)]
    function = stage.cached(key=OWNED, invalidates_on=rules)(listing)
    other = stage.cached(key=OWNED, invalidates_on=[rule()])(listing)
    fill(function, CALLS)
    fill(other, CALLS)
    carry_out(plan(updated(Order(owner=3), Order(owner=3))))
    assert live(function, *CALLS) == []
    assert live(other, *CALLS) == CALLS[:3]


def test_leading_partition_when_more_is_mapped_then_narrows(memory: Stage) -> None:
    """As deep as the mapped arguments lead, and no deeper than surroundings allow."""
    key = {
        "user": ArgsKeyField("user_id", partition=True),
        "version": ConstantKeyField("v", "1", partition=True),
        "page": ArgsKeyField("page", partition=True),
    }
    wide = memory.cached(key=key, invalidates_on=[rule()])(listing)
    mapping = {"user_id": "owner", "page": "id"}
    narrow = memory.cached(key=key, invalidates_on=[rule(field_mapping=mapping)])(listing)
    fill(wide, CALLS)
    fill(narrow, CALLS)
    carry_out(plan(deleted(Order(id=2, owner=1))))
    assert live(wide, *CALLS) == [(2, 1), (3, 1)]
    assert live(narrow, *CALLS) == [(1, 1), (2, 1), (3, 1)]


def test_partition_when_surroundings_come_behind_then_all_of_them_are_dropped(
    memory: Stage,
) -> None:
    """The row of a user concerns his entries in every tenant, not only in the current one."""
    key = {
        "user": ArgsKeyField("user_id", partition=True),
        "tenant": ContextVarKeyField(TENANT, partition=True),
    }
    function = memory.cached(key=key, invalidates_on=[rule()])(lambda user_id: "")
    in_tenant("acme", function, 1)
    in_tenant("other", function, 1)
    in_tenant("other", lambda: carry_out(plan(deleted(Order(owner=1)))))
    assert in_tenant("acme", live, function, 1) == []
    assert in_tenant("other", live, function, 1) == []


def test_partition_when_surroundings_lead_then_those_of_the_change_count(memory: Stage) -> None:
    """The tenant in which the row was saved is the one whose entries are dropped."""
    key = {
        "tenant": ContextVarKeyField(TENANT, partition=True),
        "user": ArgsKeyField("user_id", partition=True),
    }
    function = memory.cached(key=key, invalidates_on=[rule()])(lambda user_id: "")
    in_tenant("acme", function, 1)
    in_tenant("other", function, 1)
    works = in_tenant("acme", plan, deleted(Order(owner=1)))
    in_tenant("other", carry_out, works)
    assert in_tenant("acme", live, function, 1) == []
    assert in_tenant("other", live, function, 1) == [1]


def test_partition_when_its_surroundings_cannot_be_read_then_everything_is_dropped(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that is saved outside of a request has no tenant: nobody's entries may be left."""
    key = {
        "tenant": CallableKeyField(lambda: TENANT_OF_REQUEST.get(), partition=True),
        "user": ArgsKeyField("user_id", partition=True),
    }
    function = memory.cached(key=key, invalidates_on=[rule()])(lambda user_id: "")

    def in_request(do: Callable[..., Any], *args: Any) -> Any:
        TENANT_OF_REQUEST.set("acme")
        return do(*args)

    copy_context().run(in_request, fill, function, [1, 2])
    carry_out(plan(deleted(Order(owner=1))))
    assert copy_context().run(in_request, live, function, 1, 2) == []
    assert "a rule drops everything of" in caplog.text


def test_keyword_arguments_when_a_view_takes_any_then_names_of_the_url_are_mapped(
    memory: Stage,
) -> None:
    """They need not be parameters of their own."""
    key = {"pk": ArgsKeyField("pk", partition=True)}

    def view(request: object = None, **kwargs: Any) -> str:
        return ""

    function = memory.cached(key=key, invalidates_on=[rule(field_mapping={"pk": "id"})])(view)
    for pk in (1, 2):
        function(None, pk=pk)
    carry_out(plan(deleted(Order(id=1))))
    assert function.get_cached_metadata(pk=1) is None
    assert function.get_cached_metadata(pk=2) is not None


def test_method_when_a_rule_maps_its_argument_then_entries_of_all_objects_are_dropped(
    memory: Stage,
) -> None:
    """The partition is not the object's."""

    class Shop:
        @memory.cache.cached(key=OWNED, invalidates_on=[rule()])
        def listing(self, user_id: int, page: int = 1) -> str:
            return ""

    shop, other = Shop(), Shop()
    fill(shop.listing, CALLS)
    carry_out(plan(deleted(Order(owner=1))))
    assert live(other.listing, *CALLS) == CALLS[2:]


@pytest.mark.parametrize("value", ["*", "[x]", "a:b", "x::", "é", "u" * 300, 1, True, 1.0, b"1"])
def test_value_when_it_is_any_key_then_its_partition_alone_is_dropped(
    shared: Stage, value: Any
) -> None:
    """No value reaches the partition of another, nor is any out of reach."""
    others = ["", "x", 2, False, "1", b"x"]
    function = shared.cached(key={"u": ArgsKeyField("user_id", partition=True)},
                             invalidates_on=[rule()])(lambda user_id: "")  # fmt: skip
    fill(function, [value, *others])
    carry_out(plan(deleted(Order(owner=value))))
    assert live(function, value, *others) == others


# Arguments that are None, or missing


@pytest.mark.parametrize(
    ("required", "dropped"),
    [
        (True, []),
        (False, [(None, 1)]),
        (["page"], [(None, 1)]),
        (["user_id"], []),
        ([], [(None, 1)]),
    ],
)
def test_argument_when_none_then_require_args_decides(
    memory: Stage, required: Any, dropped: list[Any]
) -> None:
    """A None passes through as the value None, or the row says no target."""
    mapping = {"user_id": "owner", "page": "id"}
    rules = [rule(field_mapping=mapping, require_args=required)]
    function = memory.cached(key=OWNED, invalidates_on=rules)(listing)
    calls = [(None, 1), (1, 1)]
    fill(function, calls)
    carry_out(plan(deleted(Order(owner=None))))
    assert live(function, *calls) == [call for call in calls if call not in dropped]


def test_argument_when_none_on_one_side_then_the_other_side_counts(memory: Stage) -> None:
    """A row that gets its first owner concerns this owner."""
    function = memory.cached(key=OWNED, invalidates_on=[rule()])(listing)
    fill(function, CALLS)
    carry_out(plan(updated(Order(owner=None), Order(owner=1))))
    assert live(function, *CALLS) == CALLS[2:]


def test_argument_when_the_row_does_not_have_it_then_nothing_is_dropped_and_it_is_said(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a text nobody knew the fields at decoration; the whole function is no way out."""
    rules = [InvalidationRule("orders", field_mapping={"user_id": "ownr"})]
    function = memory.cached(key=OWNED, name="app:orders", invalidates_on=rules)(listing)
    fill(function, CALLS)
    with caplog.at_level(logging.WARNING, "tiercel.invalidation"):
        memory.cache.changed("orders", old={"owner": 1})
    assert live(function, *CALLS) == CALLS
    assert "rule '#0' of app:orders drops nothing for a row of orders: it has no 'ownr'" in (
        caplog.text
    )


def test_object_when_the_row_has_a_plain_value_then_nothing_is_dropped_and_it_is_said(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a text nobody knew what its fields hold at decoration; objects do say what to drop."""
    rules = [InvalidationRule("orders", field_mapping={"self": "customer"})]

    class Shopper(Customer):
        @memory.cache.cached(key={"it": ArgsKeyField("self", partition=True)}, invalidates_on=rules)
        def total(self) -> int:
            return 1

    ann, bob = Shopper(1, "Ann"), Shopper(2, "Bob")
    fill(ann.total, [()])
    fill(bob.total, [()])
    with caplog.at_level(logging.WARNING, "tiercel.invalidation"):
        memory.cache.changed("orders", old={"customer": 1}, new={"customer": ann})
    assert live(ann.total, ()) == []
    assert live(bob.total, ()) == [()]
    assert "drops nothing for a row of orders: 'customer' is no object, which self must be" in (
        caplog.text
    )


def test_argument_when_its_value_cannot_be_in_a_key_then_other_rules_are_not_harmed(
    memory: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised into whoever saved the row."""
    rules = [rule(field_mapping={"user_id": "customer"}), rule()]
    function = memory.cached(key=OWNED, name="app:unkeyable", invalidates_on=rules)(listing)
    fill(function, CALLS)
    carry_out(plan(deleted(Order(owner=1, customer=object()))))  # type: ignore[arg-type]
    assert live(function, *CALLS) == CALLS[2:]
    assert (
        "rule '#0' of app:unkeyable drops nothing for this row: argument 'user_id'" in caplog.text
    )


# More than one row


def test_bulk_when_rows_are_not_told_apart_then_the_function_is_dropped(memory: Stage) -> None:
    """Of those rules only that the kind and the fields of the change concern."""
    mapped = memory.cached(key=OWNED, invalidates_on=[rule()])(listing)
    watching = memory.cached(key=OWNED, invalidates_on=[rule(watch_fields=["total"])])(listing)
    custom = memory.cached(
        key=OWNED,
        invalidates_on=[InvalidationRule(Order, invalidator=lambda wrapper, instance: None)],
    )(listing)
    for function in (mapped, watching, custom):
        fill(function, CALLS)
    fields = frozenset({"status"})
    change = Change(source=Order, kind=ChangeKind.UPDATED, bulk=True, fields=fields)
    carry_out(plan(change))
    assert live(mapped, *CALLS) == []
    assert live(watching, *CALLS) == CALLS
    assert live(custom, *CALLS) == []
    fill(mapped, CALLS)
    carry_out(plan(Change(source=Order, kind=ChangeKind.CREATED, bulk=True)))
    assert live(mapped, *CALLS) == CALLS
