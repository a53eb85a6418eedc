"""The text of a task: one JSON document with a version, and nothing else is taken for one."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.dispatch.document import MAX_LENGTH, Document, read, write
from tiercel.spi import BadMessage, TaskKind

DOCUMENT = Document(
    id="4f",
    kind=TaskKind.REFRESH,
    function="shop.prices:price",
    cache="default",
    rule="stock",
    payload={"args": [1, {"$tuple": [2]}], "kwargs": {}},
    dedup="price(1)",
    created=1_800_000_000.25,
    trace={"traceparent": "00-1-2-01"},
    dispatcher="celery",
    queue="slow",
)


def fields(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(write(DOCUMENT))
    return {**found, **changed}


def test_document_when_written_and_read_is_the_same() -> None:
    """Nothing of a task is lost on the way."""
    assert read(write(DOCUMENT)) == DOCUMENT


def test_document_is_one_line_of_ascii_with_a_version() -> None:
    """Every broker and every log can carry it."""
    text = write(DOCUMENT)
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["v"] == 1


def test_document_when_a_later_version_adds_a_field_is_read_still() -> None:
    """Within a version, fields may be added without harm to workers that do not know them."""
    assert read(json.dumps(fields(colour="red"))) == DOCUMENT


def test_document_when_it_is_too_long_is_refused_with_its_length() -> None:
    """The one who makes a message learns that it is too long, not the worker."""
    long = {"args": ["x" * MAX_LENGTH], "kwargs": {}}
    document = Document(
        id="1", kind=TaskKind.WARM, function="m:f", cache="c", payload=long, created=0.0
    )
    with pytest.raises(ValueError, match=r"warm of m:f makes a message of 262,\d+ characters"):
        write(document)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no task"),
        ("null", "no task"),
        ("[]", "no task"),
        ("{}", "no task"),
        ("{" * 100_000, "no task"),
        ("[" * 100_000 + "]" * 100_000, "no task"),
        ('{"v": 1' + "0" * 5000 + "}", "no task"),
        ('{"v": NaN}', "no task"),
        (b"{}", "must be a text"),
        (None, "must be a text"),
        (" " * (MAX_LENGTH + 1), "must be a text of at most"),
        (json.dumps(fields(v=2)), r"version 2, and this process reads version 1"),
        (json.dumps(fields(v=True)), "version True"),
        (json.dumps(fields(v=[[[[[[[[1]]]]]]]])), "version"),
        (json.dumps(fields(kind="format_disk")), "lacks what a task needs"),
        (json.dumps(fields(payload=[])), "lacks what a task needs"),
        (json.dumps(fields(function=None)), "lacks what a task needs"),
        (json.dumps(fields(trace={"a": 1})), "lacks what a task needs"),
        (json.dumps({"v": 1}), "lacks what a task needs"),
    ],
)
def test_text_when_it_is_no_task_is_refused(text: Any, why: str) -> None:
    """Whatever comes out of a queue, the error is always the same and says why."""
    with pytest.raises(BadMessage, match=why):
        read(text)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.binary() | st.none())
def test_text_when_it_is_anything_is_refused(text: Any) -> None:
    """Random text is never a task."""
    with pytest.raises(BadMessage):
        read(text)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_document_when_bytes_of_it_are_changed_is_read_or_refused(dice: random.Random) -> None:
    """A damaged message raises nothing else."""
    text = list(write(DOCUMENT))
    for _ in range(dice.randint(1, 6)):
        text[dice.randrange(len(text))] = dice.choice(('"', *"{}[],:1e-\\\0", ""))
    with suppress(BadMessage):
        read("".join(text))
