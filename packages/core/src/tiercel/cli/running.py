"""Runs the command line: turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tiercel.cli.group import group


class CommandFailed(Exception):
    """A command could not do what it was asked to; its text says what is wrong in one line.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(arguments: Sequence[str], program: str = "tiercel") -> int:
    """Run a command and return its exit code.

    Raises:
        CommandFailed: The arguments make no command, or the command gave up.
    """
    try:
        answer = group.main(list(arguments), prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        raise CommandFailed(error.format_message(), error.exit_code) from error
    except click.Abort:
        raise CommandFailed("given up", 1) from None
    return answer if isinstance(answer, int) else 0


def main(arguments: Sequence[str] | None = None, program: str = "tiercel") -> int:
    """Run a command, with what is wrong on standard error; return the exit code."""
    try:
        return run(sys.argv[1:] if arguments is None else arguments, program)
    except CommandFailed as failed:
        click.echo(f"{program}: {failed}", err=True)
        return failed.code
