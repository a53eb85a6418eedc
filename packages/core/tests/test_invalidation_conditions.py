"""Which changes count: watched fields, wanted values, and what nobody knows."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from msgspec import structs

from packages.core.tests.ruled import Customer, Order, created, deleted, updated
from tiercel import ArgsKeyField, Cache, InvalidationRule
from tiercel.invalidation.conditions import concerns
from tiercel.spi import Change, Source, plan

pytestmark = pytest.mark.usefixtures("own_rules")

_serial = count()

ROW = Order(id=1, owner=1, status="new", total=10, customer=Customer(1, "Ann"))


def fires(change: Change, **options: Any) -> bool:
    """Tell whether a rule with these options acts on a change."""
    rule = InvalidationRule(Order, field_mapping={"user": "owner"}, **options)
    key = {"user": ArgsKeyField("user", partition=True)}
    name = f"tests:conditions{next(_serial)}"
    function = Cache().cached(key=key, name=name, invalidates_on=[rule])(lambda user: user)
    assert function(1) == 1
    return name in [work.function for work in plan(change)]


def changed(**values: Any) -> Change:
    """Return the change of a row to these values."""
    return updated(ROW, replace(ROW, **values))


# watch_fields


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (changed(status="sent"), True),
        (changed(total=11), False),
        (changed(), False),
        (changed(status="sent", total=11), True),
        (updated(ROW, replace(ROW, status="sent"), fields=frozenset({"status"})), True),
        (updated(ROW, replace(ROW, status="sent"), fields=frozenset({"total"})), False),
        (updated(ROW, replace(ROW), fields=frozenset({"status"})), False),
    ],
)
def test_watch_fields_when_saved_then_a_real_change_counts(change: Change, expected: bool) -> None:
    """A plain save too, without a list of fields; a field that was not written has not changed."""
    assert fires(change, watch_fields=["status"]) is expected


def test_watch_fields_when_a_value_behind_another_changes_then_counts() -> None:
    """Paths lead through related rows."""
    moved = changed(customer=Customer(2, "Bob"))
    assert fires(moved, watch_fields=["customer.name"])
    assert not fires(changed(customer=Customer(2, "Ann")), watch_fields=["customer.name"])
    assert fires(changed(customer=None), watch_fields=["customer.name"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (updated(None, ROW), True),
        (updated(ROW, None), True),
        (updated(None, ROW, fields=frozenset({"status", "total"})), True),
        (updated(None, ROW, fields=frozenset({"total"})), False),
        (updated(ROW, ROW, fields=frozenset({"status"})), True),
        (updated(ROW, ROW, fields=frozenset({"total"})), False),
        (updated({"owner": 1}, {"owner": 1}), True),
    ],
)
def test_watch_fields_when_a_value_is_unknown_then_it_may_have_changed(
    change: Change, expected: bool
) -> None:
    """Also for relations of many to many, whose row before is the row after."""
    change = structs.replace(change, source=Order)
    assert fires(change, watch_fields=["status"]) is expected


def test_watch_fields_when_values_cannot_be_compared_then_they_may_differ() -> None:
    """An expression of the database, or an array, says neither yes nor no."""

    class Odd(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    assert fires(updated(replace(ROW, status=Odd()), replace(ROW, status=Odd())),
                 watch_fields=["status"])  # fmt: skip
    assert fires(updated(replace(ROW, total=1), replace(ROW, total=True)), watch_fields=["total"])


def test_watch_fields_when_empty_then_every_update_counts() -> None:
    """As if the option were not there."""
    assert fires(changed(), watch_fields=[])


def test_watch_fields_when_created_or_deleted_then_not_asked() -> None:
    """They are about updates."""
    assert fires(deleted(ROW), watch_fields=["status"])
    assert fires(created(ROW), watch_fields=["status"], trigger_on_create=True)
    assert not fires(created(ROW), watch_fields=["status"])


# invalidate_when


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"status": "new"}, True),
        ({"status": "sent"}, False),
        ({"!status": "sent"}, True),
        ({"!status": "new"}, False),
        ({"status": "new", "total": 10}, True),
        ({"status": "new", "total": 11}, False),
        ({"owner": None}, False),
        ({"!owner": None}, True),
        ({"customer.name": "Ann"}, True),
        ({"customer.name": None}, False),
        ({}, True),
    ],
)
def test_invalidate_when_saved_then_all_values_must_fit(
    wanted: dict[str, Any], expected: bool
) -> None:
    """Each path is looked at; `!` wants any other value."""
    assert fires(changed(), invalidate_when=wanted) is expected
    assert fires(deleted(ROW), invalidate_when=wanted) is expected


def test_invalidate_when_a_value_is_falsy_then_it_is_not_none() -> None:
    """None is compared by identity."""
    assert not fires(deleted(replace(ROW, total=0)), invalidate_when={"total": None})
    assert fires(deleted(replace(ROW, total=0)), invalidate_when={"total": 0})
    assert fires(deleted(replace(ROW, customer=None)), invalidate_when={"customer": None})


def test_invalidate_when_the_row_stops_to_fit_then_counts() -> None:
    """The cached result still holds it."""
    gone = changed(status="cancelled")
    assert fires(gone, invalidate_when={"status": "new"})
    assert fires(gone, invalidate_when={"status": "cancelled"})
    assert not fires(gone, invalidate_when={"status": "sent"})


def test_invalidate_when_conditions_fit_different_rows_then_neither_fits() -> None:
    """One row has to fulfil all of them."""
    change = changed(status="sent", total=99)
    assert not fires(change, invalidate_when={"status": "new", "total": 99})


def test_invalidate_when_the_row_before_is_unknown_then_counts() -> None:
    """It may have fitted."""
    assert fires(updated(None, ROW), invalidate_when={"status": "sent"})
    assert not fires(created(ROW), invalidate_when={"status": "sent"}, trigger_on_create=True)


def test_invalidate_when_combined_with_watch_fields_then_both_must_hold() -> None:
    """Neither makes the other unheard."""
    options: dict[str, Any] = {"watch_fields": ["total"], "invalidate_when": {"status": "new"}}
    assert fires(changed(total=11), **options)
    assert not fires(changed(owner=2), **options)
    sent = replace(ROW, status="sent")
    assert not fires(updated(sent, replace(sent, total=11)), **options)


def test_values_when_a_source_fails_then_the_change_counts() -> None:
    """What cannot be known must not keep anything from being dropped."""

    class Broken(Source):
        model, label = Order, "broken"

        def covers(self, changed: Any) -> bool:
            return changed is Order

        def check(self, path: str) -> None:
            """Accept any."""

        def value(self, row: Any, path: str) -> Any:
            raise RuntimeError("no connection")

        def snapshot(self, row: Any) -> Any:
            raise NotImplementedError

        def rebuild(self, snapshot: Any) -> Any:
            raise NotImplementedError

    rule = InvalidationRule(
        Order, field_mapping={"user": "owner"}, watch_fields=["a"], invalidate_when={"b": 1}
    )
    assert concerns(rule, Broken(), changed())
