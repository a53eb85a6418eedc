"""Which classes a return annotation names, directly or through the fields of others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, NewType, TypeVar, get_args, get_origin, get_type_hints

from tiercel.codec.origin import module_of

_FIELD_MARKS = (
    "__dataclass_fields__",
    "__attrs_attrs__",
    "__pydantic_fields__",
    "__struct_fields__",
    "_fields",  # of a named tuple
    "__total__",  # of a typed dict
)


def return_annotation(function: Callable[..., Any]) -> Any:
    """Return what a function is annotated to return; None without, or if a name is unknown."""
    return annotations_of(function).get("return")


def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the resolved annotations of a function; none if one names what is unknown."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}


def classes_in(annotation: Any) -> list[type]:
    """Return every class an annotation mentions, those of its fields' annotations included.

    Unions, containers, `Annotated`, `NewType`, type variables and type aliases are looked into.
    Text that stands for a type is not evaluated: resolve it first (`typing.get_type_hints`).
    """
    seen: dict[int, Any] = {}
    todo = [annotation]
    while todo:
        hint = todo.pop()
        if id(hint) not in seen:
            seen[id(hint)] = hint
            todo.extend(_parts(hint))
    return [hint for hint in seen.values() if isinstance(hint, type)]


def _parts(hint: Any) -> Iterable[Any]:
    if isinstance(hint, type):
        return field_hints(hint).values() if _declares_fields(hint) else ()
    if type(hint).__name__ == "TypeAliasType":
        return (hint.__value__,)
    if isinstance(hint, NewType):
        return (hint.__supertype__,)
    if isinstance(hint, TypeVar):
        return (hint.__bound__, *hint.__constraints__)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return map(type, args)
    if origin is Annotated:
        return args[:1]
    return (origin, *args) if origin is not None else ()


def _declares_fields(cls: type) -> bool:
    return any(hasattr(cls, mark) for mark in _FIELD_MARKS)


def field_hints(cls: type) -> Mapping[str, Any]:
    """Return the resolved annotations of a class's attributes; none if they do not resolve."""
    if is_pydantic(cls):
        return {name: field.annotation for name, field in cls.model_fields.items()}  # type: ignore[attr-defined]
    try:
        return get_type_hints(cls)
    except (NameError, TypeError, AttributeError, SyntaxError):
        # Names under TYPE_CHECKING do not exist now: their classes are then not covered, and
        # encoding one says so.
        return {}


def is_pydantic(cls: type) -> bool:
    """Tell whether a class is a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(cls, pydantic.BaseModel)


def describe(hint: Any) -> str:
    """Return a text for an annotation that is the same in every process."""
    if isinstance(hint, str):
        return hint
    if isinstance(hint, type):
        return f"{module_of(hint)}.{hint.__qualname__}"
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"Literal[{', '.join(f'{type(arg).__name__} {arg!s}' for arg in args)}]"
    if origin is None:
        return str(getattr(hint, "__name__", type(hint).__name__))
    return f"{describe(origin)}[{', '.join(map(describe, args))}]"
