"""The commands that must work where click and rich are not installed: plugins, doctor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tiercel.inspection.health import examine_all
from tiercel.inspection.records import as_builtins
from tiercel.oversight import plugin_states
from tiercel.plugins.survey import State

Row = Mapping[str, Any]


def plugins() -> tuple[list[Row], int]:
    """Return the state of every plugin, and the exit code."""
    states = plugin_states()
    return as_builtins(states), int(any(each.state is State.BROKEN for each in states))


def doctor() -> tuple[list[Row], int]:
    """Return what there is to say of everything that has to work, and the exit code."""
    found = examine_all()
    return as_builtins(found), int(any(each.state == "wrong" for each in found))


def main(arguments: Sequence[str]) -> int:
    """Run `plugins` or `doctor`, of any other command say what it needs; return the exit code."""
    commands: dict[str, Callable[[], tuple[list[Row], int]]] = {
        "plugins": plugins,
        "doctor": doctor,
    }
    if not arguments or arguments[0] not in commands or set(arguments[1:]) - {"--json"}:
        sys.stderr.write("tiercel: this command needs click and rich: pip install 'tiercel[cli]'\n")
        return 2
    rows, code = commands[arguments[0]]()
    shown = plugin_table if arguments[0] == "plugins" else table
    sys.stdout.write(as_json(rows) if "--json" in arguments else shown(rows))
    return code


def plugin_table(rows: Sequence[Row]) -> str:
    """Return the states of plugins as a table, with the reasons of broken ones below it."""
    reasons = dict.fromkeys(f"broken: {row['reason']}\n" for row in rows if row["reason"])
    bare = [{name: row[name] for name in row if name != "reason"} for row in rows]
    return table(bare) + "".join(reasons)


def as_json(answer: Any) -> str:
    """Return an answer as JSON text."""
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n"


def table(rows: Sequence[Row]) -> str:
    """Return rows in columns under the names of their values; what all lack is left out."""
    names = [name for name in (rows[0] if rows else ()) if any(cell(row[name]) for row in rows)]
    lines = [[name.upper().replace("_", " ") for name in names]]
    lines += [[cell(row[name]) or "-" for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join(text) + "\n" if rows else "nothing\n"


def cell(value: Any) -> str:
    """Return a value as it stands in a table; empty for nothing."""
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
