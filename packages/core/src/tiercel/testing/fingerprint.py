"""Turns live objects into plain values, so that a checker recognises a state it has seen before.

Two states that give equal values go on alike: what may influence the engine is in the value, down
to where each generator stands and what its local variables hold. Anything of an unknown kind is
refused rather than left out.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import (
    BuiltinMethodType,
    CellType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, WeakValueDictionary

from msgspec import Struct

ATOMS = frozenset({type(None), bool, int, float, str, bytes, type(Ellipsis), object})
_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition)


class Canon:
    """Makes plain values of objects; equal graphs of objects give equal values.

    Args:
        constants: For types whose objects are the same in every state worth comparing, or are
            looked at elsewhere: what stands for an object.
    """

    def __init__(self, constants: Mapping[type, Callable[[Any], Hashable]]) -> None:
        self._constants = constants
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []

    def __call__(self, value: Any) -> Hashable:
        """Return the plain value."""
        kind = type(value)
        if kind in ATOMS:
            return value if kind is not object else "object"
        if kind in self._constants:
            return self._constants[kind](value)
        if kind is tuple:
            return tuple([self(item) for item in value])
        if id(value) in self._met:
            return ("met", self._met[id(value)])
        self._met[id(value)] = len(self._met)
        self._kept.append(value)  # its id must not be given to another object meanwhile
        return (kind.__name__, _handler(kind)(self, value))

    def each(self, values: Iterable[Any]) -> Hashable:
        """Return the plain values of many, in order."""
        return tuple([self(value) for value in values])

    def mapping(self, values: Any) -> Hashable:
        """Return the plain values of a dictionary, in the order of its keys."""
        pairs = [(self(key), value) for key, value in values.items()]
        pairs.sort(key=lambda pair: repr(pair[0]))
        return tuple([(key, self(value)) for key, value in pairs])

    def unordered(self, values: Iterable[Any]) -> Hashable:
        """Return the plain values of a set."""
        return tuple(sorted((self(value) for value in values), key=repr))

    def generator(self, steps: GeneratorType[Any, Any, Any]) -> Hashable:
        """Return where a generator stands, what it knows, and what it delegates to."""
        frame = steps.gi_frame
        if frame is None:
            return "ended"
        place = (steps.__qualname__, frame.f_lasti)
        known = tuple([(name, self(value)) for name, value in frame.f_locals.items()])
        return (*place, known, self(steps.gi_yieldfrom))


Handler = Callable[[Canon, Any], Hashable]

LEFT_OUT = frozenset({"next", "salt", "statistics", "users", "visited"})
"""Attributes that decide nothing but what leaves a full memory tier first."""


def _attributes(kind: type) -> Handler:
    """Return what looks at the attributes of an object, in `__slots__` and in `__dict__`."""
    slots = sorted(
        name
        for base in kind.__mro__
        for name in _as_tuple(base.__dict__.get("__slots__", ()))
        if not name.startswith("__") and name not in LEFT_OUT
    )

    def look(canon: Canon, value: Any) -> Hashable:
        named = [getattr(value, name, None) for name in slots]
        others = getattr(value, "__dict__", {})
        return (canon.each(named), canon.each(v for k, v in others.items() if k not in LEFT_OUT))

    return look


def _as_tuple(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _struct(kind: type) -> Handler:
    fields: tuple[str, ...] = kind.__struct_fields__  # type: ignore[attr-defined]
    return lambda canon, value: canon.each([getattr(value, name) for name in fields])


def _function(canon: Canon, value: Any) -> Hashable:
    cells = value.__closure__ or ()
    return (value.__qualname__, canon.each(cell.cell_contents for cell in cells))


def _method(canon: Canon, value: Any) -> Hashable:
    return (value.__name__, canon(value.__self__))


def _named(canon: Canon, value: Any) -> Hashable:
    return str(getattr(value, "__name__", ""))


def _nothing(canon: Canon, value: Any) -> Hashable:
    return None


_BY_BASE: tuple[tuple[type | tuple[type, ...], Handler], ...] = (
    (enum.Enum, lambda canon, value: value.name),
    ((dict, WeakValueDictionary), Canon.mapping),
    ((list, deque, tuple), Canon.each),
    ((set, frozenset, WeakSet), Canon.unordered),
    (GeneratorType, Canon.generator),
    (FunctionType, _function),
    ((MethodType, BuiltinMethodType), _method),
    (CellType, lambda canon, value: canon(value.cell_contents)),
    ((type, ModuleType), _named),
    ((*_LOCKS, ReferenceType, WeakKeyDictionary), _nothing),
    (BaseException, lambda canon, value: canon(value.args)),
    ((bytearray, memoryview), lambda canon, value: bytes(value)),
)


_known: dict[type, Handler] = {}


def _handler(kind: type) -> Handler:
    if kind not in _known:
        _known[kind] = _find_handler(kind)
    return _known[kind]


def _find_handler(kind: type) -> Handler:
    for base, handler in _BY_BASE:
        if issubclass(kind, base):
            return handler
    if issubclass(kind, Struct):
        return _struct(kind)
    if kind.__module__.partition(".")[0] in {"builtins", "_thread"}:
        raise TypeError(f"a state holds {kind!r}, of which no fingerprint can be taken")
    return _attributes(kind)
