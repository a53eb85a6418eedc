"""No two different values share a text, and one value has one text in every process."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import os
import subprocess
import sys
from collections import OrderedDict
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import numpy as np
import pydantic
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.keys.encoding import Encoders
from tiercel.keys.escape import escape, escape_name

TEXT = Encoders().text
STRUCTURE = ":#!\"{}[]()<>*?\\' =,"


class Color(Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Plain:
    a: Any
    b: Any


@attrs.define
class Attrs:
    a: Any
    b: Any


class Model(pydantic.BaseModel):
    a: Any
    b: Any


class Keyed:
    def __init__(self, a: Any) -> None:
        self.a = a

    def __cache_key__(self) -> Any:
        return self.a


def same(left: Any, right: Any) -> bool:
    """Whether two values are one: of one type, and the same part by part."""
    if type(left) is not type(right):
        return False
    for kinds, compare in COMPARISONS:
        if isinstance(left, kinds):
            return bool(compare(left, right))
    return bool(left == right)


def same_floats(left: Any, right: Any) -> bool:
    """Equal with the same sign, or both not a number."""
    return (math.isnan(left) and math.isnan(right)) or (
        left == right and math.copysign(1, left) == math.copysign(1, right)
    )


def same_sequences(left: Any, right: Any) -> bool:
    """The same items in the same order."""
    return len(left) == len(right) and all(map(same, left, right))


def same_sets(left: Any, right: Any) -> bool:
    """The same items in any order."""
    rest = list(right)
    for item in left:
        index = next((n for n, other in enumerate(rest) if same(item, other)), None)
        if index is None:
            return False
        del rest[index]
    return not rest


def same_moments(left: Any, right: Any) -> bool:
    """The same fields, zone and fold."""
    parts = [(each.replace(tzinfo=None).isoformat(), each.fold) for each in (left, right)]
    zones = left.tzinfo, right.tzinfo
    if zones == (None, None):
        return parts[0] == parts[1]
    return (
        parts[0] == parts[1] and type(zones[0]) is type(zones[1]) and str(zones[0]) == str(zones[1])
    )


COMPARISONS: list[tuple[Any, Any]] = [
    (np.generic, lambda a, b: same(a.item(), b.item())),
    (bool, lambda a, b: a is b),
    (float, same_floats),
    (complex, lambda a, b: same_floats(a.real, b.real) and same_floats(a.imag, b.imag)),
    (Decimal, lambda a, b: a.as_tuple() == b.as_tuple()),
    ((dt.datetime, dt.time), same_moments),
    (dt.timezone, lambda a, b: str(a) == str(b) and a == b),
    (range, lambda a, b: (a.start, a.stop, a.step) == (b.start, b.stop, b.step)),
    (PureWindowsPath, lambda a, b: str(a) == str(b)),
    (OrderedDict, lambda a, b: same_sequences(list(a.items()), list(b.items()))),
    ((dict, MappingProxyType), lambda a, b: same_sets(a.items(), b.items())),
    ((set, frozenset), same_sets),
    ((list, tuple), same_sequences),
    ((Plain, Attrs, Model), lambda a, b: same(a.a, b.a) and same(a.b, b.b)),
    (Keyed, lambda a, b: same(a.a, b.a)),
]

ZONES = [
    None,
    dt.UTC,
    dt.timezone(dt.timedelta(hours=1)),
    dt.timezone(dt.timedelta(hours=1), "fold=1"),
    ZoneInfo("UTC"),
    ZoneInfo("Europe/Paris"),
    ZoneInfo("Europe/Berlin"),
]
MOMENTS = [
    dt.datetime(2024, 10, 27, 2, 0, second, micro, tzinfo=zone, fold=fold)
    for zone in ZONES
    for second in (0, 1)
    for micro in (0, 1)
    for fold in (0, 1)
]
DECIMALS = ["1", "1.0", "1.00", "-0", "NaN", "1E+1", "10"]
FLOATS = [0.0, -0.0, 1.0, 2.0, 1e16, math.nan, math.inf, -math.inf]
HASHABLE = [
    *(None, True, False, -1, 0, 1, 2, 10**16, 10**700),
    *FLOATS,
    *(complex(real, imag) for real in (0.0, -0.0, 1.0) for imag in (0.0, -0.0)),
    *map(Decimal, DECIMALS),
    *(Fraction(1), Fraction(1, 2), Fraction(-1, 2)),
    *(zone for zone in ZONES if zone),
    *MOMENTS,
    *(moment.timetz() for moment in MOMENTS),
    *(dt.date(2024, 1, 1), dt.timedelta(1), dt.timedelta(0, 1), dt.timedelta(0, 0, 1)),
    *(UUID(int=0), UUID(int=1), range(1), range(0), range(0, 2, 2), range(0, 1, 2)),
    *(kind(path) for kind in (PurePosixPath, PureWindowsPath, Path) for path in ("a", "a/b", "A")),
    *(Color.RED, Color.BLUE, Color, Pair, int, str, len, same),
]
# Not to be put in sets: they have no hash, or refuse to be compared with some other types.
UNSOCIABLE = [
    *(Decimal("sNaN"), np.int64(1), np.int32(1), np.float64(1), np.float32(1), np.bool_(True)),
    *(np.str_("a"), np.bytes_(b"a"), np.complex128(1)),
    *(np.datetime64(1, "s"), np.datetime64(1, "D"), np.timedelta64(1, "s")),
]
# Few and awkward characters, so that texts that could be confused do come up together.
awkward = st.text(alphabet="':,=()[]#!%v1aé \ud800", max_size=4)
leaves = st.one_of(
    st.sampled_from(HASHABLE), awkward, awkward.map(lambda text: text.encode(errors="replace"))
)
SEQUENCES: list[Any] = [list, tuple]
SETS: list[Any] = [set, frozenset]
MAPPINGS: list[Any] = [dict, OrderedDict, lambda pairs: MappingProxyType(dict(pairs))]
RECORDS: list[Any] = [Pair, Plain, Attrs, lambda a, b: Model(a=a, b=b)]


@st.composite
def frozen_values(draw: st.DrawFn, depth: int) -> Any:
    """A value that can be in a set."""
    if depth == 0 or draw(st.integers(0, 2)):
        return draw(leaves)
    items = draw(st.lists(frozen_values(depth - 1), max_size=3))
    return draw(st.sampled_from([tuple, frozenset]))(items)


@st.composite
def nested_values(draw: st.DrawFn, depth: int) -> Any:
    """A value of any known type, holding others down to some depth."""
    inner, frozen = nested_values(depth - 1), frozen_values(depth - 1)
    kind = draw(st.integers(0, 6)) if depth else 6
    if kind == 0:
        return draw(st.sampled_from(SEQUENCES))(draw(st.lists(inner, max_size=3)))
    if kind == 1:
        return draw(st.sampled_from(SETS))(draw(st.lists(frozen, max_size=3)))
    if kind == 2:
        pairs = st.lists(st.tuples(frozen, inner), max_size=3)
        return draw(st.sampled_from(MAPPINGS))(draw(pairs))
    if kind == 3:
        return draw(st.sampled_from(RECORDS))(draw(inner), draw(inner))
    if kind == 4:
        return Keyed(draw(inner))
    return draw(leaves if kind == 5 else st.sampled_from(UNSOCIABLE) | leaves)


values = nested_values(2)


@settings(max_examples=200, deadline=None)
@given(st.lists(values, min_size=2, max_size=12))
def test_text_is_shared_by_the_same_values_only(sample: list[Any]) -> None:
    """Two values have one text exactly when they are the same by type and by part."""
    texts = [TEXT(value) for value in sample]
    for index, left in enumerate(sample):
        for other, right in enumerate(sample[:index]):
            assert (texts[index] == texts[other]) == same(left, right), (left, right)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=6), st.text(max_size=6))
def test_escape_is_injective_over_all_text(left: str, right: str) -> None:
    """Escaped texts differ where the texts do."""
    assert (escape(left) == escape(right)) == (left == right)
    assert (escape_name(left) == escape_name(right)) == (left == right)


@settings(max_examples=300, deadline=None)
@given(values)
def test_text_is_printable_ascii_without_the_structure_of_keys(value: Any) -> None:
    """No value can bring a character that means something in a key."""
    text = TEXT(value)
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(':#!" {}*?\\|')


@settings(deadline=None)
@given(awkward)
def test_escaped_text_holds_no_structure(text: str) -> None:
    """What stands for the characters of a string is never structure."""
    assert not set(escape(text)) & set(STRUCTURE)


CORPUS = """
import datetime, decimal, enum, dataclasses, random, uuid
from tiercel.keys.encoding import Encoders

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Plain:
    a: object
    b: object

rng, text = random.Random(7), Encoders().text
leaves = [None, True, b"x", Color.RED, decimal.Decimal("1.00"), datetime.date(2024, 1, 1), Plain]

def by_hash(values):
    return {key: values[key] for key in set(values)}

def value(depth):
    if depth == 0:
        return rng.choice([*leaves, rng.randrange(99), rng.random(), str(rng.random())])
    some = lambda: [value(depth - 1) for _ in range(4)]
    strings = lambda: {str(rng.random()) for _ in range(9)}
    return rng.choice([
        some, strings, lambda: frozenset(strings()), lambda: tuple(some()),
        lambda: by_hash({each: some() for each in sorted(strings())}),
        lambda: Plain(some(), strings()), lambda: {uuid.UUID(int=3), "a", 1, None, Color.RED},
    ])()

for _ in range(300):
    print(text(value(3)))
"""


def _texts_in_a_process(seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", CORPUS], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_text_is_the_same_in_processes_with_different_hash_seeds() -> None:
    """Sets and dicts are written in an order that does not come from hashes."""
    first, second, third = map(_texts_in_a_process, ("0", "1", "4242"))
    assert first.count("\n") == 300
    assert first == second == third
