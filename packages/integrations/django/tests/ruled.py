"""Cached functions with one rule, for tests that look at what changes drop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from django.db import transaction

from tiercel import ArgsKeyField, CachedFunction, InvalidationRule, KeyConstructor, cache_result

_serial = count()


class ByWhat(KeyConstructor):
    """One partition for each value."""

    what = ArgsKeyField("what", partition=True)


def ruled(model: Any, path: str = "pk", **options: Any) -> CachedFunction[..., Any, Any]:
    """Return a function cached by one argument, dropped by what rows have at a path."""
    rule = InvalidationRule(model, field_mapping={"what": path}, **options)

    @cache_result(key_constructor=ByWhat, invalidates_on=[rule], name=f"ruled.{next(_serial)}")
    def function(what: Any) -> list[Any]:
        return [what]

    return function


def dropped(captured: Any, function: CachedFunction[..., Any, Any]) -> list[Any]:
    """Return the values for which a capture has partitions of such a function."""
    return [
        each.arguments["what"] if each.arguments else "everything" for each in captured.of(function)
    ]


@contextmanager
def undone(alias: str = "default") -> Iterator[None]:
    """A transaction, or a savepoint in one, that is rolled back when the block ends."""
    with transaction.atomic(alias):
        yield
        transaction.set_rollback(True, alias)
