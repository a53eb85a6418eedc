"""Commands for much at once: purge and warm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import track

from tiercel.cli.common import MISUSED, WRONG, Failure, as_json, assume_yes, command, confirm
from tiercel.cli.output import show_rows
from tiercel.inspection import (
    call_from_json,
    drop_everything,
    find_function,
    live_calls,
    warm_call,
)
from tiercel.inspection.arguments import Call
from tiercel.inspection.functions import AnyFunction

T = TypeVar("T")


@command("purge")
@click.argument("functions", nargs=-1)
@click.option("--cache", "caches", multiple=True, help="A cache; may be repeated.")
@click.option("--tag", "tags", multiple=True, help="A tag; may be repeated.")
@assume_yes
@as_json
def purge(
    functions: tuple[str, ...],
    caches: tuple[str, ...],
    tags: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Drop everything of FUNCTIONS, of caches, or of tags.

    With --tag, --cache says on which caches; by default on the default one.
    """
    if not functions and not caches and not tags:
        raise Failure("say what to drop: functions, --cache or --tag", MISUSED)
    found = [find_function(each) for each in functions]
    named = [*(each.name for each in found), *(f"cache {each}" for each in caches)]
    confirm(f"Drop everything of {', '.join([*named, *(f'tag {tag}' for tag in tags)])}?", yes=yes)
    show_rows(drop_everything(found, caches, tags), as_json=as_json)


@command("warm")
@click.argument("functions", nargs=-1, required=True)
@click.option("--call", "calls", multiple=True, help='Arguments as JSON: [1] or {"user": 1}.')
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="A file with such JSON in each line; - for standard input.",
)
@click.option("--live", is_flag=True, help="The calls that are cached now; needs index=True.")
@as_json
def warm(
    functions: tuple[str, ...], calls: tuple[str, ...], file: Path | None, live: bool, as_json: bool
) -> int:
    """Compute calls of FUNCTIONS and store the results, whatever was stored before.

    Without --call, --file and --live, each is called without arguments. Exits with 1 if one
    fails; the others are computed nevertheless.
    """
    texts = [*calls, *_lines(file)]
    found = [find_function(each) for each in functions]
    work = [(each, call) for each in found for call in _calls(each, texts, live)]
    done = [warm_call(each, *call) for each, call in _tracked(work)]
    show_rows(done, as_json=as_json)
    return WRONG if any(each.error for each in done) else 0


def _calls(function: AnyFunction, texts: Sequence[str], live: bool) -> list[Call]:
    calls = [call_from_json(function, text) for text in texts]
    if live:
        calls += live_calls(function)
    return calls if texts or live else [call_from_json(function, "[]")]


def _lines(file: Path | None) -> Iterator[str]:
    if file is not None:
        with click.open_file(str(file), encoding="utf-8") as lines:
            yield from (line.strip() for line in lines if line.strip())


def _tracked(work: Sequence[T]) -> Iterator[T]:
    """Yield each, with a bar on a terminal's standard error."""
    console = Console(stderr=True)
    hidden = not console.is_terminal or len(work) < 2
    yield from track(work, "computing", console=console, disable=hidden, transient=True)
