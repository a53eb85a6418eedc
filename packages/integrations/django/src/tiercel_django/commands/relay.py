"""`manage.py tiercel relay`: do what processes that were killed have left in the outbox."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db import connections

from tiercel.cli import as_json, command, echo, option, show_line
from tiercel_django import outbox
from tiercel_django.tasks import release_connections


class Relayed(NamedTuple):
    """What was done of one outbox.

    Attributes:
        database: The alias of its database.
        done: Entries whose work is done.
        failed: Entries whose work has failed; they are tried again later.
    """

    database: str
    done: int
    failed: int


@command("relay", application=False)
@option("--forever", is_flag=True, help="Go on until interrupted.")
@option("--interval", default=1.0, show_default=True, help="Seconds between two looks.")
@option("--limit", default=100, show_default=True, help="Entries to take at once.")
@option("--database", "databases", multiple=True, help="A database; by default all.")
@as_json
def relay(
    forever: bool, interval: float, limit: int, databases: tuple[str, ...], as_json: bool
) -> None:
    """Do what processes that were killed have left in the outbox."""
    try:
        for each in relayed(databases, limit, interval if forever else None):
            if as_json:
                show_line(each._asdict())
            else:
                failed = f", {each.failed} failed" if each.failed else ""
                echo(f"{each.database}: {each.done} done{failed}")
    except KeyboardInterrupt:
        return


def relayed(aliases: Sequence[str], limit: int, interval: float | None) -> Iterator[Relayed]:
    """Do what outboxes hold.

    Args:
        aliases: Databases; none: all that have an outbox.
        limit: Entries to take at once.
        interval: Seconds between two looks, without end; None: once, until nothing is due.

    Yields:
        What was done, whenever something was.
    """
    while True:
        release_connections()
        for alias in aliases or [each for each in connections if outbox.is_there(each)]:
            done, failed = outbox.relay(alias, limit)
            while done + failed:
                yield Relayed(alias, done, failed)
                done, failed = outbox.relay(alias, limit)
        if interval is None:
            return
        time.sleep(interval)
