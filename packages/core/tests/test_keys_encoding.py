"""The text of single values, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import gc
import math
import subprocess
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from decimal import Decimal, localcontext
from enum import Enum, IntFlag, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Network
from pathlib import PurePosixPath, PureWindowsPath
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import numpy as np
import pydantic
import pytest

from tiercel.contracts.key_field import ABSENT
from tiercel.errors import UnkeyableValue
from tiercel.keys.encoding import Encoders

MODULE = __name__
TEXT = Encoders().text
PARIS = ZoneInfo("Europe/Paris")
read = pydantic.TypeAdapter(dt.datetime).validate_python


class Color(Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796


class Shade(StrEnum):
    DARK = "dark"


class Access(IntFlag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Line:
    length: int
    note: str = dataclasses.field(default="", compare=False)


@attrs.define
class Box:
    width: int
    cache: object = attrs.field(default=None, eq=False)


class Model(pydantic.BaseModel):
    name: str
    _secret: int = pydantic.PrivateAttr(default=1)


class Open(pydantic.BaseModel, extra="allow"):
    name: str


class Record(msgspec.Struct):
    size: int


class More(Line):
    """Inherits its fields and has an attribute besides."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.more = length


class MorePoint(Point):
    """Has an attribute besides its items."""

    def __init__(self, x: int, y: int) -> None:
        self.more = x + y


class User:
    def __init__(self, pk: int) -> None:
        self.pk = pk

    def __cache_key__(self) -> object:
        return self.pk


class Bare:
    """Has nothing but an address."""


class Text(str):
    """A subclass of a plain type."""

    __slots__ = ()


@dataclasses.dataclass(eq=False)
class Rich(list[int]):
    """Its fields do not tell all of it."""

    title: str


