"""Doing the work of one rule: drops first, then what is to be computed again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tiercel import switch
from tiercel.contracts.backend import Key, Scope
from tiercel.engine.drop import drop_key, drop_scopes
from tiercel.engine.effects import Run, Steps
from tiercel.engine.refresh import refresh
from tiercel.engine.state import Call, canonical
from tiercel.engine.stopped import original
from tiercel.errors import BackendUnavailable, TiercelError, UnknownFunction
from tiercel.invalidation.bound import BoundRule, RuledFunction
from tiercel.invalidation.invalidators import (
    chosen,
    is_asynchronous,
    name_of_invalidator,
    resolve,
    wanted_extras,
)
from tiercel.invalidation.targets import (
    Reach,
    Target,
    aim_at,
    call_of,
    everything,
    says_whole_call,
)
from tiercel.invalidation.work import Row, Work

log = logging.getLogger("tiercel.invalidation")


class Portion:
    """Work together with the function, and the rule where this process knows it.

    Attributes:
        raises: Whether the rule wants its failures raised; None: in a worker only, and not what
            could not be computed again, since what was dropped is dropped.
        acknowledged: Whether a drop that the shared tier did not acknowledge is a failure. Else
            this process repeats it.
        owed: Whether the shared tier did not acknowledge a drop.
    """

    def __init__(self, function: RuledFunction, rule: BoundRule | None, work: Work) -> None:
        self.function = function
        self.rule = rule
        self.work = work
        self.raises: bool | None = rule.rule.raise_exception if rule is not None else None
        self.acknowledged = False
        self.owed = False

    @property
    def asynchronous(self) -> bool:
        """Whether the work is native to an event loop."""
        if self.rule is None:
            return False
        if self.work.row is None:
            return self.rule.rule.rewarm and self.function.asynchronous
        given = self.rule.rule.invalidator
        try:
            return given is not None and is_asynchronous(resolve(str(self.rule), given))
        except TiercelError:
            return False  # raised again, and reported, when it is to be called

    def perform(self) -> Steps[None]:
        """Do the work; raises what an invalidator does."""
        if self.work.row is not None:
            yield from self._invalidate(self.work.row)
            return
        targets = self.work.targets
        live = yield from self._live(targets)
        yield from self._drop(targets)
        failed = yield from self._refresh(live)
        if self.raises:
            raise_first(failed)

    # Dropping

    def _drop(self, targets: Sequence[Target]) -> Steps[None]:
        subject = self.function.subject
        scopes = dict.fromkeys(self._scopes(targets))
        calls: dict[str, Call] = {}
        for call in self._calls(targets):
            calls.setdefault(call.key.text, call)
        names = [subject.function_scope.name, *(scope.name for scope in scopes), *calls]
        before = {id(drop) for drop in subject.engine.pending.among(names)}
        if scopes:
            yield from drop_scopes(subject, *scopes, about=self._about())
        for call in calls.values():
            yield from drop_key(subject, call, about=self._about())
        self.owed = any(id(drop) not in before for drop in subject.engine.pending.among(names))
        if self.acknowledged and self.owed:
            raise BackendUnavailable(
                f"{self.function.name}: the shared tier did not acknowledge a drop by rule "
                f"{self.work.rule!r}"
            )

    def _about(self) -> Mapping[str, str]:
        source = self.rule.source.label if self.rule is not None else ""
        return {"rule": self.work.rule, "source": source}

    def _scopes(self, targets: Sequence[Target]) -> Iterator[Scope]:
        for target in targets:
            if target.reach is not Reach.ENTRY:
                yield target.scope
                own = self._own(target)
                if own is not None and own is not target and own.reach is not Reach.ENTRY:
                    yield own.scope

    def _calls(self, targets: Sequence[Target]) -> Iterator[Call]:
        for target in targets:
            if target.reach is not Reach.ENTRY:
                continue
            if self._own(target) is not None and target.arguments is not None:
                yield self.function.entry(*call_of(self.function.plan, target.arguments))
            key = Key(target.text, (), target.spread or target.text)
            yield Call((), {}, key, canonical(target.text))

    def _own(self, target: Target) -> Target | None:
        """Return the target as this process sees it, where the code may be another version."""
        if self.work.origin is not None:
            return target
        plan = self.function.plan
        try:
            if target.reach is Reach.FUNCTION:
                return everything(plan)
            if target.arguments is None:
                return None
            aim = aim_at(self.work.rule, plan, target.arguments)
            return aim.target(plan, target.arguments)
        except TiercelError as error:
            log.debug("%s: a target of another process does not fit: %s", self.function.name, error)
            return None

    # Computing again

    def _live(self, targets: Sequence[Target]) -> Steps[Sequence[Call]]:
        """Return the calls that are to be computed again after the drop."""
        if self.rule is None or not self.rule.rule.rewarm or switch.is_off():
            return ()
        try:
            whole = [self._whole_call(target) for target in targets]
            rest = [each for each, call in zip(targets, whole, strict=True) if call is None]
            listed = (yield from self.function.live_in(rest)) if rest else ()
            return [call for call in whole if call is not None] + list(listed)
        except Exception as error:
            self.function.subject.report("what was live cannot be listed", error)
            return ()

    def _whole_call(self, target: Target) -> Call | None:
        """Return the only call that a target covers, if it is one."""
        plan, mapped = self.function.plan, target.arguments
        if target.reach is Reach.FUNCTION and plan.signature.parameters:
            return None
        if mapped is None or not says_whole_call(plan, mapped):
            return None
        return self.function.call(*call_of(plan, mapped))

    def _refresh(self, calls: Sequence[Call]) -> Steps[list[Exception]]:
        """Compute calls again; return what some of them failed with."""
        subject, failed = self.function.subject, list[Exception]()
        for call in calls:
            try:
                yield from refresh(subject, call)
            except Exception as error:
                subject.report("a dropped entry could not be computed again", error)
                failed.append(error)
        return failed

    # Invalidators

    def _invalidate(self, row: Row) -> Steps[None]:
        rule = self.rule
        given = rule.rule.invalidator if rule is not None else None
        if rule is None or given is None or name_of_invalidator(given) != row.invalidator:
            raise UnknownFunction(
                f"rule {self.work.rule!r} of {self.function.name} has no invalidator "
                f"{row.invalidator} in this process: deploy the same code here"
            )
        invalidator = resolve(str(rule), given)
        instance = rule.source.rebuild(row.snapshot)
        extras = chosen(wanted_extras(str(rule), invalidator), _extras(row))
        args = (self.function, instance)
        yield Run(invalidator, args, extras, is_asynchronous(invalidator))


def raise_first(errors: Sequence[Exception]) -> None:
    """Raise one error as it is, several together."""
    if len(errors) > 1:
        told = [original(error) for error in errors]
        raise ExceptionGroup("several rules, or calls of one, failed", told)
    if errors:
        raise errors[0]


def _extras(row: Row) -> Mapping[str, Any]:
    return {
        "signal_type": row.signal,
        "instance_created": row.created,
        "update_fields": row.fields,
    }
