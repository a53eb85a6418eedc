"""What all commands have in common: `--json`, the application, errors in one line."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec

import click

from tiercel.cli.application import load_application
from tiercel.cli.group import group
from tiercel.errors import BackendError, TiercelError

P = ParamSpec("P")

WRONG = 1
MISUSED = 2
UNREACHABLE = 3

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
assume_yes = click.option("--yes", "-y", "--no-input", is_flag=True, help="Do not ask before.")

waiting = click.option(
    "--wait", default=1.0, show_default=True, help="Seconds that processes have to answer."
)


class Failure(click.ClickException):
    """A command cannot do what it was asked to."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click asks the object, not its class


def command(
    name: str, *, application: bool = True, **options: Any
) -> Callable[[Callable[P, int | None]], click.Command]:
    """Add a command to the group; it returns its exit code, or None for 0.

    Args:
        name: Its name.
        application: Whether the application is imported before.
        **options: More for `click.Command`.
    """

    def decorate(function: Callable[P, int | None]) -> click.Command:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            context = click.get_current_context()
            if application:
                load_application(context)
            try:
                code = function(*args, **kwargs)
            except BackendError as error:
                raise Failure(str(error), UNREACHABLE) from error
            except TiercelError as error:
                raise Failure(str(error), MISUSED) from error
            if code:
                context.exit(code)

        return group.command(name, **options)(run)

    return decorate


def call_command(name: str) -> Callable[[Callable[P, int | None]], click.Command]:
    """Add a command that takes the name of a function and the arguments of a call.

    What begins with one dash, such as a negative number, is an argument.
    """
    add = command(name, context_settings={"ignore_unknown_options": True})

    def decorate(function: Callable[P, int | None]) -> click.Command:
        arguments = click.argument(
            "arguments", nargs=-1, type=click.UNPROCESSED, callback=_without_options
        )
        return add(click.argument("function")(arguments(as_json(function))))

    return decorate


def _without_options(
    context: click.Context, _: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse a misspelt option: as an argument of the call, it would be one of another call."""
    for each in given:
        if each.startswith("--") and each[2:3].isalpha():
            known = [name for option in context.command.params for name in option.opts]
            raise click.NoSuchOption(
                each, possibilities=get_close_matches(each, known, n=1), ctx=context
            )
    return given


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone.

    Raises:
        click.Abort: The answer is not yes.
    """
    if not yes:
        click.confirm(question, abort=True, err=True)
