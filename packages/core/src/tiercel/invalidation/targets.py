"""What a rule drops of a function: everything, a partition, or one entry; decided at decoration."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from inspect import BoundArguments, Parameter
from typing import Any, Final

from msgspec import Struct

from tiercel.contracts.backend import Scope
from tiercel.contracts.key_field import ABSENT
from tiercel.errors import ConfigurationError, UnkeyableValue
from tiercel.keys.parts import PlannedField, PlannedPart
from tiercel.keys.plan import KeyPlan

log = logging.getLogger("tiercel.invalidation")

_VARIADIC: Final[Mapping[Any, Any]] = {Parameter.VAR_POSITIONAL: (), Parameter.VAR_KEYWORD: {}}


class Reach(StrEnum):
    """How much a target covers."""

    FUNCTION = "function"
    PARTITION = "partition"
    ENTRY = "entry"


class Target(Struct, frozen=True, eq=False):
    """Something of one function that a change has made outdated.

    Attributes:
        reach: How much of it.
        text: The name of the scope, or the text of the key; tells targets apart.
        spread: As in `Scope`.
        arguments: The mapped arguments that say it; None where they are not known.
    """

    reach: Reach
    text: str
    spread: str | None = None
    arguments: Mapping[str, Any] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def scope(self) -> Scope:
        """The scope of a function or partition."""
        return Scope(self.text, self.spread)


@dataclass(frozen=True, slots=True)
class Aim:
    """What the arguments that a rule maps say of a function's entries.

    Attributes:
        reach: How much a target of the rule covers.
        depth: How many partition fields say which partition.
        by_name: Whether every mapped argument is a parameter, none a part of `**kwargs`.
    """

    reach: Reach
    depth: int = 0
    by_name: bool = False

    def target(self, plan: KeyPlan, mapped: Mapping[str, Any]) -> Target:
        """Return the target that these values of the mapped arguments say.

        Raises:
            UnkeyableValue: A value has no text.
        """
        if self.reach is Reach.FUNCTION:
            return everything(plan)
        if self.reach is Reach.ENTRY:
            args, kwargs = call_of(plan, mapped)
            key = plan.key(*args, **kwargs)
            return Target(self.reach, key.text, key.spread, mapped)
        texts = self._texts(plan, mapped if self.by_name else _completed(plan, mapped))
        if texts is None:
            return everything(plan)
        layout = plan.layout
        text = layout.partition(texts)
        spread = text if len(texts) == 1 else layout.partition(texts[:1])
        return Target(self.reach, layout.scope(text), spread, mapped)

    def _texts(self, plan: KeyPlan, arguments: Mapping[str, Any]) -> list[str] | None:
        """Return what the partition fields say; None if the surroundings of one are missing here.

        Then it cannot be known which partition is meant, so none of them may be left.
        """
        texts = []
        for field in plan.partition[: self.depth]:
            try:
                texts.append(field.text(arguments))
            except UnkeyableValue as error:
                if field.arguments:
                    raise
                log.warning("a rule drops everything of %s: %s", plan.function, error)
                return None
        return texts


def everything(plan: KeyPlan) -> Target:
    """Return the target that covers all entries of a function."""
    scope = plan.scope()
    return Target(Reach.FUNCTION, scope.name, scope.spread, {})


def call_of(plan: KeyPlan, mapped: Mapping[str, Any]) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return the call that the target of an entry stands for.

    Arguments that the key does not depend on are None, or have their defaults.
    """
    bound = BoundArguments(plan.signature, _completed(plan, mapped))
    return bound.args, bound.kwargs


def says_entry(plan: KeyPlan, mapped: Collection[str]) -> bool:
    """Tell whether these arguments say everything that the key depends on."""
    return not _missing(plan, mapped)


def aim_at(what: str, plan: KeyPlan, mapped: Collection[str]) -> Aim:
    """Return what a mapping of these arguments says.

    Args:
        what: Names the rule in errors.
        plan: The function's.
        mapped: Names of its arguments.

    Raises:
        ConfigurationError: The function has no such argument; or they say neither a partition nor
            a whole call, so that nothing less than everything could be dropped.
    """
    for name in mapped:
        _require(what, plan, name)
    if not plan.signature.parameters:
        return Aim(Reach.FUNCTION)
    depth = _depth(plan, mapped)
    if depth:
        return Aim(
            Reach.PARTITION, depth, all(name in plan.signature.parameters for name in mapped)
        )
    missing = _missing(plan, mapped)
    if mapped and not missing:
        return Aim(Reach.ENTRY)
    raise _refusal(what, plan, mapped, missing)


def can_be_called(plan: KeyPlan, mapped: Collection[str]) -> bool:
    """Tell whether the function can be called with these arguments alone."""
    return all(
        name in mapped or parameter.default is not Parameter.empty or parameter.kind in _VARIADIC
        for name, parameter in plan.signature.parameters.items()
    )


def says_whole_call(plan: KeyPlan, mapped: Collection[str]) -> bool:
    """Tell whether these arguments say one entry, and can be called to compute it."""
    return says_entry(plan, mapped) and can_be_called(plan, mapped)


