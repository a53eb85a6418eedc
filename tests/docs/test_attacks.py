"""The page of attacks lists what the conformance kit carries out, row by row."""

from __future__ import annotations

import re

from tiercel.testing.attacks import ATTACKS, FORMATS
from tools.environment import ROOT

PAGE = ROOT / "docs" / "reference" / "attacks.md"


def test_attacks_when_the_kit_has_a_row_then_the_page_has_it() -> None:
    """The same rows in the same order, numbered from 1."""
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    expected = [*(each.name for each in ATTACKS), *(f"`{each.template}`" for each in FORMATS)]
    assert [text.replace(r"\|", "|") for _, text in rows] == expected
    assert [int(number) for number, _ in rows] == list(range(1, len(expected) + 1))


def test_attacks_when_counted_then_there_are_at_least_forty_of_different_names() -> None:
    """Each row has a name of its own."""
    names = [each.name for each in ATTACKS]
    assert len(set(names)) == len(names) >= 40
