"""The command line looks at an application whose work is done by other processes, over Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tiercel.testing.servers import RedisServer
from tools.environment import ROOT

PATIENCE = 90.0


class World:
    """Processes of the application, and command lines beside them, on one server."""

    def __init__(self, server: RedisServer) -> None:
        self._environment = os.environ | {"WATCHED_URL": f"{server.url}?timeout=60"}

    def application(self, *parts: str) -> None:
        """Run parts of the application in a process of its own, to their end."""
        subprocess.run(
            [sys.executable, "-m", "tests.processes.watched", *parts],
            cwd=ROOT,
            env=self._environment,
            check=True,
            timeout=180,
        )

    @contextmanager
    def busy(self, seconds: float) -> Iterator[int]:
        """Have a process at work meanwhile; yields its id."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.watched", f"busy:{seconds}"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                yield process.pid
            finally:
                process.terminate()

    def tiercel(self, *arguments: str) -> str:
        """Run the command line; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tiercel", "--app", "tests.processes.watched", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.tiercel(*arguments, "--json"))

    def explain(self, *call: str) -> Any:
        """Explain a call without asking other processes."""
        return self.json("explain", *call, "--wait", "0")

    def lines(self, *arguments: str) -> list[Any]:
        return [json.loads(line) for line in self.tiercel(*arguments, "--json").splitlines()]


def until(look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Look again and again until it is enough, as a busy machine may need; return what was seen."""
    deadline = time.monotonic() + PATIENCE
    while not enough(seen := look()):
        assert time.monotonic() < deadline, seen
    return seen


@pytest.fixture
def world(redis: RedisServer) -> World:
    return World(redis)


@pytest.mark.parametrize(
    ("source", "rule", "covers"),
    [
        ("prices", "everything", "function"),
        ("users", "of a user", "partition"),
        ("names", "of an owner", "partition"),
    ],
)
def test_dropped_when_three_rules_could_have_then_explain_and_why_name_the_right_one(
    world: World, source: str, rule: str, covers: str
) -> None:
    """One process fills, another reports a change, and a third one tells which rule it was."""
    world.application("fill", f"change:{source}")
    found = world.explain("watched.page", "1")
    reason = world.json("why", found["key"])
    assert [each["rule"] for each in found["rules"]] == ["everything", "of a user", "of an owner"]
    for last in (found["last_drop"], reason["last_drop"]):
        assert (last["rule"], last["source"], last["covers"]) == (rule, source, covers)
        assert 0 <= last["age"] < 60
    assert (found["shared"]["state"], found["served"]) == ("dropped", "function")
    assert reason["why"].startswith(f"it was dropped by rule {rule!r} on {source}")


def test_dropped_when_it_was_a_single_entry_then_named_too(world: World) -> None:
    """A rule that maps a whole call drops one entry, which has no stamp of its own."""
    world.application("fill", "change:users")
    last = world.explain("watched.entry", "1")["last_drop"]
    assert (last["rule"], last["source"], last["covers"]) == ("one entry", "users", "entry")
    world.tiercel("refresh", "watched.entry", "1")
    world.tiercel("drop", "watched.entry", "1", "--yes")
    by_hand = world.explain("watched.entry", "1")["last_drop"]
    assert (by_hand["rule"], by_hand["covers"]) == ("", "entry")


def test_processes_when_watched_then_counts_rates_and_events(world: World) -> None:
    """Nothing was switched on before: a process tells what it does as soon as somebody watches."""
    events = list[Any]()
    with world.busy(600) as pid:
        (page,) = until(
            lambda: world.json("stats", "watched.page", "--wait", "2"),
            lambda found: found[0]["memory_hits"] > found[0]["computations"] > 0,
        )
        assert page["processes"] == 1
        assert 0 < page["hit_ratio"] < 1
        found = until(
            lambda: world.json("explain", "watched.page", "3"),
            lambda found: found["calls"]["memory_hits"] > page["memory_hits"],
        )
        assert 0 < found["hit_ratio"] < 1
        until(
            lambda: world.lines("top", "watched.page", "--for", "4", "--interval", "1"),
            lambda rates: any(
                each["calls"] > each["computations"] > 0 for line in rates for each in line
            ),
        )
        until(lambda: events.extend(world.lines("tail", "--for", "4")), lambda _: told(events))
    assert {each["process"].split(":")[1] for each in events} == {str(pid)}
    drops = [each for each in events if each["kind"] == "drop" and "page" in each["function"]]
    assert {(each["rule"], each["source"]) for each in drops} == {("of a user", "users")}


def told(events: Sequence[Any]) -> bool:
    """Tell whether every kind of event is there that the process at work must have had."""
    causes = {each["cause"] for each in events if each["kind"] == "compute"}
    kinds = {each["kind"] for each in events}
    return "dropped" in causes and {"read", "compute", "fill", "drop"} <= kinds


def test_doctor_when_all_is_well_then_the_channel_was_timed(world: World) -> None:
    """Every part of a real tier is looked at."""
    found = {each["subject"]: each for each in world.json("doctor")}
    names = ["cache default", "guarantee of default", "clock of default", "push channel of default"]
    assert [found[name]["state"] for name in names] == ["ok"] * 4
    assert "a drop arrived after" in found["push channel of default"]["detail"]
