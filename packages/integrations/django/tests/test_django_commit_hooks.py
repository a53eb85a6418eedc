"""Hooks of the application and drops wait for the same commit, and none costs the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from django.db import transaction

from packages.integrations.django.tests.ruled import ruled
from packages.integrations.django.tests.shop.models import Category
from tiercel import InvalidationRule, cache_result

pytestmark = pytest.mark.django_db(databases=["default", "postgres"], transaction=True)


@pytest.fixture
def category(alias: str) -> Category:
    """A row."""
    return Category.objects.using(alias).create(name="a")


def _fail() -> None:
    raise ZeroDivisionError("on purpose")


@contextmanager
def _commit_that_fails(alias: str) -> Iterator[None]:
    """Commit a block with a hook that raises, before which no other one was registered."""
    with pytest.raises(ZeroDivisionError), transaction.atomic(alias):  # noqa: PT012
        transaction.on_commit(_fail, using=alias)
        yield


def test_hook_that_fails_before_then_everything_is_dropped_all_the_same(
    alias: str, category: Category
) -> None:
    """Django runs no hook behind one that raises, and the rows are written."""
    function, other = ruled(Category), Category.objects.using(alias).create(name="b")
    before = [function(category.pk), function(other.pk)]
    with _commit_that_fails(alias):
        category.save()
        other.save()
    assert function(category.pk) is not before[0]
    assert function(other.pk) is not before[1]


def test_hook_that_fails_then_what_was_rolled_back_stays(alias: str, category: Category) -> None:
    """A savepoint that was rolled back has changed nothing."""
    function = ruled(Category)
    before = function(category.pk)
    with _commit_that_fails(alias), suppress(KeyError), transaction.atomic(alias):
        category.save()
        raise KeyError
    assert function(category.pk) is before


def test_hook_that_fails_before_a_rule_does_then_its_error_is_raised(
    alias: str, category: Category, caplog: pytest.LogCaptureFixture
) -> None:
    """One of the two can be raised: the other one is logged."""
    failing = [KeyError("mine")]

    def invalidate(*_: object) -> None:
        if failing:
            raise failing.pop()

    rule = InvalidationRule(Category, invalidator=invalidate, raise_exception=True)
    function = cache_result(invalidates_on=[rule], name="behind a hook")(lambda: None)
    with _commit_that_fails(alias):
        category.save()
    assert "mine" in caplog.text
    assert function() is None