def top_level() -> None:
    """Has a name."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (42, "42"),
        (-7, "-7"),
        (1.5, "1.5"),
        (-0.0, "-0.0"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (1e16, "1e+16"),
        (complex(1, -0.0), "complex(1.0,-0.0)"),
        ("bob", "'bob"),
        ("", "'"),
        ("a b:é", "'a%20b%3A%C3%A9"),
        ("\ud800", "'%ED%A0%80"),
        (b"raw\x00", "b'raw%00"),
        (dt.date(2024, 2, 29), "date(2024-02-29)"),
        (dt.time(12, 30, 0, 5), "time(123000.000005)"),
        (dt.datetime(2024, 2, 29, 12), "datetime(2024-02-29T120000)"),
        (dt.datetime(2024, 2, 29, tzinfo=dt.UTC), "datetime(2024-02-29T000000+0000)"),
        (
            dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=PARIS),
            "datetime(2024-10-27T023000+0100,Europe/Paris,fold=1)",
        ),
        (
            dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "X")),
            "datetime(2024-01-01T000000+0100,'X)",
        ),
        (dt.timedelta(days=1, seconds=2), "timedelta(1,2,0)"),
        (dt.UTC, "timezone(timedelta(0,0,0))"),
        (dt.timezone(dt.timedelta(hours=1), "X"), "timezone(timedelta(0,3600,0),'X)"),
        (PARIS, "ZoneInfo(Europe/Paris)"),
        (read("2024-01-01T00:00:00Z"), "datetime(2024-01-01T000000+0000)"),
        (read("2024-01-01T00:00:00+02:00"), "datetime(2024-01-01T000000+0200,'+02%3A00)"),
        (IPv4Address("10.0.0.1"), "IPv4Address(10.0.0.1)"),
        (IPv6Network("2001:db8::/32"), "IPv6Network(2001%3Adb8%3A%3A/32)"),
        (pydantic.HttpUrl("http://a/b"), "HttpUrl(http%3A//a/b)"),
        (Decimal("1.00"), "Decimal(1.00)"),
        (Fraction(1, -3), "Fraction(-1/3)"),
        (UUID(int=1), "UUID(00000000-0000-0000-0000-000000000001)"),
        (PurePosixPath("a/b c"), "PurePosixPath(a/b%20c)"),
        (PureWindowsPath("a"), "PureWindowsPath(a)"),
        (range(3), "range(0,3,1)"),
        ((), "()"),
        ((1,), "(1)"),
        ([1, "a"], "[1,'a]"),
        ({"b": 1, 2: "a"}, "dict('b=1,2='a)"),
        ({2: "a", "b": 1}, "dict('b=1,2='a)"),
        (OrderedDict(b=1, a=2), "OrderedDict('b=1,'a=2)"),
        (MappingProxyType({"a": 1}), "mappingproxy(dict('a=1))"),
        ({2, 1}, "set(1,2)"),
        (frozenset(), "frozenset()"),
        (Color.CRIMSON, f"{MODULE}/Color(RED)"),
        (Shade.DARK, f"{MODULE}/Shade(DARK)"),
        (Access.READ | Access.WRITE, f"{MODULE}/Access(3)"),
        (Point(1, 2), f"{MODULE}/Point(x=1,y=2)"),
        (Line(3, "left out"), f"{MODULE}/Line(length=3)"),
        (Box(4, object()), f"{MODULE}/Box(width=4)"),
        (Model(name="a"), f"{MODULE}/Model(dict('name='a),None,dict('_secret=1))"),
        (
            Open.model_validate({"name": "a", "b": 1}),
            f"{MODULE}/Open(dict('name='a),dict('b=1),None)",
        ),
        (Record(5), f"{MODULE}/Record(size=5)"),
        (User(6), f"{MODULE}/User(6)"),
        (np.int64(7), "numpy.int64(7)"),
        (np.float32(0.5), "numpy.float32(0.5)"),
        (np.bool_(True), "numpy.bool(True)"),
        (np.datetime64("2024-01-01"), "numpy.datetime64%5BD%5D(19723)"),
        (np.str_("a"), "numpy.str_('a)"),
        (int, "class(builtins/int)"),
        (User, f"class({MODULE}/User)"),
        (top_level, f"function({MODULE}/top_level)"),
        (len, "function(builtins/len)"),
        (ABSENT, "absent"),
    ],
)
def test_text_of_a_known_value_is_legible(value: object, text: str) -> None:
    """Every known type has one text that a person can read."""
    assert TEXT(value) == text


def test_text_of_huge_integers_does_not_depend_on_the_digit_limit() -> None:
    """Python refuses to print huge integers, by a limit that processes set differently."""
    value = -(10**5000) - 7
    text = TEXT(value)
    assert text.startswith("-1000")
    assert text.endswith("0007")
    assert len(text) == 5002


def test_text_of_decimals_does_not_depend_on_the_context() -> None:
    """The case of the exponent is a setting of the thread."""
    with localcontext() as context:
        context.capitals = 0
        lower = TEXT(Decimal("1E+9"))
    assert lower == TEXT(Decimal("1E+9"))


def _closure() -> Callable[[], object]:
    value = object()
    return lambda: value


def _cyclic() -> list[object]:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


ADDRESS = (
    "nothing but its address in memory identifies it; "
    "give its class a __cache_key__() method or register an encoder"
)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), f"argument 'x' cannot be part of a key: object: {ADDRESS}"),
        (Bare(), f"argument 'x' cannot be part of a key: {MODULE}:Bare: {ADDRESS}"),
        (
            [1, {"a": Bare()}],
            f"argument 'x' cannot be part of a key: inside this list, {MODULE}:Bare: {ADDRESS}",
        ),
        (
            Text("a"),
            (
                f"argument 'x' cannot be part of a key: {MODULE}:Text: it is a subclass of str, "
                "which may hold more than a str; convert it to str or give it a __cache_key__() "
                "method"
            ),
        ),
        (
            defaultdict(int),
            (
                "argument 'x' cannot be part of a key: collections:defaultdict: it is a subclass "
                "of dict, which may hold more than a dict; convert it to dict or give it a "
                "__cache_key__() method"
            ),
        ),
        (
            _cyclic(),
            (
                "argument 'x' cannot be part of a key: this list contains itself or is nested too "
                "deeply; pass plain data without cycles"
            ),
        ),
        (
            _closure(),
            (
                "argument 'x' cannot be part of a key: function: the function "
                "_closure.<locals>.<lambda> cannot be found by its name, as lambdas, closures and "
                "bound methods cannot; pass a function that is defined at the top level of a module"
            ),
        ),
    ],
)
def test_text_of_an_unknown_value_raises_with_name_type_and_fix(
    value: object, message: str
) -> None:
    """The message names the argument, what is wrong with its type, and what to do."""
    with pytest.raises(UnkeyableValue) as caught:
        TEXT(value, "argument 'x'")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "value",
    [
        iter([1]),
        (each for each in [1]),
        [].append,
        User(1).__cache_key__,
        functools.partial(top_level),
        SimpleNamespace(a=1),
        sys,
        More(1),
        MorePoint(1, 2),
        bytearray(b"a"),
        memoryview(b"a"),
        np.array([1]),
        np.longdouble(1),
        Rich("title"),
        MappingProxyType(MappingProxyType({})),
        dt.datetime(
            2024, 1, 1, tzinfo=type("Zone", (dt.tzinfo,), {"utcoffset": lambda *_: None})()
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_text_of_values_that_may_hold_more_than_meets_the_eye_is_refused(value: object) -> None:
    """What cannot be told apart by its parts has no text."""
    if type(value) is MappingProxyType:
        assert TEXT(value) == "mappingproxy(dict())"
        return
    with pytest.raises(UnkeyableValue):
        TEXT(value)


def _make_local(value: int) -> Any:
    @dataclasses.dataclass
    class Local:
        number: int

    return Local(value)


def test_text_of_a_local_class_is_refused_while_another_of_its_name_lives() -> None:
    """Two living classes of one name would share entries."""
    encoders = Encoders()
    first = _make_local(1)
    assert encoders.text(first).endswith("_make_local.%3Clocals%3E.Local(number=1)")
    second = _make_local(1)
    with pytest.raises(UnkeyableValue, match="another class has the same name"):
        encoders.text(second)
    del first
    gc.collect()
    assert encoders.text(second).endswith("Local(number=1)")


def test_sorting_lists_ignores_their_order_only() -> None:
    """Lists and tuples stay different, and so do their items."""
    text = Encoders().sorting_lists.text
    assert text([3, [2, 1]]) == text([[1, 2], 3])
    assert text((2, 1)) == text((1, 2))
    assert text([1, 2]) != text((1, 2))
    assert text([1, 1, 2]) != text([1, 2])


def test_encoding_imports_no_optional_library() -> None:
    """numpy, attrs and pydantic are recognised without being imported."""
    code = (
        "import sys; from tiercel.keys.encoding import ENCODERS; ENCODERS.text([1, 'a', None]);"
        "print({'numpy', 'attr', 'pydantic', 'django'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
