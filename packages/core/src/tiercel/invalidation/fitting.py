"""Whether what a rule maps can say an entry; refused at decoration where it is certain not to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiercel.codec.annotations import annotations_of
from tiercel.contracts.change import Source
from tiercel.errors import ConfigurationError
from tiercel.invalidation.targets import depends_on, is_argument, says_entry
from tiercel.keys.call_fields import ObjectKeyField
from tiercel.keys.fields import ArgsKeyField
from tiercel.keys.names import receiver_name
from tiercel.keys.parts import PlannedField
from tiercel.keys.plan import KeyPlan

_ANYWAY = "use field_mapping=InvalidationRule.ALL to drop everything of the function"


def check_counted(what: str, plan: KeyPlan, mapping: Mapping[str, str], *, rewarm: bool) -> None:
    """Refuse to map an argument that is no part of the key, unless a rewarming call needs it.

    Raises:
        ConfigurationError: Names the argument, and what to do.
    """
    if rewarm and says_entry(plan, mapping):
        return
    for name, path in mapping.items():
        if is_argument(plan, name) and not depends_on(plan, name):
            raise ConfigurationError(
                f"{what} maps {name} to {path!r}, but no key field of {plan.function} takes the "
                f"argument {name}, so it says none of its entries: take it out of field_mapping, "
                f"add ArgsKeyField({name!r}, partition=True) to the key, or {_ANYWAY}"
            )


def check_objects(
    what: str,
    function: Callable[..., Any],
    plan: KeyPlan,
    source: Source,
    mapping: Mapping[str, str],
    *,
    rewarm: bool,
) -> frozenset[str]:
    """Refuse to map an object that the function takes to a plain value, such as a primary key.

    Such an object is that of a method, or what is annotated to be a row of the source.

    Returns:
        The arguments for which keys need the object itself.

    Raises:
        ConfigurationError: Names the argument, and what to do.
    """
    if not mapping:
        return frozenset()
    objects = {receiver_name(function)}
    objects |= {name for name, kind in annotations_of(function).items() if kind is source.model}
    objects &= mapping.keys()
    keyed = objects & {name for field in plan.fields for name in _whole_arguments(field)}
    called = objects if rewarm and says_entry(plan, mapping) else frozenset[str]()
    for name in mapping:
        if name in keyed | called and source.is_plain(mapping[name]):
            raise _no_object(what, plan, name, mapping[name], keyed=name in keyed)
    return frozenset(keyed)


def _no_object(
    what: str, plan: KeyPlan, name: str, path: str, *, keyed: bool
) -> ConfigurationError:
    problem = f"{what} maps {name} to {path!r}, which is a plain value, but"
    if not keyed:
        return ConfigurationError(
            f"{problem} rewarm=True would call {plan.function} with it, which takes an object: "
            "drop without rewarming"
        )
    return ConfigurationError(
        f"{problem} the key of {plan.function} is made of the object, so nothing would be dropped: "
        f"read what identifies it with ArgsKeyField({name!r}, normalizer=...), which takes either, "
        f"or {_ANYWAY}"
    )


def _whole_arguments(field: PlannedField) -> list[str]:
    """Return the arguments of which a field takes the object only, by itself or for a path."""
    given = field.field
    by_path = isinstance(given, ArgsKeyField) and given.path is not None
    if by_path or isinstance(given, ObjectKeyField):
        return list(field.arguments)
    return [name for part in field.parts if part.extract is None for name in part.arguments]
