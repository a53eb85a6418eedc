"""What tests of a project need: invalidations as assertions, and caches of their own.

    class ProductTests(IsolatedCaches, TestCase):
        def test_price_is_dropped(self):
            with capture_invalidations() as captured:
                product.save()
            captured.assert_dropped(get_price, product_id=product.pk)

Works in `TestCase`, whose transaction is never committed, and in `TransactionTestCase`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiercel.spi import Work, isolated_caches
from tiercel_django import transactions

if TYPE_CHECKING:
    from tiercel import Cache, CachedFunction

__all__ = ["Captured", "Invalidation", "IsolatedCaches", "capture_invalidations"]

EVERYTHING: Mapping[str, Any] = {}
"""The arguments of an invalidation that drops everything of its function."""


@dataclass(frozen=True, slots=True)
class Invalidation:
    """One thing that a change drops.

    Attributes:
        function: The name of the function.
        rule: The name of the rule.
        arguments: The mapped arguments that say what; none: everything of the function. None:
            the rule has an invalidator, which decides by itself.
    """

    function: str
    rule: str
    arguments: Mapping[str, Any] | None

    def __str__(self) -> str:
        if self.arguments is None:
            return f"{self.function}: invalidator of rule {self.rule!r}"
        named = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.function}({named or 'everything'})"


class Captured:
    """What was dropped, or would have been, while it was captured."""

    def __init__(self, works: list[Work]) -> None:
        self._works = works

    @property
    def invalidations(self) -> list[Invalidation]:
        """Each thing once, in the order in which it came up."""
        found: list[Invalidation] = []
        for work in self._works:
            found += (each for each in _invalidations(work) if each not in found)
        return found

    def of(self, function: CachedFunction[..., Any, Any] | str) -> list[Invalidation]:
        """Return what concerns a function, given itself or by its name."""
        name = _name(function)
        return [each for each in self.invalidations if each.function == name]

    def assert_dropped(
        self, function: CachedFunction[..., Any, Any] | str, /, **arguments: Any
    ) -> None:
        """Fail unless exactly this partition or entry was dropped; without arguments, anything
        of the function.
        """
        found = self.of(function)
        if arguments:
            found = [each for each in found if each.arguments == arguments]
        if not found:
            name = _name(function)
            wanted = Invalidation(name, "", arguments) if arguments else name
            raise AssertionError(f"{wanted} was not dropped, but {self._all()}")

    def assert_not_dropped(
        self, function: CachedFunction[..., Any, Any] | str, /, **arguments: Any
    ) -> None:
        """Fail if this partition or entry was dropped; without arguments, anything of the
        function.
        """
        found = self.of(function)
        if arguments:
            found = [each for each in found if each.arguments in (arguments, EVERYTHING)]
        if found:
            raise AssertionError(f"dropped: {'; '.join(map(str, found))}")

    def assert_nothing(self) -> None:
        """Fail if anything was dropped."""
        if self._works:
            raise AssertionError(f"dropped: {self._all()}")

    def _all(self) -> str:
        return "; ".join(map(str, self.invalidations)) or "nothing was"


@contextmanager
def capture_invalidations(*, execute: bool = True) -> Iterator[Captured]:
    """Capture what changes drop in a block, and in what it awaits.

    What was rolled back is no part of it. What still waits for the commit of an outer transaction
    when the block ends, such as that of a `TestCase`, is taken as if that were committed.

    Args:
        execute: Whether that is also carried out, so that cached functions are called anew.
    """
    with transactions.watching() as watcher:
        yield Captured(watcher.works)
        for hook in watcher.waiting():
            if execute:
                hook()
            else:
                watcher.see(hook.works)


class IsolatedCaches:
    """For `SimpleTestCase` and everything below: each test has empty caches in memory."""

    caches: Mapping[str, Cache]

    enterContext: Callable[..., Any]  # noqa: N815 - of unittest

    def setUp(self) -> None:
        """Replace the configured caches until the test has ended."""
        self.caches = self.enterContext(isolated_caches())
        super().setUp()  # type: ignore[misc]


def _name(function: Any) -> str:
    """Return the name of what a decorator leaves in place of a function."""
    return function if isinstance(function, str) else function.cached_function.name


def _invalidations(work: Work) -> Iterator[Invalidation]:
    if work.row is not None:
        yield Invalidation(work.function, work.rule, None)
    for target in work.targets:
        yield Invalidation(work.function, work.rule, dict(target.arguments or EVERYTHING))
