"""Calls as people write them on a command line or as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel import Cache
from tiercel.inspection import BadArguments, call_from_json, parse_call, written_call


class Size(Enum):
    SMALL = 1
    LARGE = 2


def anything(first: Any, second: Any = None, *rest: Any, **more: Any) -> None: ...


def typed(
    name: str,
    day: date = date(2026, 1, 1),
    price: Decimal = Decimal(0),
    ident: UUID | None = None,
    size: Size = Size.SMALL,
    span: timedelta = timedelta(0),
) -> None: ...


def cached(function: Callable[..., Any]) -> Any:
    return Cache(name="arguments").cached(function).cached_function


def parsed(function: Callable[..., Any], *written: str) -> Any:
    return parse_call(cached(function), written)


def test_parse_call_when_literals_then_values() -> None:
    """What reads like a literal is one; all else is text. A known name before `=` is a keyword."""
    call = parsed(anything, "1", "[1, 'a']", "plain text", "-5", "key={'a': None}")
    assert call == ((1, [1, "a"], "plain text", -5), {"key": {"a": None}})


def test_parse_call_when_annotated_then_as_annotated() -> None:
    """A text for a `str` stays one, and what has a usual text is made of it."""
    args, kwargs = parsed(typed, "007", "2026-02-03", "size=LARGE", "price=1.50", "span=PT5S")
    assert args == ("007", date(2026, 2, 3), Decimal("1.50"))
    assert kwargs == {"size": Size.LARGE, "span": timedelta(seconds=5)}


def test_parse_call_when_quoted_then_a_text_even_so() -> None:
    """Quotes say that it is a text, whatever stands in it."""
    assert parsed(anything, "'5'", '"first=1"') == (("5", "first=1"), {})


@pytest.mark.parametrize(
    "written", ["__import__('os').getcwd()", "open('/etc/passwd')", "(lambda: 1)()"]
)
def test_parse_call_when_code_then_only_text(written: str) -> None:
    """Nothing is ever run."""
    assert parsed(anything, written) == ((written, None), {}) or parsed(anything, written) == (
        (written,),
        {},
    )


@pytest.mark.parametrize(
    ("function", "written", "said"),
    [
        (typed, (), "missing a required argument: 'name'"),
        (typed, ("a", "tomorrow"), "'tomorrow' is no date"),
        (typed, ("a", "size=HUGE"), "'HUGE' is no Size"),
        (lambda: None, ("1",), "too many positional"),
    ],
)
def test_parse_call_when_it_does_not_fit_then_says_why(
    function: Any, written: tuple[str, ...], said: str
) -> None:
    """The error names the function or the value."""
    with pytest.raises(BadArguments, match=said):
        parsed(function, *written)


def test_parse_call_when_partial_then_some_may_be_missing() -> None:
    """A partition is said by leading arguments only."""
    assert parse_call(cached(typed), [], partial=True) == ((), {})


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_written_call_then_parsed_back(value: Any) -> None:
    """What is shown of a call can be given again."""
    shown = written_call("f", (value,), {})
    args, kwargs = parse_call(ANYTHING, [shown[2:-1]])
    assert (args[0], kwargs) == (value, {})


ANYTHING = cached(anything)


def test_call_from_json_then_lists_and_objects() -> None:
    """Both forms, with texts as annotated; all else is refused."""
    assert call_from_json(cached(typed), '{"name": "a", "day": "2026-02-03"}') == (
        ("a", date(2026, 2, 3)),
        {},
    )
    assert call_from_json(cached(anything), "[1, 2]") == ((1, 2), {})
    for text, said in [("{", "is no JSON"), ("5", "a list of arguments"), ("[]", "missing")]:
        with pytest.raises(BadArguments, match=said):
            call_from_json(cached(anything), text)
