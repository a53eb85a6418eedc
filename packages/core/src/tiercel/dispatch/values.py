"""Values in tasks: JSON that gives back exactly what was put in.

What JSON carries exactly stands there as it is. Everything else becomes an object with one name
that begins with `$`. The types are those of the safe codec; frameworks add theirs. Reading never
imports a module, and reaches no class but those it was told of.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time
from typing import Any, Final

from tiercel.codec import tags
from tiercel.codec.plain import MAX_DEPTH
from tiercel.codec.shapes import Shape
from tiercel.plugins import default_registry

Shapes = Mapping[type, Shape]
"""How instances of classes are taken apart, those that a function's annotations name."""

_EXACT: Final = frozenset({type(None), bool, str})
_BIGGEST: Final = 2**63
_TEXTUAL: Final = frozenset({"date", "Decimal", "ZoneInfo"})
_SEQUENCES: Final[Mapping[str, Callable[[Iterable[Any]], Any]]] = {
    kind.__name__: kind for kind in (tuple, set, frozenset)
}
_ATOMS: Final = {atom.type: atom for atom in tags.ATOMS if atom.type is not str}
_COMPOSITES: Final = {kind.type: kind for kind in tags.COMPOSITES}
_ATOM_NAMES: Final = {kind.__name__: atom for kind, atom in _ATOMS.items()}
_COMPOSITE_NAMES: Final = {kind.__name__: each for kind, each in _COMPOSITES.items()}


class Gone(LookupError):
    """What a value stood for, such as a row of a database, does not exist any more."""


def pack(value: Any, what: str, shapes: Shapes | None = None) -> Any:
    """Return what JSON carries exactly for a value.

    Args:
        value: Builtin values as the safe codec knows them, what an integration packs, and
            instances of the classes in `shapes`, nested at will.
        what: Names the value in errors.
        shapes: The classes that `unpack` will be told of, too.

    Raises:
        TypeError: The value, or one in it, has another type.
    """
    try:
        return _Packer(shapes or {}).pack(value, MAX_DEPTH)
    except _Unknown as error:
        raise TypeError(f"{what} cannot be carried by a task: {error}") from error.__cause__


def unpack(data: Any, shapes: Shapes | None = None) -> Any:
    """Undo `pack`; data that it did not make may raise anything.

    Raises:
        Gone: What an integration is to look up does not exist any more.
    """
    by_fingerprint = {shape.fingerprint: shape for shape in (shapes or {}).values()}
    return _Unpacker(by_fingerprint).unpack(data, MAX_DEPTH)


class _Unknown(Exception):
    """A value that no task can carry."""


class _Packer:
    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def pack(self, value: Any, room: int) -> Any:
        kind = type(value)
        if kind in _EXACT:
            return value
        if kind is int and -_BIGGEST <= value < _BIGGEST:
            return value
        if kind is float and math.isfinite(value):
            return value
        if not room:
            raise _Unknown(f"it contains itself, or nests deeper than {MAX_DEPTH}")
        if kind is list:
            return self._all(value, room)
        if kind is dict and all(type(key) is str and key[:1] != "$" for key in value):
            return {key: self.pack(each, room - 1) for key, each in value.items()}
        name, data = self._tagged(kind, value, room - 1)
        return {f"${name}": data}

    def _all(self, values: Iterable[Any], room: int) -> list[Any]:
        return [self.pack(each, room - 1) for each in values]

    def _tagged(self, kind: type, value: Any, room: int) -> tuple[str, Any]:
        name = kind.__name__
        if kind is dict:
            return name, [self._all(pair, room) for pair in value.items()]
        if kind is float:
            return name, repr(value)
        if kind is bytes:
            return name, b64encode(value).decode()
        if _SEQUENCES.get(name) is kind:
            return name, self._all(value, room)
        if kind in (datetime, time):
            if tags.is_iso(value):
                return name, value.isoformat()
            return "zoned", self._all(tags.take_zoned(value), room)
        try:
            return self._taken_apart(kind, value, room)
        except TypeError as error:
            raise _Unknown(str(error)) from error

    def _taken_apart(self, kind: type, value: Any, room: int) -> tuple[str, Any]:
        name = kind.__name__
        if kind in _ATOMS:
            dumped = _ATOMS[kind].dump(value)
            return name, dumped.decode() if name in _TEXTUAL else b64encode(dumped).decode()
        if kind in _COMPOSITES:
            return name, self._all(_COMPOSITES[kind].take(value), room)
        shape = self._shapes.get(kind)
        if shape is not None:
            return "object", [shape.fingerprint.hex(), *self._all(shape.take(value), room)]
        tag, data = _packed_by_integration(value)
        return tag, self.pack(data, room)


def _packed_by_integration(value: Any) -> tuple[str, Any]:
    for name, integration in default_registry().integrations.items():
        packed = integration.pack(value)
        if packed is None:
            continue
        if not packed[0].startswith(f"{name}."):
            raise TypeError(f"integration {name!r} packed it under a foreign tag, {packed[0]!r}")
        return packed
    kind = type(value)
    raise _Unknown(
        f"its type {kind.__module__}.{kind.__qualname__} is not one that is given back exactly; "
        "pass plain data, or annotate the parameter with this class if it is an enum or dataclass"
    )


class _Unpacker:
    def __init__(self, shapes: Mapping[bytes, Shape]) -> None:
        self._shapes = shapes

    def unpack(self, data: Any, room: int) -> Any:
        if not room:
            raise ValueError("too deep")
        if type(data) is list:
            return self._all(data, room)
        if type(data) is not dict:
            return data
        tagged = [name for name in data if name[:1] == "$"]
        if not tagged:
            return {name: self.unpack(each, room - 1) for name, each in data.items()}
        (name,) = data
        return self._made(name[1:], data[name], room - 1)

    def _all(self, data: list[Any], room: int) -> list[Any]:
        return [self.unpack(each, room - 1) for each in data]

    def _made(self, name: str, data: Any, room: int) -> Any:
        if "." in name:
            return self._by_integration(name, self.unpack(data, room))
        if type(data) is str:
            return _from_text(name, data)
        if type(data) is not list:
            raise ValueError("neither text nor parts")
        if name == "dict":
            return dict(self._all(pair, room) for pair in data)
        if name == "object":
            return self._shapes[bytes.fromhex(data[0])].make(self._all(data[1:], room))
        parts = self._all(data, room)
        if name in _SEQUENCES:
            return _SEQUENCES[name](parts)
        if name == "zoned":
            return tags.make_zoned(*parts)
        return _COMPOSITE_NAMES[name].make(*parts)

    def _by_integration(self, tag: str, data: Any) -> Any:
        integration = default_registry().integrations[tag.partition(".")[0]]
        try:
            return integration.unpack(tag, data)
        except LookupError as error:
            raise Gone(f"{tag}: {error}") from error


def _from_text(name: str, data: str) -> Any:
    if name == "float":
        return float(data)
    if name == "bytes":
        return b64decode(data, validate=True)
    if name == "datetime":
        return datetime.fromisoformat(data)
    if name == "time":
        return time.fromisoformat(data)
    dumped = data.encode("ascii") if name in _TEXTUAL else b64decode(data, validate=True)
    return _ATOM_NAMES[name].load(memoryview(dumped))
