"""Calls as people write them: `5`, `name=value`, `[1, 2]`; texts need no quotes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import BoundArguments, Parameter, Signature
from typing import Any, Final, get_type_hints
from uuid import UUID

import msgspec

from tiercel.cached import CachedFunction
from tiercel.inspection.receivers import (
    CLASS,
    BadArguments,
    check_receiver,
    receiver_name,
    receiver_of,
    separated,
)
from tiercel.keys.names import name_of

Call = tuple[tuple[Any, ...], dict[str, Any]]

_NAMED: Final = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)=(.*)", re.DOTALL)
_FROM_TEXT: Final = (date, datetime, time, timedelta, Decimal, UUID, Enum)


def parse_call(
    function: CachedFunction[Any, Any, Any], written: Sequence[str], *, partial: bool = False
) -> Call:
    """Return the call that texts stand for.

    Each text is a Python literal if it reads like one, else a text. `name=value` passes by name.
    Where the parameter is annotated `str` it stays as it is written, unless it is quoted; where
    it is annotated with a date, a time, a duration, a decimal, a UUID or an enum, it becomes one.

    The object of a method is left out, where its key does without it, or said by name: `self=5`
    is the value of its `__cache_key__()`, `self.pk=5` an attribute. The class of a class method is
    the one that has it, or `cls=Name`, one below.

    Args:
        function: The function.
        written: One text for each argument. Nothing is evaluated but literals.
        partial: Whether arguments may be missing.

    Raises:
        BadArguments: The function does not take them, or needs more of its object.
    """
    if partial and not written:
        return (), {}
    signature, hints = function.plan.signature, _hints(function.func)
    positional, named = _separated(written, signature, receiver_name(function))
    said, named = separated(function, named)
    receiver = _receiver(function, {path: _said(path, text) for path, text in said.items()})
    bound = _bound(function, (*receiver, *positional), named, partial=partial)
    for name, text in list(bound.arguments.items())[len(receiver) :]:
        hint = hints.get(name)
        bound.arguments[name] = _each(signature.parameters[name], text, hint)
    if not partial:
        check_receiver(function, receiver)
    return bound.args, bound.kwargs


def _said(path: str, text: str) -> Any:
    return text if path == CLASS else _value(text, None)


def _receiver(function: CachedFunction[Any, Any, Any], said: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the first argument, if the function is a method."""
    return (receiver_of(function, said),) if receiver_name(function) else ()


def _bound(
    function: CachedFunction[Any, Any, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    partial: bool = False,
) -> BoundArguments:
    signature = function.plan.signature
    try:
        return (signature.bind_partial if partial else signature.bind)(*args, **kwargs)
    except TypeError as error:
        raise BadArguments(f"{function.name}{signature}: {error}") from None


def call_from_json(function: CachedFunction[Any, Any, Any], text: str) -> Call:
    """Return the call that a JSON list of arguments, or an object of named ones, stands for.

    Texts become dates, times, UUIDs and the like where parameters are annotated so. The object or
    class of a method is said by name, or not at all, as for `parse_call`.

    Raises:
        BadArguments: It is neither, or the function does not take them.
    """
    args, named = _from_json(text)
    said, kwargs = separated(function, named)
    receiver, hints = _receiver(function, said), _hints(function.func)
    bound = _bound(function, (*receiver, *args), kwargs)
    check_receiver(function, receiver)
    for name, given in bound.arguments.items():
        hint = hints.get(name)
        if isinstance(given, str) and isinstance(hint, type) and issubclass(hint, _FROM_TEXT):
            bound.arguments[name] = _converted(given, hint)
    return bound.args, bound.kwargs


def _from_json(text: str) -> Call:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise BadArguments(f"{text!r} is no JSON: {error}") from error
    if isinstance(given, dict):
        return (), given
    if isinstance(given, list):
        return tuple(given), {}
    raise BadArguments(f"{text!r}: give a list of arguments, or an object of named ones")


def written_call(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return a call as Python writes it."""
    named = (f"{key}={value!r}" for key, value in kwargs.items())
    return f"{name}({', '.join([*map(_shown, args), *named])})"


def _shown(value: Any) -> str:
    return name_of(value) if isinstance(value, type) else repr(value)


def _separated(
    written: Sequence[str], signature: Signature, receiver: str
) -> tuple[list[str], dict[str, str]]:
    """Tell what is passed by name from what only looks like it."""
    takes_any = any(each.kind is Parameter.VAR_KEYWORD for each in signature.parameters.values())
    positional, named = list[str](), dict[str, str]()
    for text in written:
        match = _NAMED.fullmatch(text)
        owner, dot, _ = match[1].partition(".") if match else ("", "", "")
        known = owner in signature.parameters or takes_any
        if match and (owner == receiver if dot else known):
            named[match[1]] = match[2]
        else:
            positional.append(text)
    return positional, named


def _each(parameter: Parameter, given: Any, hint: Any) -> Any:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return tuple(_value(text, hint) for text in given)
    if parameter.kind is Parameter.VAR_KEYWORD:
        return {name: _value(text, hint) for name, text in given.items()}
    return _value(given, hint)


def _value(text: str, hint: Any) -> Any:
    if hint is str and text[:1] not in {"'", '"'}:
        return text
    if isinstance(hint, type) and issubclass(hint, _FROM_TEXT):
        return _converted(text, hint)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _converted(text: str, wanted: type) -> Any:
    """Return a text as an instance of one of the classes that have a usual text."""
    if issubclass(wanted, Enum) and text in wanted.__members__:
        return wanted[text]
    try:
        return msgspec.convert(text, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise BadArguments(f"{text!r} is no {wanted.__name__}: {error}") from None


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}  # a name under TYPE_CHECKING: its values are taken as literals
