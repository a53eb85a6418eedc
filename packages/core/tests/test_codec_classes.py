"""The safe codec restores a project's own classes where the return annotation names them."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
import textwrap
from collections import namedtuple
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum, auto
from ipaddress import IPv4Address, IPv6Network
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.codec import SafeCodec
from tiercel.errors import ConfigurationError, Undecodable

T = TypeVar("T")


class Colour(Enum):
    RED = 1
    ROUGE = 1  # noqa: PIE796
    BLUE = (1, 2)


class Level(IntEnum):
    LOW = 1


class Name(StrEnum):
    ADA = "ada"


class Rights(Flag):
    READ = auto()
    WRITE = auto()


class Point(NamedTuple):
    x: int
    colour: Colour = Colour.RED


Plain = namedtuple("Plain", "a b")


@dataclass
class Address:
    street: str
    points: tuple[Point, ...] = ()


class Site(pydantic.BaseModel):
    home: pydantic.HttpUrl
    server: IPv4Address


@dataclass(frozen=True, slots=True)
class Price:
    amount: Decimal
    level: Level = Level.LOW


@dataclass
class Profile:
    id: int
    address: Address | None
    prices: dict[str, list[Price]]
    seen: InitVar[int] = 0
    computed: int = field(init=False, default=0)
    friends: list[Profile] = field(default_factory=list)

    def __post_init__(self, seen: int) -> None:
        self.computed = seen + 1

    @functools.cached_property
    def label(self) -> str:
        return f"profile {self.id}"


@dataclass
class SubProfile(Profile):
    extra: int = 0


@dataclass(slots=True)
class BaseSlots:
    a: int


@dataclass(slots=True)
class DerivedSlots(BaseSlots):
    b: int


@dataclass
class Box(Generic[T]):
    content: T


@attrs.define
class Slotted:
    a: int
    b: list[Colour]


@attrs.frozen(slots=False, cache_hash=True)
class Hashed:
    a: str


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int
    b: Price | None = None
    _secret: int = pydantic.PrivateAttr(default=1)


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    a: int
    b: tuple[Colour, ...] = ()


class Options(TypedDict):
    colour: Colour
    at: datetime


@dataclass
class InDict(dict[str, int]):
    a: int = 0


UserId = NewType("UserId", Point)
ADDRESS = Address("x", (Point(1), Point(2, Colour.BLUE)))
PROFILE = Profile(7, ADDRESS, {"a": [Price(Decimal("1.10"))]}, seen=4)


def round_trip(value: Any, annotation: Any) -> Any:
    codec = SafeCodec().for_type(annotation)
    return codec.decode(codec.encode(value, b""), b"")


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Colour.RED, Colour),
        (Colour.BLUE, Optional[Colour]),  # noqa: UP045
        (Level.LOW, Level),
        (Name.ADA, Name | None),
        (Rights.READ | Rights.WRITE, Rights),
        (Rights(0), Rights),
        (Point(1), Point),
        (Plain(1, (2,)), Plain),
        (ADDRESS, Address),
        (Price(Decimal("1.0")), Price),
        (IPv4Address("10.0.0.1"), IPv4Address | IPv6Network),
        (IPv6Network("2001:db8::/32"), IPv4Address | IPv6Network),
        (pydantic.HttpUrl("http://a/b?c=d#e"), pydantic.HttpUrl),
        (pydantic.PostgresDsn("postgres://u@a:1,b:2/c"), pydantic.PostgresDsn | None),
        (Site(home="http://a", server="10.0.0.1"), Site),  # type: ignore[arg-type]
        (PROFILE, Profile),
        ([PROFILE, None], list[Profile | None]),
        ({"a": (PROFILE, {Price(Decimal(1))})}, dict[str, tuple[Profile, set[Price]]]),
        (Price(Decimal(1)), Union[str, Price]),  # noqa: UP007
        (SubProfile(1, None, {}, extra=2), Profile | SubProfile),
        (DerivedSlots(1, 2), DerivedSlots),
        (Box[Colour](Colour.RED), Box[Colour]),
        (Slotted(1, [Colour.RED]), Slotted),
        (Model(a=1), Model),
        (Model.model_validate({"a": 1, "b": Price(Decimal(2)), "c": 3}), Model),
        (Page[Model](items=[Model(a=1)]), Page[Model]),
        (Row(a=1, b=(Colour.RED,)), Row),
        ({"colour": Colour.RED, "at": datetime(2024, 1, 1, tzinfo=UTC)}, Options),
        (Point(3), UserId),
        ([Point(3)], Annotated[list[Point], "note"]),
        (Colour.BLUE, Literal[Colour.BLUE]),
        ({Point(1): {Colour.RED: 1}}, dict[Point, dict[Colour, int]]),
        ({"plain": [1, (2,)]}, Profile | dict),
        (2**80, int),
    ],
    ids=lambda value: str(value)[:40],
)
def test_instance_when_annotation_names_its_class_then_comes_back(
    value: Any, annotation: Any
) -> None:
    """Instances come back equal and of their own class, at any depth."""
    restored = round_trip(value, annotation)
    assert restored == value
    assert type(restored) is type(value)
    assert repr(restored) == repr(value)


def test_dataclass_when_restored_then_post_init_does_not_run_again() -> None:
    """State is restored as it was; `__init__` and `__post_init__` are not run."""
    changed = dataclasses.replace(PROFILE, seen=1)
    changed.computed = 99
    assert round_trip(changed, Profile).computed == 99


def test_dataclass_when_it_has_more_attributes_than_fields_then_they_come_back() -> None:
    """Cached properties and attributes set from outside are part of the state."""
    profile = Profile(1, None, {})
    assert profile.label == "profile 1"
    profile.note = (1, 2)  # type: ignore[attr-defined]
    restored = round_trip(profile, Profile)
    assert vars(restored) == vars(profile)


def test_attrs_class_when_hash_is_cached_then_is_computed_anew() -> None:
    """A hash of text from another process would be wrong here."""
    value = Hashed("a")
    hash(value)
    restored = round_trip(value, Hashed)
    assert vars(restored)["_attrs_cached_hash"] is None
    assert hash(restored) == hash(value)


def test_pydantic_model_when_restored_then_keeps_what_was_set() -> None:
    """Fields set, extra and private attributes survive; nothing is validated again."""
    model = Model.model_validate({"a": 1, "c": 3})
    model._secret = 5
    restored = round_trip(model, Model)
    assert restored.model_fields_set == {"a", "c"}
    assert restored.model_extra == {"c": 3}
    assert restored._secret == 5


@pytest.mark.parametrize("value", [PROFILE, Colour.RED, Point(1), Slotted(1, []), Model(a=1)])
def test_class_when_not_annotated_then_error_says_to_annotate(value: Any) -> None:
    """Without an annotation the error names the class and both ways out."""
    with pytest.raises(TypeError, match=rf"{type(value).__name__}: annotate .* codec='pickle'"):
        SafeCodec().encode([value], b"")


def test_subclass_when_only_its_base_is_annotated_then_is_refused() -> None:
    """A subclass is never flattened into the class that the annotation names."""
    with pytest.raises(TypeError, match="SubProfile: annotate"):
        SafeCodec().for_type(Profile).encode(SubProfile(1, None, {}), b"")


def test_dataclass_when_it_extends_a_builtin_then_is_refused() -> None:
    """What a builtin base holds is not among the fields, so it would be lost."""
    with pytest.raises(TypeError, match="InDict"):
        SafeCodec().for_type(InDict).encode(InDict(1), b"")


def test_dataclass_when_a_field_is_unset_then_error_names_it() -> None:
    """A half-built instance is refused."""
    broken = Address("x")
    del broken.street
    with pytest.raises(TypeError, match="'street' is not set"):
        SafeCodec().for_type(Address).encode(broken, b"")


def test_named_tuple_when_it_carries_attributes_then_is_refused() -> None:
    """Attributes beside the fields of a named tuple would be lost."""

    class Tagged(Point):
        pass

    value = Tagged(1)
    value.note = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="attributes besides"):
        SafeCodec([Tagged]).encode(value, b"")


def test_payload_when_reader_does_not_know_the_class_then_undecodable() -> None:
    """Bytes reach only classes that the reader's own annotation names."""
    payload = SafeCodec().for_type(Price).encode(Price(Decimal(1)), b"")
    for reader in (SafeCodec(), SafeCodec().for_type(Address)):
        with pytest.raises(Undecodable):
            reader.decode(payload, b"")


