"""How each builtin type beyond plain msgpack is written: one extension code per type.

Codes are a wire format: never reuse or renumber one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

T = TypeVar("T")

_OF_PYDANTIC = "pydantic_core._pydantic_core"

OBJECT = 0
TUPLE, SET, FROZENSET, ROWS, PAIRS = 1, 2, 3, 4, 5
DATETIME, TIME, ZONED = 6, 7, 8


@dataclass(frozen=True, slots=True)
class Atom:
    """A type whose values are written as bytes."""

    code: int
    type: type
    dump: Callable[[Any], bytes]
    load: Callable[[memoryview], Any]


@dataclass(frozen=True, slots=True)
class Composite:
    """A type whose values are written as a few other values."""

    code: int
    type: type
    take: Callable[[Any], Sequence[Any]]
    make: Callable[..., Any]


def _dump_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _dump_zone(zone: ZoneInfo) -> bytes:
    if zone.key is None:
        raise TypeError(
            "codec 'safe' cannot store a ZoneInfo without a key: build it with ZoneInfo(name)"
        )
    return zone.key.encode()


def _load_zone(data: memoryview) -> ZoneInfo:
    key = str(data, "ascii")
    # ZoneInfo looks for unknown keys in the package tzdata, by importing: no dots, no tricks.
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", key):
        raise ValueError("not the name of a time zone")
    return ZoneInfo(key)


def _take_timezone(zone: timezone) -> Sequence[Any]:
    offset, name = zone.utcoffset(None), zone.tzname(None)
    return (offset,) if name == timezone(offset).tzname(None) else (offset, name)


def _from_text(load: Callable[[str], T]) -> Callable[[memoryview], T]:
    return lambda data: load(str(data, "ascii"))


load_datetime = _from_text(datetime.fromisoformat)
load_time = _from_text(time.fromisoformat)


@dataclass(frozen=True, slots=True)
class ParsedZone:
    """Stands for the time zone of times that pydantic has read from texts."""

    seconds: int


def _load_parsed_zone(seconds: int) -> Any:
    return import_module("pydantic_core").TzInfo(seconds)


def is_iso(moment: datetime | time) -> bool:
    """Tell whether ISO text is all there is to a time: no zone but UTC, no fold."""
    return (moment.tzinfo is None or moment.tzinfo is UTC) and not moment.fold


def take_zoned(moment: datetime | time) -> Sequence[Any]:
    """Return the parts of a time that has more to it."""
    zone: Any = moment.tzinfo
    if type(zone).__module__ == _OF_PYDANTIC:
        zone = ParsedZone(int(zone.utcoffset(None).total_seconds()))
    return (moment.replace(tzinfo=None, fold=0), moment.fold, zone)


def make_zoned(moment: datetime | time, fold: int, zone: tzinfo | None) -> datetime | time:
    """Undo `take_zoned`."""
    return moment.replace(fold=fold, tzinfo=zone)


_COMPLEX = struct.Struct("<dd")

ATOMS = (
    Atom(16, int, _dump_int, lambda data: int.from_bytes(data, "big", signed=True)),
    Atom(
        17,
        str,
        lambda value: value.encode("utf-8", "surrogatepass"),
        lambda data: str(data, "utf-8", "surrogatepass"),
    ),
    Atom(18, bytearray, bytes, bytearray),
    Atom(19, date, lambda value: value.isoformat().encode(), _from_text(date.fromisoformat)),
    Atom(20, Decimal, lambda value: str(value).encode(), _from_text(Decimal)),
    Atom(
        21,
        complex,
        lambda value: _COMPLEX.pack(value.real, value.imag),
        lambda data: complex(*_COMPLEX.unpack(data)),
    ),
    Atom(22, UUID, lambda value: value.bytes, lambda data: UUID(bytes=bytes(data))),
    Atom(23, ZoneInfo, _dump_zone, _load_zone),
)

_PATHS: dict[str, type[PurePath]] = {
    cls.__name__: cls for cls in (PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
}


def _path(cls: type[PurePath], code: int) -> Composite:
    return Composite(
        code,
        cls,
        lambda value: (type(value).__name__, str(value)),
        lambda name, text: _PATHS[name](text),
    )


COMPOSITES = (
    Composite(
        32,
        timedelta,
        lambda value: (value.days, value.seconds, value.microseconds),
        timedelta,
    ),
    Composite(33, timezone, _take_timezone, timezone),
    Composite(34, Fraction, lambda value: (value.numerator, value.denominator), Fraction),
    Composite(35, range, lambda value: (value.start, value.stop, value.step), range),
    *(_path(cls, 36) for cls in _PATHS.values()),
    Composite(37, ParsedZone, lambda value: (value.seconds,), _load_parsed_zone),
)
