"""`manage.py tiercel`: the command line of Tiercel, in a project that is set up."""

from __future__ import annotations

import sys
from argparse import REMAINDER, ArgumentParser
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import get_resolver


class Command(BaseCommand):
    """Runs the commands of `tiercel`, and those that only Django needs."""

    help = "Look after Tiercel's caches; see manage.py tiercel --help."
    requires_system_checks = ()  # `doctor` has to work where they fail

    def run_from_argv(self, argv: list[str]) -> None:
        """Leave all options to the command; Django has read its own already."""
        program = f"{Path(argv[0]).name} {argv[1]}"
        try:
            code = self._run(_without_djangos(argv[2:]), program)
        except CommandError as error:
            self.stderr.write(f"{program}: {error}")
            code = error.returncode
        finally:
            connections.close_all()
        sys.exit(code)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whatever follows, for `call_command`."""
        parser.add_argument("arguments", nargs=REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run a command; exits with its code unless that is 0."""
        self.stdout.ending = ""
        with redirect_stdout(cast("TextIO", self.stdout)):
            code = self._run(options["arguments"], "tiercel")
        if code:
            sys.exit(code)

    def _run(self, arguments: Sequence[str], program: str) -> int:
        try:
            from tiercel.cli import CommandFailed, run
            from tiercel_django.commands import relay  # noqa: F401  adds its command
        except ImportError as error:
            raise CommandError(str(error)) from error
        self._import_views()
        try:
            return run(arguments, program)
        except CommandFailed as failed:
            raise CommandError(str(failed), returncode=failed.code) from failed

    def _import_views(self) -> None:
        """Import the modules of views, so that their functions are known."""
        if not getattr(settings, "ROOT_URLCONF", None):
            return
        try:
            _ = get_resolver().url_patterns
        except Exception as error:
            kind = type(error).__name__
            self.stderr.write(f"the URLs of the project cannot be imported: {kind}: {error}")


def _without_djangos(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without the options that Django reads before any command."""
    kept, rest = list[str](), iter(arguments)
    for each in rest:
        if each in ("--settings", "--pythonpath"):
            next(rest, None)
        elif not each.startswith(("--settings=", "--pythonpath=")):
            kept.append(each)
    return kept
