"""The command line: `tiercel`, `manage.py tiercel` and `flask tiercel` run the same `group`.

It needs `tiercel[cli]`. Nothing else in Tiercel imports click or rich. Frameworks mount `group`,
or call `run`; with `command` and what follows it here they add commands of their own.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("click") is None or find_spec("rich") is None:
    raise ImportError("the command line needs click and rich: pip install 'tiercel[cli]'")

from tiercel.cli import bulk, console, entries, functions, health, new_plugin, watch
from tiercel.cli.common import as_json, command
from tiercel.cli.group import group
from tiercel.cli.output import echo, option, show_line, show_rows
from tiercel.cli.running import CommandFailed, main, run

COMMANDS = (bulk, console, entries, functions, health, new_plugin, watch)
"""The modules whose commands belong to the group; to import them is to add them."""

__all__ = [
    "CommandFailed",
    "as_json",
    "command",
    "echo",
    "group",
    "main",
    "option",
    "run",
    "show_line",
    "show_rows",
]
