"""An application with a job whose refreshes RQ carries; RQ's worker imports it, too.

`python -m tests.brokers.posters read read delete` does that, and prints what it has read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tiercel import Cache, Job

FOLDER = Path(os.environ["POSTERS_FOLDER"])
cache = Cache(os.environ["POSTERS_CACHE"], name="posters", timeout=60.0)


class Poster(Job, dispatcher="rq"):
    """Reads a file; notes which process did so."""

    cache_alias = cache
    lifetime = float(os.environ.get("POSTERS_LIFETIME", "1"))
    refresh_timeout = float(os.environ.get("POSTERS_TIMEOUT", "60"))
    task_options: Mapping[str, Any] | None = {
        "connection": os.environ["POSTERS_BROKER"],
        "queue": "posters",
    }

    def __init__(self, language: str) -> None:
        self.language = language

    def fetch(self, place: tuple[str, int]) -> str:
        with (FOLDER / "journal").open("a") as journal:
            journal.write(f"{os.getpid()}\n")
        street, number = place
        return f"{(FOLDER / 'text').read_text()} in {self.language}, {street} {number}"


PLACE = ("High Street", 7)


def read() -> None:
    """Print what callers get."""
    sys.stdout.write(f"{Poster('en').get(PLACE)}\n")


def invalidate() -> None:
    """Have it fetched anew."""
    Poster("en").invalidate(PLACE)


COMMANDS: dict[str, Callable[[], None]] = {"read": read, "invalidate": invalidate}

if __name__ == "__main__":
    # Under its own name, so that the job is called what workers call it.
    from tests.brokers import posters

    for command in sys.argv[1:]:
        posters.COMMANDS[command]()
