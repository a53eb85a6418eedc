"""Rules bound to one function each: checked at decoration, asked at every change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from weakref import ref

from tiercel.contracts.dispatcher import Dispatcher
from tiercel.dispatch import checked_spec, out_of_reach
from tiercel.engine.effects import Steps
from tiercel.engine.state import Call, Subject
from tiercel.errors import ConfigurationError
from tiercel.invalidation.fitting import check_counted, check_objects
from tiercel.invalidation.invalidators import check_invalidator, name_of_invalidator
from tiercel.invalidation.rules import Everything, InvalidationRule, label_of
from tiercel.invalidation.sources import source_of
from tiercel.invalidation.targets import Aim, Reach, Target, aim_at, can_be_called
from tiercel.keys.plan import KeyPlan


class RuledFunction(Protocol):
    """A cached function, as far as its rules need one."""

    name: str
    func: Callable[..., Any]
    asynchronous: bool
    plan: KeyPlan

    @property
    def rules(self) -> Sequence[BoundRule]: ...

    @property
    def subject(self) -> Subject: ...

    def here(self) -> RuledFunction: ...

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call: ...

    def entry(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call: ...

    def live_in(self, targets: Sequence[Target]) -> Steps[Sequence[Call]]: ...

    def rule_dispatcher(self, rule: InvalidationRule | None) -> Dispatcher: ...


class BoundRule:
    """A rule of one function.

    Attributes:
        rule: What the user wrote.
        name: The rule's name: its own, or `#` and its position.
        source: What it listens to.
        aim: What its mapping says of the function's entries; None with an invalidator.
        objects: The mapped arguments of which a plain value, such as a number, says nothing.
    """

    def __init__(self, function: RuledFunction, rule: InvalidationRule, position: int) -> None:
        """Check that a rule fits a function.

        Raises:
            ConfigurationError: It does not; names both, and what is wrong.
        """
        self.rule = rule
        self.name = rule.name or f"#{position}"
        self._function = ref(function)
        self.source = source_of(rule.model)
        what = f"rule {self.name!r} of {function.name} on {label_of(rule.model)}"
        self._check_paths(what)
        self.aim = self._aim(what, function.plan)
        self.objects = check_objects(
            what, function.func, function.plan, self.source, _mapping(rule), rewarm=rule.rewarm
        )

    @property
    def function(self) -> RuledFunction | None:
        """The function, while it lives."""
        return self._function()

    @property
    def drops(self) -> str:
        """What a change drops: the reach of its targets, or the name of its invalidator."""
        given = self.rule.invalidator
        if given is not None:
            return name_of_invalidator(given)
        return str(self.aim.reach) if self.aim is not None else ""

    def __str__(self) -> str:
        function = self.function
        return f"rule {self.name!r} of {function.name if function else 'a function that is gone'}"

    def _check_paths(self, what: str) -> None:
        rule = self.rule
        conditions = [path.removeprefix("!") for path in rule.invalidate_when or ()]
        single = [*_mapping(rule).values(), *conditions]
        paths = [*single, *(rule.watch_fields or ())]
        checks = [(self.source.check, path) for path in paths]
        for check, path in [*checks, *((self.source.check_single, path) for path in single)]:
            try:
                check(path)
            except ConfigurationError as error:
                raise ConfigurationError(f"{what}: path {path!r}: {error}") from error
        self.source.watch(paths)

    def _aim(self, what: str, plan: KeyPlan) -> Aim | None:
        rule = self.rule
        if rule.invalidator is not None:
            check_invalidator(what, rule.invalidator)
            return None
        if isinstance(rule.field_mapping, Everything):
            return Aim(Reach.FUNCTION)
        mapping = _mapping(rule)
        if not mapping and plan.signature.parameters:
            raise ConfigurationError(
                f"{what} says neither field_mapping nor invalidator: map arguments of the function "
                "to fields, or use field_mapping=InvalidationRule.ALL to drop everything of it"
            )
        check_counted(what, plan, mapping, rewarm=rule.rewarm)
        aim = aim_at(what, plan, mapping)
        self._check_required(what, mapping)
        if rule.rewarm and aim.reach is Reach.ENTRY and not can_be_called(plan, mapping):
            raise ConfigurationError(
                f"{what}: rewarm=True calls the function, which needs more arguments than "
                f"{', '.join(mapping)}: map them too, or drop without rewarming"
            )
        return aim

    def _check_required(self, what: str, mapping: Mapping[str, str]) -> None:
        required = self.rule.require_args
        for name in [] if isinstance(required, bool) else sorted(required):
            if name not in mapping:
                raise ConfigurationError(
                    f"{what}: require_args names {name!r}, which field_mapping does not map; it "
                    f"maps {', '.join(mapping) or 'nothing'}"
                )


def bind_rules(
    function: RuledFunction, given: Iterable[InvalidationRule] | InvalidationRule | None
) -> tuple[BoundRule, ...]:
    """Check the rules of a function and bind them to it.

    Raises:
        ConfigurationError: One is no rule, does not fit the function, or has another's name.
    """
    rules = _listed(function, given)
    bound = tuple(BoundRule(function, rule, position) for position, rule in enumerate(rules))
    names = [each.name for each in bound]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{function.name} has several rules called {name!r}")
    return bound


def check_dispatchers(
    rules: Sequence[BoundRule], memory_only: bool, reaches: Callable[[str, str], None] | None
) -> None:
    """Refuse dispatchers that cannot serve the rules of a function.

    Args:
        rules: The rules.
        memory_only: Whether the function's entries are in the memory of each process only.
        reaches: Refuses a dispatcher that does not reach the entries of the cache; called with
            the name of the rule and the dispatcher. None: the cache is not known yet.

    Raises:
        ConfigurationError: One has no such option, or a value for it cannot work, or it would drop
            entries in another process that only this one has.
        PluginError: Nobody provides one.
    """
    for each in rules:
        name, config = each.rule.dispatcher, each.rule.dispatcher_config
        if name is None:
            if config:
                raise ConfigurationError(f"{each}: dispatcher_config= needs dispatcher=")
            continue
        spec = checked_spec(name, config)
        if spec.crosses_processes and memory_only:
            raise out_of_reach(str(each), name, "", why="tiers='memory'")
        if reaches is not None:
            reaches(str(each), name)


def _mapping(rule: InvalidationRule) -> Mapping[str, str]:
    mapping = rule.field_mapping
    return {} if mapping is None or isinstance(mapping, Everything) else mapping


def _listed(function: RuledFunction, given: Any) -> list[InvalidationRule]:
    if given is None:
        return []
    rules = [given] if isinstance(given, InvalidationRule) else given
    if not isinstance(rules, Iterable) or isinstance(rules, (str, Mapping)):
        raise ConfigurationError(f"{function.name}: invalidates_on={given!r} must be rules")
    listed = list(rules)
    for each in listed:
        if not isinstance(each, InvalidationRule):
            raise ConfigurationError(
                f"{function.name}: invalidates_on has {each!r}, which is no InvalidationRule"
            )
    return listed
