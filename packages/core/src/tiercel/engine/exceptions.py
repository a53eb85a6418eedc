"""Cached exceptions: what of one is stored, and how it is made again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tiercel.errors import Undecodable
from tiercel.keys.names import name_of

Parts = tuple[str, tuple[Any, ...]]
"""The name of an exception's type, and its arguments."""

Types = Iterable[type[Exception]]
"""What the policy names; exceptions of these types and of subclasses are cached."""


def exception_parts(types: Types, error: Exception) -> Parts:
    """Return what of an exception is stored.

    Raises:
        TypeError: Its type cannot be found again, or makes another one of these arguments.
    """
    kind, arguments = type(error), error.args
    name = _name(types, kind)
    if _found(types, name) is not kind:
        raise TypeError(f"{name} cannot be found by its name: define it in a module, once")
    try:
        same = kind(*arguments).args == arguments
    except Exception:
        same = False
    if not same:
        raise TypeError(
            f"{name} cannot be made again of its args: hand what its __init__() takes to "
            "super().__init__(), in this order"
        )
    return name, arguments


def made_again(types: Types, stored: Any) -> Exception:
    """Make a cached exception, of a type that the policy covers and of no other.

    Raises:
        Undecodable: There is no such type any more, or it takes other arguments.
    """
    try:
        name, arguments = stored
        kind = _found(types, name)
        if kind is not None:
            return kind(*arguments)
    except (TypeError, ValueError) as error:
        raise Undecodable("a cached exception that cannot be made of its args") from error
    raise Undecodable("a cached exception of a type that is no longer cached, or not imported here")


def _name(types: Types, kind: type[Exception]) -> str:
    return kind.__qualname__ if kind in types else name_of(kind)


def _found(types: Types, name: str) -> type[Exception] | None:
    """Find a type among those that are named and their subclasses; nothing else is looked at."""
    return next((kind for kind in _with_subclasses(types) if _name(types, kind) == name), None)


def _with_subclasses(types: Types) -> Iterator[type[Exception]]:
    yield from types
    for kind in types:
        yield from _with_subclasses(kind.__subclasses__())
