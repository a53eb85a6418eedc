"""Fields as a plan uses them: bound to one function, with their texts and their messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiercel.contracts.key_field import ABSENT, KeyField, Part, Target
from tiercel.errors import ConfigurationError, UnkeyableValue
from tiercel.keys.encoding import Encoders
from tiercel.keys.escape import digest, escape

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_DEFAULT = "default"


@dataclass(frozen=True, slots=True, eq=False)
class PlannedPart:
    """One named value of a function's keys.

    Attributes:
        name: What stands before the value in the key, escaped.
        arguments: The parameters that the value depends on.
        extract: Reads the value from them; None: the value is the only argument itself.
        encode: Turns the value into text.
        default: The default of the argument if that has no text, as a sentinel has none; it is
            known by being the same object. Else ABSENT.
        constant: The text, where it is the same for every call.
    """

    name: str
    arguments: tuple[str, ...]
    extract: Callable[..., Any] | None
    encode: Callable[[Any], str]
    default: Any = ABSENT
    constant: str | None = None

    def text(self, *values: Any) -> str:
        """The text of the value for these arguments."""
        if self.constant is not None:
            return self.constant
        value = values[0] if self.extract is None else self.extract(*values)
        if value is self.default and value is not ABSENT:
            return _DEFAULT
        return self.encode(value)


@dataclass(frozen=True, slots=True, eq=False)
class PlannedField:
    """One field of a key constructor, bound to a function.

    Attributes:
        name: Its attribute name in the constructor.
        field: The field itself.
        label: Names its parts in messages, templates and scopes.
        parts: Its values.
    """

    name: str
    field: KeyField
    label: str
    parts: tuple[PlannedPart, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The parameters that the field depends on."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.arguments))

    def text(self, arguments: Mapping[str, Any]) -> str:
        """What the field puts into a key for the arguments of a call, by name."""
        text = ",".join(
            [
                f"{part.name}={part.text(*[arguments[name] for name in part.arguments])}"
                for part in self.parts
            ]
        )
        return f"{self.label}={digest(text)}" if self.field.hash_value else text


def plan_field(field: KeyField, target: Target, encoders: Encoders) -> PlannedField | None:
    """Bind a field to a function; None if it has nothing to add to its keys.

    Raises:
        ConfigurationError: The field does not fit the function.
        UnkeyableValue: A constant has no text.
    """
    chosen = encoders.sorting_lists if field.sort_lists else encoders
    parts = tuple(_plan_part(part, target, chosen) for part in _given(field, target))
    label = "+".join(part.name for part in parts)
    return PlannedField(target.attribute, field, label, parts) if parts else None


def _given(field: KeyField, target: Target) -> Sequence[Part]:
    given: Any = field.parts(target)
    if isinstance(given, Sequence) and all(isinstance(each, Part) for each in given):
        return given
    raise ConfigurationError(
        f"{target.function}: {type(field).__name__}.parts() must return a sequence of Part, "
        f"not {given!r}"
    )


def _plan_part(part: Part, target: Target, encoders: Encoders) -> PlannedPart:
    for name in part.arguments:
        target.require(name)
    where = f"{target.owner}.{target.attribute}"
    what, fix = f"key field {where} of {target.function}", ""
    if part.arguments:
        names = ", ".join(map(repr, part.arguments))
        word = "argument" if len(part.arguments) == 1 else "arguments"
        what = f"{word} {names} of {target.function} (key field {where})"
    if part.constant is not ABSENT:
        text = encoders.text(part.constant, what)
        return PlannedPart(escape(part.name), (), None, encoders.text, constant=text)
    if part.extract is None:
        fix = f", or key on its attributes with ArgsKeyField({part.arguments[0]!r}, path=...)"

    def encode(value: Any) -> str:
        return encoders.text(value, what, fix)

    extract = None if part.extract is None else _guard(part.extract, what)
    default = ABSENT if extract else _opaque_default(target, part.arguments[0], encoders)
    return PlannedPart(escape(part.name), part.arguments, extract, encode, default)


def _guard(extract: Callable[..., Any], what: str) -> Callable[..., Any]:
    def read(*values: Any) -> Any:
        try:
            return extract(*values)
        except UnkeyableValue:
            raise
        except Exception as error:
            raise UnkeyableValue(
                f"{what}: its value cannot be read, {type(error).__name__}: {error}"
            ) from error

    return read


def _opaque_default(target: Target, name: str, encoders: Encoders) -> Any:
    parameter = target.signature.parameters[name]
    if parameter.kind in _VARIABLE or parameter.default is inspect.Parameter.empty:
        return ABSENT
    try:
        encoders.text(parameter.default)
    except UnkeyableValue:
        return parameter.default
    return ABSENT
