"""The safe codec gives back builtin types exactly, and survives any bytes."""

from __future__ import annotations

import importlib.abc
import io
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.msgpack import Ext, encode
from pydantic import TypeAdapter

from tiercel.codec import SafeCodec
from tiercel.errors import Undecodable

CODEC = SafeCodec()
ZONES = (None, UTC, timezone(timedelta(hours=-3)), timezone(timedelta(minutes=7), "here"))

zones = st.sampled_from((*ZONES, ZoneInfo("Europe/Amsterdam"), ZoneInfo("America/New_York")))
folds = st.integers(0, 1)
text = st.text(st.characters(), max_size=20)
hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | text
    | st.text(st.characters(categories=["Cs", "L"]), max_size=3)
    | st.binary(max_size=20)
    | st.dates()
    | st.timedeltas()
    | st.builds(lambda t, fold: t.replace(fold=fold), st.times(), folds)
    | st.builds(lambda t, z, f: t.replace(tzinfo=z, fold=f), st.datetimes(), zones, folds)
    | st.sampled_from(ZONES[1:])
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.complex_numbers(allow_nan=False)
    | st.uuids()
    | st.builds(PurePosixPath, text.filter(lambda t: "\0" not in t))
    | st.builds(PureWindowsPath, st.sampled_from(["c:\\a\\b", "a/b", "\\\\host\\share\\x"]))
    | st.builds(range, st.integers(), st.integers(), st.integers(1, 2**65)),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
values = st.recursive(
    hashables | st.binary(max_size=20).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(st.tuples(inner, inner), max_size=3)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.dictionaries(text, inner, max_size=4)
        | st.sets(hashables, max_size=4)
    ),
    max_leaves=25,
)


def _form(value: Any) -> Any:
    """Spell a value out with its exact types, so that two forms are equal only if these are."""
    kind = type(value)
    if kind is float:
        return kind, struct.pack("<d", value) if value == value else "nan"
    if kind is complex:
        return kind, _form(value.real), _form(value.imag)
    if kind in (list, tuple):
        return kind, [_form(item) for item in value]
    if kind is dict:
        return kind, [(_form(k), _form(v)) for k, v in value.items()]
    if kind in (set, frozenset):
        return kind, sorted(map(repr, map(_form, value)))
    if kind is datetime:
        return kind, value.replace(tzinfo=None), value.fold, _form(value.tzinfo)
    if kind is time:
        return kind, value.replace(tzinfo=None), value.fold, _form(value.tzinfo)
    if isinstance(value, tzinfo):
        return kind, repr(value)
    if kind is Decimal:
        return kind, value.as_tuple()
    return kind, value


def round_trip(value: Any, codec: SafeCodec = CODEC) -> Any:
    return codec.decode(codec.encode(value, b"key"), b"key")


@given(values)
@settings(max_examples=150, deadline=None)
def test_any_builtin_value_when_stored_then_comes_back_with_exact_types(value: Any) -> None:
    """Every value of known types comes back equal, of the same types, in the same order."""
    assert _form(round_trip(value)) == _form(value)


@pytest.mark.parametrize(
    "value",
    [
        True,
        1,
        1.0,
        -0.0,
        2**64,
        -(2**63) - 1,
        "\ud800",
        (),
        [()],
        [(1,), (True,)],
        [(1, (2,)), (3, {4})],
        {1: "a", "1": "b", b"1": "c", None: "d", 1.5: "e"},
        {True: 1},
        {(1, (2,)): {frozenset({3}): 4}},
        {"\ud800": 2**80, 2**90: [2**70, 1]},
        {"a": [{"b": (1,)}]},
        {1, "1", b"1", 2.5},
        bytearray(b"abc"),
        {"deep": [[[[[{1}]]]]]},
        Decimal("1.00"),
        Decimal("-0"),
        Fraction(1, 2**90),
        range(5, 1, -2),
        UUID(int=7),
        Path("a/b"),
        date.min,
        datetime.max,
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Amsterdam"), fold=1),
        time(1, 2, 3, 4, tzinfo=ZoneInfo("UTC")),
        ZoneInfo("Asia/Kathmandu"),
        TypeAdapter(datetime).validate_python("2024-01-01T00:00+02:00"),
        TypeAdapter(time).validate_python("01:00Z"),
        timedelta.min,
    ],
    ids=lambda value: type(value).__name__,  # how a set reads depends on who compiled it
)
def test_value_with_a_lookalike_when_stored_then_keeps_its_type(value: Any) -> None:
    """What compares equal to, or encodes like, something else is not taken for it."""
    assert _form(round_trip(value)) == _form(value)


def test_nan_decimal_when_stored_then_keeps_kind_and_payload() -> None:
    """Quiet and signalling NaN with payload survive, though they compare unequal to everything."""
    for number in (Decimal("NaN123"), Decimal("-sNaN")):
        assert round_trip(number).as_tuple() == number.as_tuple()


def test_plain_data_when_encoded_then_is_plain_msgpack() -> None:
    """JSON-like data carries no tags, so it is written and read at the speed of msgpack."""
    value = {"a": [1, 2.5, None, True, b"x"], "b": {"c": "d"}, 3: 4}
    assert CODEC.encode(value, b"") == encode(value)


class Text(str):
    __slots__ = ()


