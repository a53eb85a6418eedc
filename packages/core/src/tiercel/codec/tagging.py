"""Values to what msgpack carries exactly, with extension values for the rest; and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time
from itertools import chain
from typing import Any

from msgspec.msgpack import Decoder, Encoder, Ext

from tiercel.codec import tags
from tiercel.codec.plain import MAX_DEPTH, SCALARS
from tiercel.codec.shapes import Shape, shape_of

encode_plain = Encoder().encode

_DOUBTFUL = frozenset({int, str})
"""Scalars that msgpack does not always carry: ints beyond 64 bits, text with lone surrogates."""


class Tagger:
    """Replaces what msgpack does not carry exactly by extension values.

    Args:
        shapes: How to take apart the classes that may be stored.
        thorough: Whether to look at each int and each text; if not, `encode_plain` may raise
            OverflowError or UnicodeEncodeError.
    """

    def __init__(self, shapes: Mapping[type, Shape], *, thorough: bool) -> None:
        self._atoms = SCALARS - _DOUBTFUL if thorough else SCALARS
        self._shapes = shapes
        self._taggers: dict[type, Callable[[Any, int], Any]] = {
            list: self._tag_list,
            dict: self._tag_dict,
            tuple: lambda value, room: Ext(tags.TUPLE, encode_plain(self._items(value, room))),
            set: lambda value, room: Ext(tags.SET, encode_plain(self._items(value, room))),
            frozenset: lambda value, room: Ext(
                tags.FROZENSET, encode_plain(self._items(value, room))
            ),
            datetime: self._moment_tagger(tags.DATETIME),
            time: self._moment_tagger(tags.TIME),
            **{atom.type: _atom_tagger(atom) for atom in tags.ATOMS},
            **{kind.type: self._composite_tagger(kind) for kind in tags.COMPOSITES},
            **dict.fromkeys(shapes, self._tag_object),
        }
        for doubtful in _DOUBTFUL:
            self._taggers[doubtful] = _doubtful_tagger(self._taggers[doubtful])

    def tag(self, value: Any, room: int = MAX_DEPTH) -> Any:
        """Return what msgpack can carry for a value; `room` is how much deeper it may go."""
        if type(value) in self._atoms:
            return value
        tagger = self._taggers.get(type(value))
        if tagger is None:
            raise _unknown(type(value))
        if not room:
            raise too_deep()
        return tagger(value, room - 1)

    def _items(self, items: Iterable[Any], room: int) -> Iterable[Any]:
        atoms, tag = self._atoms, self.tag
        if atoms.issuperset(map(type, items)):
            return items
        return [item if type(item) in atoms else tag(item, room) for item in items]

    def _tag_list(self, value: list[Any], room: int) -> Any:
        if set(map(type, value)) == {tuple} and room:
            return Ext(tags.ROWS, encode_plain([self._items(row, room - 1) for row in value]))
        return self._items(value, room)

    def _tag_dict(self, value: dict[Any, Any], room: int) -> Any:
        atoms, tag = self._atoms, self.tag
        if atoms.issuperset(map(type, value)):
            return {k: v if type(v) in atoms else tag(v, room) for k, v in value.items()}
        flat = list(chain.from_iterable(value.items()))
        return Ext(tags.PAIRS, encode_plain(self._items(flat, room)))

    def _tag_object(self, value: Any, room: int) -> Ext:
        shape = self._shapes[type(value)]
        parts = self._items(shape.take(value), room)
        return Ext(tags.OBJECT, encode_plain([shape.fingerprint, *parts]))

    def _composite_tagger(self, kind: tags.Composite) -> Callable[[Any, int], Ext]:
        code, take = kind.code, kind.take
        return lambda value, room: Ext(code, encode_plain(self._items(take(value), room)))

    def _moment_tagger(self, code: int) -> Callable[[Any, int], Ext]:
        def tag(value: datetime | time, room: int) -> Ext:
            if tags.is_iso(value):
                return Ext(code, value.isoformat().encode())
            return Ext(tags.ZONED, encode_plain(self._items(tags.take_zoned(value), room)))

        return tag


def _atom_tagger(atom: tags.Atom) -> Callable[[Any, int], Any]:
    code, dump = atom.code, atom.dump
    return lambda value, _: Ext(code, dump(value))


def _doubtful_tagger(tagger: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    def tag(value: Any, room: int) -> Any:
        try:
            encode_plain(value)
        except (OverflowError, UnicodeEncodeError):
            return tagger(value, room)
        return value

    return tag


def reader(shapes: Mapping[bytes, Shape]) -> Callable[[bytes | memoryview], Any]:
    """Return a function that reads what a `Tagger` made; bytes that it did not may raise anything.

    Args:
        shapes: How to put together the classes that may be read, by their fingerprints.
    """
    loaders: dict[int, Callable[[memoryview], Any]] = {}

    def hook(code: int, data: memoryview) -> Any:
        return loaders[code](data)

    def load_object(data: memoryview) -> Any:
        fingerprint, *parts = parts_of(data)
        return shapes[fingerprint].make(parts)

    def from_parts(make: Callable[..., Any]) -> Callable[[memoryview], Any]:
        return lambda data: make(*parts_of(data))

    parts_of = Decoder(list[Any], ext_hook=hook).decode
    loaders.update({kind.code: from_parts(kind.make) for kind in tags.COMPOSITES})
    loaders.update({atom.code: atom.load for atom in tags.ATOMS})
    loaders.update(
        {
            tags.OBJECT: load_object,
            tags.PAIRS: from_parts(lambda *flat: dict(zip(flat[::2], flat[1::2], strict=True))),
            tags.TUPLE: Decoder(tuple[Any, ...], ext_hook=hook).decode,
            tags.SET: Decoder(set[Any], ext_hook=hook).decode,
            tags.FROZENSET: Decoder(frozenset[Any], ext_hook=hook).decode,
            tags.ROWS: Decoder(list[tuple[Any, ...]], ext_hook=hook).decode,
            tags.DATETIME: tags.load_datetime,
            tags.TIME: tags.load_time,
            tags.ZONED: from_parts(tags.make_zoned),
        }
    )
    return Decoder(ext_hook=hook).decode


def qualified_name(cls: type) -> str:
    """Return module and name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def too_deep() -> TypeError:
    """Return the error for values that recursion cannot master."""
    return TypeError(
        f"codec 'safe' cannot store a value that contains itself or nests deeper than {MAX_DEPTH}: "
        "flatten it, or use codec='pickle'"
    )


def _unknown(cls: type) -> TypeError:
    if cls.__module__ != "builtins" and shape_of(cls) is not None:
        fix = "annotate the function's return type so that it names this class"
    else:
        fix = "return plain data or an annotated dataclass"
    return TypeError(
        f"codec 'safe' cannot store {qualified_name(cls)}: {fix}, or use codec='pickle'"
    )
