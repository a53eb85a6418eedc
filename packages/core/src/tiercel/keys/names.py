"""Names of classes and functions that mean the same one everywhere, or a refusal."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable
from threading import RLock
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final
from weakref import WeakValueDictionary

from tiercel.codec.origin import module_of
from tiercel.keys.escape import escape_name

_unimportable: Final[WeakValueDictionary[str, type]] = WeakValueDictionary()
_lock: Final = RLock()


class Refused(Exception):
    """A value has no text; caught by `Encoders.text`, which knows what the value was for."""

    def __init__(self, kind: type, reason: str, fix: str) -> None:
        super().__init__(kind, reason, fix)
        self.kind, self.reason, self.fix = kind, reason, fix


def describe(kind: type) -> str:
    """Name a type in a message."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}:{kind.__qualname__}"


def name_of(thing: type | Callable[..., Any]) -> str:
    """The name of a class or function, `module:qualname`."""
    return f"{module_of(thing)}:{thing.__qualname__}"


def receiver_name(function: Callable[..., Any]) -> str:
    """The parameter that is the object, or class, of a function defined in a class; else empty."""
    scope, _, _ = getattr(function, "__qualname__", "").rpartition(".")
    if not scope or scope.endswith("<locals>"):
        return ""
    first = next(iter(inspect.signature(function).parameters), "")
    return first if first in {"self", "cls"} else ""


def class_text(kind: type) -> str:
    """The name of a class, `module/qualname`, if no other living class answers to it."""
    if not is_importable(kind):
        _claim(kind)
    return escape_name(name_of(kind))


def is_importable(kind: type) -> bool:
    """Whether the name of a class leads to it."""
    return _lookup(kind.__module__, kind.__qualname__) is kind


def function_text(function: FunctionType | BuiltinFunctionType) -> str:
    """The name of a function, `module/qualname`, if it leads back to the function."""
    module, qualname = function.__module__, function.__qualname__
    if _lookup(module, qualname) is not function:
        raise Refused(
            type(function),
            f"the function {qualname} cannot be found by its name, as lambdas, closures and bound "
            "methods cannot",
            "pass a function that is defined at the top level of a module",
        )
    return escape_name(name_of(function))


def _lookup(module: str | None, qualname: str) -> Any:
    found: Any = sys.modules.get(module or "")
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _claim(kind: type) -> None:
    """Let a class that is local to a function have its name, unless another one lives by it."""
    name = name_of(kind)
    if not isinstance(_lookup(kind.__module__, kind.__qualname__), type):
        with _lock:
            holder = _unimportable.setdefault(name, kind)
            if holder is not kind:
                # Classes stand in reference cycles: a dead one may still await collection.
                del holder
                gc.collect()
                holder = _unimportable.setdefault(name, kind)
        if holder is kind:
            return
    raise Refused(
        kind,
        "another class has the same name",
        "define it once, at the top level of a module, or register an encoder for it",
    )
