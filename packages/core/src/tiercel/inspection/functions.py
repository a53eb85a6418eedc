"""Which functions this process knows, and which rules they have."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from tiercel.bulletins.board import BulletinKey
from tiercel.cached import CachedFunction
from tiercel.errors import TiercelError, UnknownFunction
from tiercel.inspection.records import FunctionRecord, RuleRecord
from tiercel.invalidation import BoundRule
from tiercel.invalidation.rules import Everything
from tiercel.oversight import cached_functions
from tiercel.values import ValueKey

_OWN = (ValueKey, BulletinKey)
"""Keys of what Tiercel itself keeps: no functions of anybody's."""

AnyFunction = CachedFunction[Any, Any, Any]


def known_functions(pattern: str = "") -> list[AnyFunction]:
    """Return the functions of the running application whose name contains a text, by name.

    Values that are set by hand are none, and of a function and its twins only one is. One whose
    cache the application lacks is there, too; asked for its `subject`, it raises the error.
    """
    found: dict[str, AnyFunction] = {}
    for each in cached_functions(pattern):
        if each.settings.key not in _OWN and (each.name not in found or each.follows_configuration):
            found[each.name] = each
    return [_here(each) for each in found.values()]


def _here(function: AnyFunction) -> AnyFunction:
    try:
        return function.here()
    except TiercelError:
        return function


def find_function(name: str) -> AnyFunction:
    """Return the function of a name, or the only one whose name ends with it.

    Raises:
        UnknownFunction: There is none, or several; says which ones come near.
    """
    known = {each.name: each for each in known_functions()}
    if name in known:
        return known[name]
    ending = [each for each in known if each.endswith((f".{name}", f":{name}"))]
    if len(ending) == 1:
        return known[ending[0]]
    if ending:
        raise UnknownFunction(f"{name!r} is the end of several: {', '.join(ending)}")
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it knows {len(known)} functions"
    raise UnknownFunction(f"this process has no cached function {name!r}; {hint}")


def function_records(pattern: str = "") -> list[FunctionRecord]:
    """Return how the functions are cached whose name contains a text."""
    return [_function(each) for each in known_functions(pattern)]


def rule_records(pattern: str = "") -> list[RuleRecord]:
    """Return the rules of the functions whose name contains a text."""
    return [rule_record(each, rule) for each in known_functions(pattern) for rule in each.rules]


def rule_record(function: AnyFunction, bound: BoundRule) -> RuleRecord:
    """Return what a rule says."""
    rule = bound.rule
    return RuleRecord(
        function=function.name,
        rule=bound.name,
        model=bound.source.label,
        drops=bound.drops,
        mapping=mapping_of(bound),
        watches=list(rule.watch_fields or ()),
        when={path: repr(value) for path, value in (rule.invalidate_when or {}).items()},
        rewarms=rule.rewarm,
        dispatcher=rule.dispatcher,
    )


def mapping_of(bound: BoundRule) -> Mapping[str, str]:
    """Return the path on a row for each argument that a rule maps."""
    mapping = bound.rule.field_mapping
    return {} if mapping is None or isinstance(mapping, Everything) else dict(mapping)


def _function(function: AnyFunction) -> FunctionRecord:
    policy = function.settings.policy
    cache, error, indexed = "", "", bool(function.settings.index)
    try:
        subject = function.subject
        cache, indexed = subject.engine.name, subject.notes is not None
    except TiercelError as failed:
        error = str(failed)
    return FunctionRecord(
        name=function.name,
        cache=cache,
        tiers=policy.tiers,
        asynchronous=function.asynchronous,
        key=function.plan.readable_template,
        partition=[field.name for field in function.plan.partition],
        ttl="callable" if callable(policy.ttl) else policy.ttl,
        stale=policy.stale,
        rules=len(function.rules),
        indexed=indexed,
        error=error,
    )
