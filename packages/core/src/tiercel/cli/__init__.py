"""The commands of `python -m tiercel`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tiercel.cli.plugins import show_plugins


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What follows the program's name; by default those of this process.

    Returns:
        The exit code: 0 if all is well, 1 if the command found something wrong.

    Raises:
        SystemExit: The arguments make no command (code 2), or help was asked for.
    """
    parser = argparse.ArgumentParser(prog="tiercel", description="Look after Tiercel's caches.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    plugins = commands.add_parser(
        "plugins", help="list every plugin with its state; exit with 1 if one is broken"
    )
    plugins.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args(arguments)
    return show_plugins(as_json=options.json)