class Number(IntEnum):
    ONE = 1


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    "impostor",
    [
        Text("a"),
        Number.ONE,
        OrderedDict(a=1),
        defaultdict(list),
        Counter("a"),
        Pair(1, 2),
        memoryview(b"a"),
        object(),
        print,
        Text,
        Ext(1, b""),
        ValueError("x"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "place",
    [
        lambda value: value,
        lambda value: [1, value],
        lambda value: {"a": {"b": [value]}},
        lambda value: (1, value),
        lambda value: [(1, 2), (3, value)],
        lambda value: {(1,): value},
        lambda value: [1, {"a": 1}, {"b": [[{"c": value}]]}],
    ],
)
def test_unknown_type_when_encoded_then_error_names_it_wherever_it_stands(
    impostor: Any, place: Callable[[Any], Any]
) -> None:
    """Subclasses of builtins and unknown types are refused by name, never flattened."""
    with pytest.raises(TypeError, match=rf"{type(impostor).__qualname__}.*codec='pickle'"):
        CODEC.encode(place(impostor), b"")


@pytest.mark.parametrize("key", [Text("a"), Number.ONE, Pair(1, 2)], ids=repr)
def test_unknown_type_when_it_is_a_dict_key_then_is_refused(key: Any) -> None:
    """Keys are held to the same types as values."""
    for value in ({key: 1}, {"z": 1, key: 2}, [{"b": {key: 3}}]):
        with pytest.raises(TypeError, match=type(key).__qualname__):
            CODEC.encode(value, b"")


def test_cyclic_value_when_encoded_then_error_says_so() -> None:
    """A value that contains itself is refused quickly, in plain data and in tagged."""
    plain: list[Any] = []
    plain += [plain, plain]
    tagged: list[Any] = [1j]
    tagged += [tagged, (tagged,)]
    for value in (plain, tagged):
        with pytest.raises(TypeError, match="contains itself or nests deeper than 100"):
            CODEC.encode(value, b"")


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"a": v}, lambda v: (v,)])
def test_nested_value_when_deepest_allowed_then_can_be_read(wrap: Callable[[Any], Any]) -> None:
    """What the codec agrees to write at the depth limit, it reads back."""
    value: Any = 1
    for _ in range(99):
        value = wrap(value)
    assert round_trip(value) == value
    for _ in range(2):
        value = wrap(value)
    with pytest.raises(TypeError, match="nests deeper"):
        CODEC.encode(value, b"")


def _nest(code: int, depth: int) -> bytes:
    payload = b"\x90"
    for _ in range(depth):
        payload = encode([Ext(code, payload)]) if code else encode(Ext(1, payload))
    return payload


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x00\x00",
        b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
        _nest(1, 3000),
        _nest(2, 3000),
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xa1\xff",
        *(encode(Ext(code, data)) for code in range(128) for data in (b"\xff", b"\x91\xc0")),
        encode(Ext(23, b"../../etc/passwd")),
        encode(Ext(23, b"/etc/passwd")),
        encode(Ext(34, encode([1, 0]))),
        encode(Ext(5, encode([1, 2, 3]))),
        encode(Ext(5, encode([[1], 2]))),
        encode(Ext(36, encode(["object", "a"]))),
    ],
    ids=lambda payload: payload[:8].hex(),
)
def test_forged_payload_when_decoded_then_undecodable_or_harmless(payload: bytes) -> None:
    """Depth bombs, wrong lengths, unknown and misused tags raise Undecodable and nothing else."""
    try:
        value = CODEC.decode(payload, b"")
    except Undecodable:
        return
    assert type(value) in (bytearray, int, tuple, set, frozenset, timedelta, str, range)


@given(st.binary(max_size=60))
@example(b"\xc7\x0c\xff" + b"\xff" * 12)
@settings(max_examples=500, deadline=None)
def test_garbage_when_decoded_then_undecodable_or_a_value(payload: bytes) -> None:
    """No bytes make the codec raise anything but Undecodable."""
    try:
        CODEC.decode(payload, b"")
    except Undecodable:
        return


@given(values, st.data())
@settings(max_examples=100, deadline=None)
def test_genuine_payload_when_damaged_then_undecodable_or_a_value(
    value: Any, data: st.DataObject
) -> None:
    """Flipped bits and cut tails of real payloads raise nothing but Undecodable."""
    payload = bytearray(CODEC.encode(value, b""))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (payload, payload[: data.draw(st.integers(0, len(payload)))]):
        try:
            CODEC.decode(bytes(damaged), b"")
        except Undecodable:
            continue


class ImportRecorder(importlib.abc.MetaPathFinder):
    """Notes every module that an import looks for, and finds none."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        self.asked.append(fullname)


def test_zone_name_when_forged_then_no_import_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forged names of time zones are refused before zoneinfo looks for a package of that name."""
    recorder = ImportRecorder()
    monkeypatch.setattr(sys, "meta_path", [recorder, *sys.meta_path])
    for name in (b"a.b/c", b"..os/path", b"x/.y", b"a b/c", b"/a", b"a/", b"a\0b", b""):
        with pytest.raises(Undecodable):
            CODEC.decode(encode(Ext(23, name)), b"")
    assert recorder.asked == []


def test_decoded_value_when_buffer_is_reused_then_unchanged() -> None:
    """Values hold no reference to the buffer they were read from."""
    value = {"text": "abc" * 50, "bytes": b"xyz" * 50, "more": (bytearray(b"abc"), {b"x" * 40})}
    buffer = bytearray(CODEC.encode(value, b""))
    with memoryview(buffer) as view:
        decoded = CODEC.decode(view, b"")
    buffer[:] = bytes(len(buffer))
    buffer.clear()  # refused while any view is alive
    assert decoded == value


def test_zone_without_key_when_encoded_then_error_says_how() -> None:
    """A zone that was read from a file has no name that another process could look up."""
    nameless = ZoneInfo.from_file(_tz_file())
    with pytest.raises(TypeError, match="ZoneInfo without a key"):
        CODEC.encode(nameless, b"")


def _tz_file() -> io.BytesIO:
    header = b"TZif" + b"\0" * 16 + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    return io.BytesIO(header + struct.pack(">lBB", 0, 0, 0) + b"UTC\0")