def is_argument(plan: KeyPlan, name: str) -> bool:
    """Tell whether calls can have an argument of this name."""
    parameters = plan.signature.parameters
    if name in parameters:
        return parameters[name].kind not in _VARIADIC
    return any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())


def _require(what: str, plan: KeyPlan, name: str) -> None:
    if is_argument(plan, name):
        return
    parameters = plan.signature.parameters
    named = [each for each, parameter in parameters.items() if parameter.kind not in _VARIADIC]
    close = get_close_matches(name, named, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(named) or 'none'}"
    raise ConfigurationError(
        f"{what} names the argument {name!r}, which {plan.function} does not have; {hint}"
    )


def _depth(plan: KeyPlan, mapped: Collection[str]) -> int:
    """Return how many leading partition fields are known, the last of them by an argument."""
    depth = 0
    for number, field in enumerate(plan.partition, start=1):
        if not _is_said(plan, field, mapped):
            break
        if field.arguments:
            depth = number
    return depth


def _is_said(plan: KeyPlan, field: PlannedField, mapped: Collection[str]) -> bool:
    """Tell whether the value of a field follows from the mapped arguments, or from no argument."""
    given = _by_parameter(plan, dict.fromkeys(mapped))
    for name in field.arguments:
        if plan.signature.parameters[name].kind is Parameter.VAR_POSITIONAL or name not in given:
            return False
        if plan.signature.parameters[name].kind is Parameter.VAR_KEYWORD:
            return all(_reads(part, given) for part in field.parts)
    return True


def _reads(part: PlannedPart, given: Mapping[str, Any]) -> bool:
    """Tell whether a part finds what it looks for, which may be a name in `**kwargs`."""
    if part.extract is None:
        return True
    try:
        return part.extract(*(given[name] for name in part.arguments)) is not ABSENT
    except UnkeyableValue:
        return True  # found, and of no use without a value


def depends_on(plan: KeyPlan, name: str) -> bool:
    """Tell whether an argument, which may be one in `**kwargs`, can make a difference to keys."""
    parts = [part for field in plan.fields for part in field.parts]
    if name in plan.signature.parameters:
        return any(name in part.arguments for part in parts)
    given = _completed(plan, {name: object()})
    return any(
        plan.signature.parameters[each].kind is Parameter.VAR_KEYWORD and _reads(part, given)
        for part in parts
        for each in part.arguments
    )


def _missing(plan: KeyPlan, mapped: Collection[str]) -> list[str]:
    """Return what the key depends on besides the mapped arguments, in words."""
    missing = []
    for field in plan.fields:
        missing += [name for name in field.arguments if name not in mapped]
        ambient = [p for p in field.parts if not p.arguments and p.constant is None]
        missing += [f"the key field {field.name}" for _ in ambient]
    return list(dict.fromkeys(missing))


def _refusal(
    what: str, plan: KeyPlan, mapped: Collection[str], missing: list[str]
) -> ConfigurationError:
    names = ", ".join(mapped) or "nothing"
    anyway = "use field_mapping=InvalidationRule.ALL to drop everything of the function"
    if not plan.partition:
        return ConfigurationError(
            f"{what} maps {names}, but the key of {plan.function} also depends on "
            f"{', '.join(missing)}, and it has no partition: mark the key fields of what is "
            f"mapped with partition=True, or {anyway}"
        )
    leading, *others = plan.partition
    needed = ", ".join(leading.arguments) or "no argument"
    later = [field.name for field in others if _is_said(plan, field, mapped) and field.arguments]
    if later:
        return ConfigurationError(
            f"{what} maps {names}, which says {later[0]!r}, but partitions of {plan.function} are "
            f"told apart by {leading.name!r} first: declare {later[0]!r} before {leading.name!r} "
            f"in the key constructor, map {needed} too, or {anyway}"
        )
    return ConfigurationError(
        f"{what} maps {names}, which says no partition of {plan.function}: map {needed}, which "
        f"its first partition field {leading.name!r} depends on, or {anyway}"
    )


def _by_parameter(plan: KeyPlan, mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Sort values into the parameters that take them; those without a name go to `**kwargs`."""
    parameters = plan.signature.parameters
    arguments: dict[str, Any] = {}
    rest = {name: value for name, value in mapped.items() if name not in parameters}
    for name, parameter in parameters.items():
        if name in mapped and parameter.kind not in _VARIADIC:
            arguments[name] = mapped[name]
        elif parameter.kind is Parameter.VAR_KEYWORD and rest:
            arguments[name] = rest
    return arguments


def _completed(plan: KeyPlan, mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for each parameter, in order."""
    arguments = _by_parameter(plan, mapped)
    return {
        name: arguments[name] if name in arguments else _filler(parameter)
        for name, parameter in plan.signature.parameters.items()
    }


def _filler(parameter: Parameter) -> Any:
    if parameter.kind in _VARIADIC:
        return _VARIADIC[parameter.kind]
    return None if parameter.default is Parameter.empty else parameter.default
