"""The text of values that hold no other values."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tiercel.contracts.key_field import Absent
from tiercel.keys.escape import escape, escape_bytes, quote
from tiercel.keys.names import Refused, class_text, describe, function_text

_CHUNK_DIGITS: Final = 600
_CHUNK: Final = 10**_CHUNK_DIGITS


def int_text(value: int) -> str:
    """Decimal digits, also beyond `sys.set_int_max_str_digits`, which differs between processes."""
    if -_CHUNK < value < _CHUNK:
        return str(value)
    sign, rest, chunks = "-" if value < 0 else "", abs(value), list[str]()
    while rest >= _CHUNK:
        rest, chunk = divmod(rest, _CHUNK)
        chunks.append(str(chunk).zfill(_CHUNK_DIGITS))
    return sign + str(rest) + "".join(reversed(chunks))


def _complex(value: complex) -> str:
    return f"complex({float.__repr__(value.real)},{float.__repr__(value.imag)})"


def _date(value: dt.date) -> str:
    return f"date({value.isoformat()})"


def _moment(value: dt.datetime | dt.time) -> str:
    """ISO 8601, the time without separators; the zone by name, since offsets do not tell it."""
    iso = value.isoformat().replace(":", "")
    fold = ",fold=1" if value.fold else ""
    return f"{type(value).__name__}({iso}{_zone(value)}{fold})"


def _zone(value: dt.datetime | dt.time) -> str:
    zone = value.tzinfo
    if zone is None:
        return ""
    if type(zone) is dt.timezone:
        return _given_name(zone)
    if type(zone) is ZoneInfo and zone.key is not None:
        return f",{escape(zone.key)}"
    if type(zone).__module__.partition(".")[0] == "pydantic_core":
        return _given_name(zone)  # an offset, as that of datetime.timezone
    if type(zone).__module__.partition(".")[0] == "pytz":
        return f",pytz({escape(str(zone))})"
    raise Refused(
        type(zone),
        f"the time zone {describe(type(zone))} has no name that means the same everywhere",
        "use zoneinfo.ZoneInfo or datetime.timezone, or convert to UTC first",
    )


def _given_name(zone: dt.tzinfo) -> str:
    default = dt.timezone(zone.utcoffset(None) or dt.timedelta()).tzname(None)
    named = zone.tzname(None) or ""
    return "" if named == default else f",{quote(named)}"


def _timezone(value: dt.timezone) -> str:
    return f"timezone({_timedelta(value.utcoffset(None))}{_given_name(value)})"


def _zone_info(value: ZoneInfo) -> str:
    if value.key is None:
        raise Refused(ZoneInfo, "it was read from a file without a key", "use ZoneInfo(name)")
    return f"ZoneInfo({escape(value.key)})"


def _timedelta(value: dt.timedelta) -> str:
    return f"timedelta({value.days},{value.seconds},{value.microseconds})"


def _decimal(value: Decimal) -> str:
    # The case of the exponent depends on the context of the thread.
    return f"Decimal({str(value).upper()})"


def _fraction(value: Fraction) -> str:
    return f"Fraction({int_text(value.numerator)}/{int_text(value.denominator)})"


def _range(value: range) -> str:
    return f"range({int_text(value.start)},{int_text(value.stop)},{int_text(value.step)})"


SCALARS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "None",
    Absent: lambda _: "absent",
    bool: lambda value: "True" if value else "False",
    int: int_text,
    float: float.__repr__,
    complex: _complex,
    str: quote,
    bytes: lambda value: "b'" + escape_bytes(value),
    dt.date: _date,
    dt.time: _moment,
    dt.datetime: _moment,
    dt.timedelta: _timedelta,
    dt.timezone: _timezone,
    ZoneInfo: _zone_info,
    Decimal: _decimal,
    Fraction: _fraction,
    UUID: lambda value: f"UUID({value})",
    range: _range,
}


def path_text(value: PurePath) -> str:
    """The text of an instance of one of pathlib's own classes."""
    return f"{type(value).__name__}({escape(str(value))})"


def written_text(value: object) -> str:
    """The text of an address or a URL."""
    return f"{type(value).__name__}({escape(str(value))})"


def class_value_text(value: type) -> str:
    """The text of a class that is itself the value."""
    return f"class({class_text(value)})"


def function_value_text(value: Any) -> str:
    """The text of a function."""
    return f"function({function_text(value)})"


def numpy_text(value: Any) -> str:
    """The text of a numpy scalar: the name of its type with its unit, and the plain value."""
    if value.dtype.kind in "mM":
        unit = escape(value.dtype.name)
        return f"numpy.{unit}({int_text(int(value.astype('int64')))})"
    plain = value.item()
    if type(plain) not in SCALARS:
        raise Refused(type(value), "numpy cannot turn it into a plain value", "pass a plain value")
    return f"numpy.{type(value).__name__}({SCALARS[type(plain)](plain)})"


def is_numpy_scalar(kind: type) -> bool:
    """Whether a type is one of numpy's own scalars; false while numpy is not imported."""
    generic = getattr(sys.modules.get("numpy"), "generic", None)
    return generic is not None and issubclass(kind, generic) and kind.__module__ == "numpy"
