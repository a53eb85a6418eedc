"""The demo from beginning to end: options, acts, and the verdict on what they said."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import acts
import rides
from crew import Crew
from screen import Screen

import tiercel
from tiercel.testing.servers import RedisServer, ServerMissing

PROCESSES = 3
MAX_LAG = 0.5


def main() -> int:
    """Show every act; return 0 if all they said was true."""
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="A small application being cached, live."
    )
    parser.add_argument("--redis", action="store_true", help="share through a Redis of its own")
    redis = parser.parse_args().redis
    screen, began = Screen(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tiercel-demo-") as directory:
        try:
            if redis:
                with RedisServer() as server:
                    _show(screen, Path(directory), server.url, server)
            else:
                _show(screen, Path(directory), f"sqlite:///{directory}/cache.db", None)
        except ServerMissing as missing:
            print(f"demo: {missing}", file=sys.stderr)
            return 1
    return verdict(screen, time.monotonic() - began)


def _show(screen: Screen, directory: Path, url: str, server: RedisServer | None) -> None:
    url += f"?max_lag={MAX_LAG}&timeout=10"
    count = rides.create(directory / "rides.db")
    screen.say(
        f"The application: {count:,} taxi rides in SQLite. The question: how many taxis does a "
        "city need at once?"
    )
    between = "an SQLite file" if server is None else f"a Redis on port {server.port}"
    screen.say(f"The cache: memory in each of {PROCESSES} processes, and {between} between them.")
    screen.say("A call is a HIT, served from one of these two tiers, or a MISS: the function runs.")
    tiercel.configure(default=url)
    with Crew(PROCESSES, url, directory / "rides.db") as crew:
        acts.share(screen, crew)
        acts.drop_one_city(screen, crew, MAX_LAG)
        acts.race(screen, crew, MAX_LAG)
        if server is not None:
            acts.lose_redis(screen, crew, server, MAX_LAG)
    tiercel.get_cache().close()


def verdict(screen: Screen, seconds: float) -> int:
    """Say how it went and return the exit status."""
    if screen.false:
        screen.end(f"{len(screen.false)} claims above were FALSE; it took {seconds:.0f} s.")
        return 1
    screen.end(f"Everything above was checked; it took {seconds:.0f} s.")
    return 0
