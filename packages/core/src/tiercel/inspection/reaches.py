"""Which rules would drop the entry of a call, and what a row must have for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiercel.engine.state import Call
from tiercel.errors import UnkeyableValue
from tiercel.inspection.functions import AnyFunction, mapping_of
from tiercel.inspection.records import ReachRecord
from tiercel.invalidation import BoundRule


def rules_over(function: AnyFunction, call: Call) -> Sequence[ReachRecord]:
    """Return the rules that would drop the entry of a call, in the order of decoration."""
    arguments = _arguments(function, call)
    reaches = (_reach(function, rule, call, arguments) for rule in function.rules)
    return [each for each in reaches if each is not None]


def _reach(
    function: AnyFunction, bound: BoundRule, call: Call, arguments: Mapping[str, Any]
) -> ReachRecord | None:
    conditions = {path: repr(value) for path, value in (bound.rule.invalidate_when or {}).items()}
    if bound.aim is None:
        return ReachRecord(bound.name, bound.source.label, bound.drops, conditions, certain=False)
    mapping = mapping_of(bound)
    mapped = {name: arguments.get(name) for name in mapping}
    row = {path: repr(mapped[name]) for name, path in mapping.items()}
    try:
        target = bound.aim.target(function.plan, mapped)
    except UnkeyableValue:
        certain = False
    else:
        certain = target.text == call.key.text or target.text in call.key.scopes
        if not certain:
            return None
    drops = bound.drops
    return ReachRecord(bound.name, bound.source.label, drops, {**row, **conditions}, certain)


def _arguments(function: AnyFunction, call: Call) -> Mapping[str, Any]:
    """Return the arguments of a call by name, those in `**kwargs` included."""
    bound = function.plan.signature.bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    arguments = dict(bound.arguments)
    for name, parameter in function.plan.signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= arguments.pop(name)
    return arguments
