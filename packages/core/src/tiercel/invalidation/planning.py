"""What a change makes necessary: worked out when it happens, with the values as they are then."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tiercel.contracts.change import Change, ChangeKind
from tiercel.engine.state import Engine
from tiercel.errors import UnkeyableValue
from tiercel.invalidation.bound import BoundRule, RuledFunction
from tiercel.invalidation.conditions import concerns, same
from tiercel.invalidation.invalidators import name_of_invalidator
from tiercel.invalidation.registry import rules_for
from tiercel.invalidation.rules import Everything, SignalType
from tiercel.invalidation.sources import PLAIN
from tiercel.invalidation.targets import Aim, Target, everything
from tiercel.invalidation.work import Row, Work

log = logging.getLogger("tiercel.invalidation")

_PLAIN = frozenset({int, str, bytes})


def plan(change: Change, engine: Engine | None = None) -> tuple[Work, ...]:
    """Return what a change makes necessary, to be carried out once it is visible to others.

    Never raises: what goes wrong with one rule is logged, and the others are not harmed.

    Args:
        change: What has happened.
        engine: Of which cache the functions are; None: of any.
    """
    works = []
    for rule in rules_for(change.source):
        function = rule.function
        if function is None:
            continue
        try:
            function = function.here()
            if engine is None or function.subject.engine is engine:
                work = _work(rule, function, change)
                if work is not None:
                    works.append(work)
        except Exception:
            log.exception("%s cannot be applied to a change of %s", rule, rule.source.label)
    return tuple(works)


def _work(rule: BoundRule, function: RuledFunction, change: Change) -> Work | None:
    if not concerns(rule.rule, rule.source, change):
        return None
    _ = function.subject  # binds, so that names of scopes carry the prefix of the cache
    row = change.old if change.kind is ChangeKind.DELETED else change.new
    unknown = change.bulk or (change.old is None and change.new is None)
    if rule.aim is None and row is not None and not unknown:
        return Work.of(rule, function, row=_row(rule, change, row))
    if unknown or rule.aim is None:
        return Work.of(rule, function, (everything(function.plan),))
    targets = _targets(rule, rule.aim, function, change)
    return Work.of(rule, function, targets) if targets else None


def _row(rule: BoundRule, change: Change, row: Any) -> Row:
    given = rule.rule.invalidator
    assert given is not None
    deleted = change.kind is ChangeKind.DELETED
    return Row(
        source=rule.source.label,
        invalidator=name_of_invalidator(given),
        snapshot=rule.source.snapshot(row),
        signal=SignalType.POST_DELETE if deleted else SignalType.POST_SAVE,
        created=change.kind is ChangeKind.CREATED,
        fields=change.fields,
    )


def _targets(
    rule: BoundRule, aim: Aim, function: RuledFunction, change: Change
) -> tuple[Target, ...]:
    """Return what the row said before the change, and what it says now."""
    before = None if change.old is None else _mapped(rule, change.old)
    after = None if change.new is None or change.new is change.old else _mapped(rule, change.new)
    if before is not None and after is not None and _same_values(before, after):
        after = None
    found: dict[Target, None] = {}
    for mapped in (before, after):
        if mapped is None:
            continue
        try:
            found[aim.target(function.plan, mapped)] = None
        except UnkeyableValue as error:
            log.warning("%s drops nothing for this row: %s", rule, error)
    return tuple(found)


def _same_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether two rows are certain to say the same target."""
    return all(
        value is after[name] or (type(value) in _PLAIN and same(value, after[name]))
        for name, value in before.items()
    )


def _mapped(rule: BoundRule, row: Any) -> Mapping[str, Any] | None:
    """Return the arguments that a row says; None if one is missing."""
    mapping = rule.rule.field_mapping
    if isinstance(mapping, Everything) or mapping is None:
        return {}
    values = {}
    for name, path in mapping.items():
        try:
            values[name] = rule.source.value(row, path)
        except LookupError as error:
            log.warning(
                "%s drops nothing for a row of %s: it has no %r (%s)",
                rule, rule.source.label, path, error,
            )  # fmt: skip
            return None
        if values[name] is None and _is_required(rule, name):
            return None
        if name in rule.objects and type(values[name]) in PLAIN:
            log.warning(
                "%s drops nothing for a row of %s: %r is no object, which %s must be",
                rule, rule.source.label, path, name,
            )  # fmt: skip
            return None
    return values


def _is_required(rule: BoundRule, name: str) -> bool:
    required = rule.rule.require_args
    return required if isinstance(required, bool) else name in required
