"""`tiercel plugins`: which plugins there are, and whether they work."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from tiercel.plugins import default_registry
from tiercel.plugins.survey import PluginState, State, survey

HEADINGS = ("KIND", "NAME", "DISTRIBUTION", "VERSION", "SPI", "STATE")


def show_plugins(*, as_json: bool) -> int:
    """Write the table, or a JSON list, to standard output and return the exit code."""
    states = survey(default_registry())
    if as_json:
        text = msgspec.json.format(msgspec.json.encode(states), indent=2).decode() + "\n"
    else:
        text = _table(states)
    sys.stdout.write(text)
    return int(any(each.state is State.BROKEN for each in states))


def _table(states: Sequence[PluginState]) -> str:
    rows = [HEADINGS, *map(_row, states)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    reasons = [f"broken: {each.reason}" for each in states if each.reason]
    return "\n".join([*lines, *dict.fromkeys(reasons), ""])


def _row(state: PluginState) -> tuple[str, ...]:
    cells = (state.kind, state.name, state.distribution, state.version, state.spi, state.state)
    return tuple(cell or "-" for cell in cells)
