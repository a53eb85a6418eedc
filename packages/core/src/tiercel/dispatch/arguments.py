"""The arguments of a call, as tasks carry them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

from tiercel.codec.annotations import classes_in
from tiercel.codec.shapes import shape_of
from tiercel.dispatch.values import Shapes, pack, unpack

_shapes: WeakKeyDictionary[Callable[..., Any], Shapes] = WeakKeyDictionary()


def pack_call(
    function: str, target: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what JSON carries exactly for the arguments of a call.

    Besides builtin values and those that an integration packs, they may hold instances of the
    classes that the function's annotations name: enums, dataclasses, attrs classes, pydantic
    models, named tuples and structs.

    Args:
        function: The function's name, for errors.
        target: The function.
        args: As given.
        kwargs: As given.

    Raises:
        TypeError: An argument holds a value of another type; names it.
    """
    shapes = shapes_of(target)
    names = _names(target, len(args))
    return {
        "args": [
            pack(value, f"argument {name!r} of {function}", shapes)
            for name, value in zip(names, args, strict=True)
        ],
        "kwargs": {
            name: pack(value, f"argument {name!r} of {function}", shapes)
            for name, value in kwargs.items()
        },
    }


def unpack_call(
    target: Callable[..., Any], payload: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Undo `pack_call`; a payload that it did not make may raise anything."""
    shapes = shapes_of(target)
    args, kwargs = payload["args"], payload["kwargs"]
    if type(args) is not list or type(kwargs) is not dict:
        raise ValueError("not the arguments of a call")
    return (
        tuple(unpack(value, shapes) for value in args),
        {name: unpack(value, shapes) for name, value in kwargs.items()},
    )


def shapes_of(target: Callable[..., Any]) -> Shapes:
    """Return how instances of those classes are taken apart that a function's annotations name."""
    found = _shapes.get(target)
    if found is None:
        classes = [cls for hint in _hints(target).values() for cls in classes_in(hint)]
        found = {shape.cls: shape for shape in filter(None, map(shape_of, classes))}
        _shapes[target] = found
    return found


def _hints(target: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(target)
    except (NameError, TypeError, AttributeError):
        return {}  # a name under TYPE_CHECKING: carrying an instance of such a class is refused


def _names(target: Callable[..., Any], count: int) -> list[str]:
    """Return a name for each of the first `count` positional arguments."""
    names: list[str] = []
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return (names + [f"*{name}"] * count)[:count]
        names.append(name)
    return (names + ["*"] * count)[:count]
