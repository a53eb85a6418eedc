"""Functions and classes of a program have the names by which others import them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import multiprocessing, sys
from dataclasses import dataclass
from tiercel import cache_result
from tiercel.codec.shapes import shape_of

@dataclass
class Point:
    x: int

@cache_result
def load(point: Point) -> Point:
    return point

def told() -> str:
    return f"{load.get_cache_key(Point(1))} {shape_of(Point).fingerprint.hex()}"

if __name__ == "__main__":
    print(told())
    for method in sys.argv[1:]:
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.apply(told))
"""


def told(path: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=path, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with a script and a package that say the same."""
    (tmp_path / "report.py").write_text(PROGRAM)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "nightly.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize(
    ("run", "name"), [("report.py", "report"), ("-mjobs.nightly", "jobs.nightly")]
)
def test_names_of_a_program_are_those_of_its_module(programs: Path, run: str, name: str) -> None:
    """Whoever imports it, and each child of it, finds and drops the same entries."""
    imported = told(programs, "-c", f"import {name}; print({name}.told())")
    assert imported[0].startswith(f"tiercel:{name}/load:v1:point={name}/Point(x=1) ")
    assert told(programs, run, "spawn") == imported * 2


def test_names_of_what_was_typed_in_are_those_that_python_gives(programs: Path) -> None:
    """There is no module to import."""
    (found,) = told(programs, "-c", PROGRAM)
    assert found.startswith("tiercel:__main__/load:v1:point=__main__/Point(x=1) ")
