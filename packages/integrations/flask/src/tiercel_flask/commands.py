"""`flask tiercel ...`: the commands of `tiercel`, run in the application."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import with_appcontext


def add_commands(app: Flask) -> None:
    """Give an application the command `tiercel`; what it needs is imported when it is run."""
    app.cli.add_command(run_tiercel)


@click.command(
    "tiercel",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
    short_help="Look after Tiercel's caches.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def run_tiercel(arguments: tuple[str, ...]) -> None:
    """Look after Tiercel's caches: `flask tiercel doctor`, for one."""
    try:
        from tiercel.cli import main
    except ImportError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(main(arguments, "flask tiercel"))
