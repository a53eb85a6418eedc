"""Whether a change is one that a rule is about. Where that cannot be known, it is."""

from __future__ import annotations

from typing import Any

from tiercel.contracts.change import Change, ChangeKind, Source
from tiercel.invalidation.rules import InvalidationRule


def concerns(rule: InvalidationRule, source: Source, change: Change) -> bool:
    """Tell whether a change is to have an effect."""
    if change.kind is ChangeKind.CREATED and not rule.trigger_on_create:
        return False
    watched = rule.watch_fields if change.kind is ChangeKind.UPDATED else None
    if watched and not any(_has_changed(source, change, path) for path in watched):
        return False
    return _holds(rule, source, change)


def _has_changed(source: Source, change: Change, path: str) -> bool:
    """Tell whether the value at a path differs, or may do so.

    Only what was written can have changed. Where the row before and after are the same object,
    as for relations of many rows to many, what was written has changed.
    """
    if change.fields is not None and path.partition(".")[0] not in change.fields:
        return False
    if change.old is None or change.new is None or change.old is change.new:
        return True
    try:
        before, after = source.value(change.old, path), source.value(change.new, path)
        return not same(before, after)
    except Exception:
        return True


def same(before: Any, after: Any) -> bool:
    """Tell whether two values are equal and of one type."""
    return before is after or (type(before) is type(after) and bool(before == after))


def _holds(rule: InvalidationRule, source: Source, change: Change) -> bool:
    """Tell whether the row has the wanted values, before or after the change.

    Before counts too: what has just stopped to match is still in the cached result.
    """
    if not rule.invalidate_when:
        return True
    rows = [row for row in (change.old, change.new) if row is not None]
    if change.kind is ChangeKind.UPDATED and len(rows) < 2:
        return True
    return not rows or any(_matches(rule, source, row) for row in rows)


def _matches(rule: InvalidationRule, source: Source, row: Any) -> bool:
    wanted = rule.invalidate_when or {}
    return all(_fits(source, row, path, value) for path, value in wanted.items())


def _fits(source: Source, row: Any, path: str, wanted: Any) -> bool:
    negated = path.startswith("!")
    try:
        value = source.value(row, path.removeprefix("!"))
        fits = value is None if wanted is None else bool(value == wanted)
    except Exception:
        return True
    return fits is not negated
