"""What tests of a project need works in every kind of test case."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase

import tiercel
from packages.integrations.django.tests.ruled import ByWhat, undone
from packages.integrations.django.tests.shop.models import Sample
from tiercel import InvalidationRule, cache_result
from tiercel_django.testing import IsolatedCaches, capture_invalidations


@cache_result(
    key_constructor=ByWhat,
    invalidates_on=[InvalidationRule(Sample, field_mapping={"what": "name"})],
    name="testing.listed",
)
def listed(what: str) -> list[str]:
    return [what]


class _Story:
    """The same for both kinds of test case."""

    row: Sample
    captureOnCommitCallbacks: Any  # noqa: N815

    def setUp(self) -> None:
        self.row = Sample.objects.create(name="a")
        self.row.save()  # waits in the transaction of a TestCase, and is none of the test's

    def test_change_then_captured_and_carried_out(self) -> None:
        """The entry is dropped when the block ends."""
        before = listed("a")
        with capture_invalidations() as captured:
            self.row.save()
        captured.assert_dropped(listed, what="a")
        captured.assert_not_dropped(listed, what="b")
        assert listed("a") is not before

    def test_rolled_back_then_not_captured(self) -> None:
        """What was undone inside the block does not count."""
        with capture_invalidations() as captured, undone():
            self.row.save()
        captured.assert_nothing()

    def test_changes_several_times_then_each_thing_once(self) -> None:
        """What is equal is listed once."""
        with capture_invalidations() as captured, transaction.atomic():
            self.row.save()
            self.row.save()
        assert [str(each) for each in captured.of(listed)] == ["testing.listed(what='a')"]

    def test_assertions_when_wrong_then_say_what_happened(self) -> None:
        """A failing assertion names what was dropped instead."""
        with capture_invalidations() as captured:
            self.row.save()
        with pytest.raises(AssertionError, match=r"but .*testing\.listed"):
            captured.assert_dropped(listed, what="b")
        with pytest.raises(AssertionError, match=r"dropped: testing\.listed"):
            captured.assert_not_dropped(listed)
        with pytest.raises(AssertionError, match="what='a'"):
            captured.assert_nothing()


class InTestCase(_Story, TestCase):
    def test_change_when_not_to_be_executed_then_only_captured(self) -> None:
        """Looking alone drops nothing."""
        before = listed("a")
        with capture_invalidations(execute=False) as captured:
            self.row.save()
        captured.assert_dropped(listed, what="a")
        assert listed("a") is before

    def test_callbacks_captured_by_django_then_they_carry_out(self) -> None:
        """Django's own way to run hooks in tests works, alone and inside."""
        before = listed("a")
        with self.captureOnCommitCallbacks(execute=True):
            self.row.save()
        after = listed("a")
        assert after is not before
        with capture_invalidations() as captured, self.captureOnCommitCallbacks(execute=True):
            self.row.save()
        captured.assert_dropped(listed, what="a")
        assert len(captured.of(listed)) == 1


class InTransactionTestCase(_Story, TransactionTestCase):
    """Commits really happen."""


class Isolated(IsolatedCaches, SimpleTestCase):
    def test_first_of_two_then_computed(self) -> None:
        """Neither of two tests finds what the other has stored."""
        assert listed.get_cache_only("shared") is tiercel.CACHE_MISSING
        listed("shared")

    def test_second_of_two_then_computed(self) -> None:
        """See above."""
        assert listed.get_cache_only("shared") is tiercel.CACHE_MISSING
        listed("shared")
        assert "default" in self.caches
