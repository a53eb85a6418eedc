"""Commands that watch all processes: stats, top, tail.

Processes tell nothing until somebody watches; `tail` and `top` ask them to, again and again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from tiercel.bulletins import Happening
from tiercel.cli.common import MISUSED, Failure, as_json, command, waiting
from tiercel.cli.output import rich_table, show_line, show_rows
from tiercel.inspection.plain import table
from tiercel.inspection.records import as_builtins
from tiercel.inspection.watching import PAUSE, Cluster, FunctionRates, events_in

caches = click.option("--cache", "caches", multiple=True, help="A cache; by default all.")
lasting = click.option("--for", "seconds", type=float, help="End after so many seconds.")


@command("stats")
@click.argument("pattern", default="")
@waiting
@caches
@as_json
def stats(pattern: str, wait: float, caches: tuple[str, ...], as_json: bool) -> None:
    """Tell how the calls of functions were served, in all processes together.

    Processes that share no tier with this one are not counted.
    """
    cluster = Cluster(caches)
    counts = cluster.gather(wait, pattern)
    for name, error in cluster.failed.items():
        click.echo(f"cache {name}: only this process is counted: {error}", err=True)
    show_rows(counts, as_json=as_json)


@command("top")
@click.argument("pattern", default="")
@click.option("--interval", default=2.0, show_default=True, help="Seconds between two looks.")
@lasting
@caches
@as_json
def top(
    pattern: str, interval: float, seconds: float | None, caches: tuple[str, ...], as_json: bool
) -> None:
    """Show what functions do now, busiest first, until interrupted.

    With --json, a list in one line after each interval.
    """
    cluster, console = _watched(caches), Console()
    live = console.is_terminal and not as_json
    with (
        Live(console=console, screen=False, auto_refresh=False) if live else _no_screen() as screen
    ):
        for _ in _ticks(cluster, interval, seconds):
            _show_rates(cluster.rates(pattern), screen, as_json=as_json)


@command("tail")
@click.option("--function", "pattern", default="", help="Part of the name of a function.")
@click.option("--kind", "kinds", multiple=True, help="read, fill, drop, ...; may be repeated.")
@lasting
@caches
@as_json
def tail(
    pattern: str,
    kinds: Sequence[str],
    seconds: float | None,
    caches: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print what happens in all processes, as it happens, until interrupted.

    Hits in memory are no events. With --json, one event in each line.
    """
    cluster = _watched(caches)
    for bulletins in _ticks(cluster, PAUSE, seconds):
        for process, event in events_in(bulletins):
            if pattern in event.function and (not kinds or event.kind in kinds):
                _show_event(process, event, as_json=as_json)
        lost = sum(each.lost for each in bulletins)
        if lost and not as_json:
            click.echo(f"({lost} events were left out: there were too many)", err=True)


def _watched(caches: Sequence[str]) -> Cluster:
    cluster = Cluster(caches)
    if not cluster.watched:
        raise Failure("no cache has a shared tier that processes could be watched through", MISUSED)
    return cluster


def _ticks(cluster: Cluster, interval: float, seconds: float | None) -> Iterator[list[Any]]:
    """Yield new bulletins after each interval, until the time is over or somebody interrupts.

    Raises:
        BackendError: No shared tier answers.
    """
    end = float("inf") if seconds is None else time.monotonic() + seconds
    try:
        while True:
            new = cluster.look()
            if len(cluster.failed) == len(cluster.watched):
                raise next(iter(cluster.failed.values()))
            yield new
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(interval, left))
    except KeyboardInterrupt:
        return


def _no_screen() -> AbstractContextManager[None]:
    return nullcontext()


def _show_rates(rates: Sequence[FunctionRates], screen: Live | None, *, as_json: bool) -> None:
    if as_json:
        show_line(as_builtins(rates))
    elif screen is None:
        click.echo(table(as_builtins(rates)))
    else:
        shown = rich_table(as_builtins(rates)) if rates else "no process has told anything yet"
        screen.update(shown, refresh=True)


def _show_event(process: str, event: Happening, *, as_json: bool) -> None:
    if as_json:
        show_line({"process": process, **as_builtins(_complete(event))})
        return
    at = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    took = f"{event.seconds * 1000:.1f} ms" if event.seconds else ""
    who = f"rule {event.rule}" + (f" on {event.source}" if event.source else "")
    words = [at, process.rpartition(":")[0], event.kind, event.status, event.cause, took]
    words += [event.function or event.cache, event.key, who if event.rule else "", event.error]
    click.echo("  ".join(str(word) for word in words if word))


def _complete(event: Happening) -> dict[str, Any]:
    """Return every attribute of an event, those that say nothing included."""
    return {name: getattr(event, name) for name in event.__struct_fields__}
