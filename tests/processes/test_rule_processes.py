"""Rules among real processes: one reports a change, another drops, a third computes anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.environment import ROOT

OLD = ["Ann, page 1", "Ann, page 2", "Bob, page 1", "invoices of Ann, page 1"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A database of two users, and an empty queue."""
    for number, name in enumerate(["Ann", "Bob"], start=1):
        (tmp_path / f"user-{number}").write_text(name)
    (tmp_path / "queue").mkdir()
    return tmp_path


def run(place: Path, *parts: str, version: int = 1) -> list[Any]:
    """Run parts of the shop in a process of their own; return what each says."""
    environment = os.environ | {"SHOP_PLACE": str(place), "SHOP_VERSION": str(version)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.processes.shop", *parts],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    said: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_change_when_reported_then_a_worker_drops_and_others_compute_anew(place: Path) -> None:
    """All pages of the user, nothing of others, and not before the worker has been there."""
    run(place, "fill")
    assert run(place, "change", "look") == [1, OLD]
    assert run(place, "look") == [OLD]
    assert run(place, "work") == [["done"]]
    assert run(place, "look", "fill")[0] == [None, None, *OLD[2:]]
    assert run(place, "look")[0][:2] == ["Zoe, page 1", "Zoe, page 2"]


def test_worker_when_it_runs_newer_code_then_entries_of_either_version_are_dropped(
    place: Path,
) -> None:
    """Another order of decoration, other places of rules, other partitions: the right entries."""
    run(place, "fill")
    run(place, "fill", version=2)
    run(place, "change")
    assert run(place, "work", version=2) == [["done"]]
    assert run(place, "look") == [[None, None, *OLD[2:]]]
    assert run(place, "look", version=2) == [[None, None, *OLD[2:]]]


def test_worker_when_it_runs_older_code_then_what_the_newer_code_means_is_dropped(
    place: Path,
) -> None:
    """Its own entries, and by the names that the message says those of the sender."""
    run(place, "fill")
    run(place, "fill", version=2)
    assert run(place, "change", version=2) == [2]
    assert run(place, "work") == [["done", "done"]]
    assert run(place, "look", version=2) == [[None, None, OLD[2], None]]
    assert run(place, "look") == [[None, None, OLD[2], None]]


def test_worker_when_it_lacks_the_function_then_says_so_and_the_message_stays(
    place: Path,
) -> None:
    """Whoever has it finds the message there."""
    run(place, "fill")
    run(place, "change")
    ((outcome,),) = run(place, "work", version=3)
    assert outcome.startswith("UnknownFunction: a task is for ")
    assert "which this worker does not have" in outcome
    assert run(place, "look") == [OLD]
    assert run(place, "work", "look") == [["done"], [None, None, *OLD[2:]]]