def _versioned(**annotations: Any) -> type:
    return dataclasses.make_dataclass("Versioned", annotations.items())


def test_payload_when_fields_of_the_class_changed_then_undecodable() -> None:
    """Added, renamed or retyped fields make old entries misses."""
    old = _versioned(a=int, b=str)
    payload = SafeCodec([old]).encode(old(1, "x"), b"")
    assert SafeCodec([_versioned(a=int, b=str)]).decode(payload, b"").b == "x"
    for new in ({"a": int}, {"a": int, "c": str}, {"a": int, "b": bytes}, {"b": str, "a": int}):
        with pytest.raises(Undecodable):
            SafeCodec([_versioned(**new)]).decode(payload, b"")


def test_payload_when_member_was_removed_then_undecodable() -> None:
    """An enum member that no longer exists is a miss."""
    make: Any = Enum
    old, new = make("E", "A B"), make("E", "A")
    payload = SafeCodec([old]).encode(old["B"], b"")
    with pytest.raises(Undecodable):
        SafeCodec([new]).decode(payload, b"")


def test_classes_when_two_are_alike_by_name_and_fields_then_error_at_once() -> None:
    """Two classes that bytes could not tell apart are refused when the codec is made."""
    with pytest.raises(ConfigurationError, match=r"two classes are named .*Versioned"):
        SafeCodec([_versioned(a=int), _versioned(a=int)])


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_instance_payload_when_damaged_then_undecodable_or_a_value(data: st.DataObject) -> None:
    """Damaged instances raise nothing but Undecodable."""
    codec = SafeCodec().for_type(Profile | Model | Row | Slotted | Point | Rights)
    value = data.draw(
        st.sampled_from([PROFILE, Model(a=1), Row(a=1), Slotted(1, []), Point(1), Rights.READ])
    )
    payload = bytearray(codec.encode(value, b""))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        codec.decode(bytes(payload), b"")
    except Undecodable:
        return


def test_payload_when_read_in_another_process_then_fingerprints_agree() -> None:
    """What stands for a class does not depend on the process or on PYTHONHASHSEED."""
    script = textwrap.dedent(
        """
        import dataclasses, decimal, typing
        from tiercel.codec import SafeCodec
        Inner = dataclasses.make_dataclass("Inner", [("n", typing.Optional[decimal.Decimal])])
        Outer = dataclasses.make_dataclass(
            "Outer", [("a", dict[str, Inner]), ("b", typing.Literal[1, "x"]), ("c", "Later | None")]
        )
        codec = SafeCodec([Inner, Outer])
        print(codec.encode(Outer({"k": Inner(decimal.Decimal(1))}, 1, None), b"").hex())
        """
    )
    payloads = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(payloads) == 1
