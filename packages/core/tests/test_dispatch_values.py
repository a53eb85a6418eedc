"""Values in tasks: they come back exactly, and nothing that is read can do harm."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntFlag
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.dispatch.arguments import pack_call, shapes_of, unpack_call
from tiercel.dispatch.values import Gone, pack, unpack
from tiercel.plugins import Registry, hookimpl, set_default_registry
from tiercel.spi import SPI_VERSION, Integration, IntegrationSpec

ZONES = st.sampled_from(
    [None, UTC, timezone(timedelta(hours=-3, minutes=30)), ZoneInfo("Asia/Tokyo")]
)
TAGS = [
    *("$tuple", "$set", "$dict", "$int", "$Decimal", "$object", "$ZoneInfo", "$zoned", "$str"),
    *("$range", "$UUID", "$datetime", "$timezone", "$shop.row", "$nobody.x", "$bytes", "$float"),
]

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.times(),
    st.datetimes(timezones=ZONES),
    st.timedeltas(),
    st.uuids(),
    st.fractions(),
    st.complex_numbers(allow_nan=False),
    st.builds(bytearray, st.binary()),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 4)),
    st.builds(PurePosixPath, st.sampled_from(["a", "/tmp/x", "."])),
)
hashable = st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.dates(), st.uuids())
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(), inner, max_size=4),
        st.dictionaries(st.one_of(hashable, st.tuples(hashable)), inner, max_size=4),
        st.sets(hashable, max_size=4),
        st.frozensets(hashable, max_size=4),
    ),
    max_leaves=12,
)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def identical(left: Any, right: Any) -> bool:
    """Tell whether two values are equal and of the same types throughout."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(identical, left, right))
    if isinstance(left, dict):
        return identical(list(left.items()), list(right.items()))
    if isinstance(left, float):
        return bool(left.hex() == right.hex())
    if isinstance(left, datetime | time):
        return (repr(left), left.fold) == (repr(right), right.fold)
    if isinstance(left, set | frozenset):
        return sorted(map(repr, left)) == sorted(map(repr, right))
    return repr(left) == repr(right)


@settings(max_examples=400, deadline=None)
@given(values)
def test_value_when_carried_comes_back_exactly(value: Any) -> None:
    """Whatever can be carried is the same afterwards, to the type of each part."""
    assert identical(unpack(through_json(pack(value, "it"))), value)


@pytest.mark.parametrize(
    "value",
    [
        True,
        1,
        1.0,
        -0.0,
        2**63,
        -(2**70),
        math.inf,
        "\ud800",
        "$tuple",
        {"$tuple": [1]},
        {"$": 1, "a": 2},
        {1: "a", "1": "b"},
        {(1, (2,)): {b"x"}},
        (),
        {},
        Decimal("1.00"),
        Decimal("sNaN"),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
        Fraction(1, 3),
        UUID(int=7),
        date(1, 1, 1),
    ],
)
def test_value_when_json_would_blur_it_keeps_its_type(value: Any) -> None:
    """What plain JSON confuses or cannot say is told apart."""
    back = unpack(through_json(pack(value, "it")))
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_nan_when_carried_is_nan() -> None:
    """A float that equals nothing comes back as one."""
    assert math.isnan(unpack(through_json(pack(math.nan, "it"))))


class Colour(Enum):
    RED = 1


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class Money:
    cents: int
    colour: Colour = Colour.RED


class Plain:
    pass


def priced(money: Money, *points: Point, colour: Colour, rights: Rights | None = None) -> None:
    """A function whose annotations name classes."""


def test_arguments_when_annotations_name_classes_may_be_instances_of_these() -> None:
    """Enums, dataclasses and named tuples travel as what the function says that it takes."""
    args = (Money(3), Point(1, 2))
    kwargs = {"colour": Colour.RED, "rights": Rights.READ | Rights.WRITE}
    payload = through_json(pack_call("shop:priced", priced, args, kwargs))
    assert unpack_call(priced, payload) == (args, kwargs)
    assert set(shapes_of(priced)) == {Money, Point, Colour, Rights}


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((Plain(),), {}, r"argument 'money' of shop:priced .*test_dispatch_values\.Plain"),
        ((Money(1), Plain()), {}, r"argument '\*points' of shop:priced"),
        ((), {"colour": {"deep": [Plain]}}, r"argument 'colour' of shop:priced .* builtins\.type"),
        ((ZoneInfo.from_file,), {}, r"argument 'money'"),
    ],
)
def test_argument_when_it_cannot_be_carried_is_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> None:
    """The error says which argument of which function, and its type."""
    with pytest.raises(TypeError, match=text):
        pack_call("shop:priced", priced, args, kwargs)


def test_value_when_it_contains_itself_is_refused() -> None:
    """Endless nesting is an error, not a crash."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TypeError, match=r"argument 'x' cannot be carried .* contains itself"):
        pack(endless, "argument 'x'")


def test_subclass_when_carried_is_refused() -> None:
    """A subclass of a builtin would come back as something else."""

    class Text(str):
        __slots__ = ()

    with pytest.raises(TypeError, match="Text"):
        pack(Text("a"), "it")


class Row:
    def __init__(self, pk: int) -> None:
        self.pk = pk


class Shop(Integration):
    """Carries rows by their primary key."""

    name = "shop"

    def pack(self, value: object) -> tuple[str, Any] | None:
        if not isinstance(value, Row):
            return None
        return ("shop.row" if value.pk else "other.row", (value.pk, b"key"))

    def unpack(self, tag: str, data: Any) -> Any:
        assert tag == "shop.row"
        assert data[1] == b"key"
        if data[0] == 404:
            raise LookupError("no row 404")
        return Row(data[0])


@pytest.fixture
def shop() -> Iterator[None]:
    """Install an integration that carries its rows."""

    class Plugin:
        @hookimpl
        def tiercel_integrations(self) -> list[IntegrationSpec]:
            return [IntegrationSpec("shop", Shop, SPI_VERSION)]

    registry = Registry()
    registry.register(Plugin())
    set_default_registry(registry)
    yield
    set_default_registry(None)


def test_value_of_a_framework_when_carried_is_its_integrations(shop: None) -> None:
    """An integration takes its values apart, and makes them again."""
    back = unpack(through_json(pack({"rows": [Row(5)]}, "it")))
    assert type(back["rows"][0]) is Row
    assert back["rows"][0].pk == 5


def test_value_of_a_framework_when_it_is_gone_says_so(shop: None) -> None:
    """A row that was deleted meanwhile is a case of its own."""
    with pytest.raises(Gone, match="no row 404"):
        unpack(through_json(pack(Row(404), "it")))


def test_integration_when_it_uses_a_foreign_tag_is_refused(shop: None) -> None:
    """Tags carry the name of the integration that can read them."""
    with pytest.raises(TypeError, match=r"integration 'shop' .* 'other\.row'"):
        pack(Row(0), "it")


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(), inner, max_size=3),
        st.dictionaries(st.sampled_from(TAGS), inner, max_size=2),
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(json_values)
def test_data_when_forged_raises_or_gives_a_value(data: Any) -> None:
    """No data that JSON can hold does more than to raise an ordinary exception."""
    with suppress(ArithmeticError, LookupError, TypeError, ValueError, AttributeError, OSError):
        unpack(data, shapes_of(priced))
