"""Runs code in another interpreter, where only distributions are installed and no sources lie.

`TIERCEL_PYTHON` names that interpreter; without it, it is the one that runs the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.packages import Distribution, read_distributions

PYTHON = Path(os.environ.get("TIERCEL_PYTHON", sys.executable))
OURS = {distribution.name: distribution for distribution in read_distributions()}
LIST_INSTALLED = """
import importlib.metadata, json
print(json.dumps([found.metadata["Name"] for found in importlib.metadata.distributions()]))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]
Probe = Callable[[str], Any]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program of the other environment, away from the sources."""
    folder = tmp_path_factory.mktemp("elsewhere")
    unset = ("PYTHON", "TIERCEL_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(unset)}

    def run_program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON.parent / name, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=folder,
            env=env,
            timeout=180,
            check=False,
        )

    return run_program


@pytest.fixture(scope="session")
def probe(run: Run) -> Probe:
    """Run Python code in the other environment and return the JSON that it prints."""

    def run_code(code: str) -> Any:
        done = run("python", "-I", "-W", "error", "-c", code)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_code


@pytest.fixture(scope="session")
def installed(probe: Probe) -> list[Distribution]:
    """Those of our distributions that the other environment has."""
    names = set(probe(LIST_INSTALLED))
    return [distribution for name, distribution in OURS.items() if name in names]


@pytest.fixture(scope="session")
def missing(installed: list[Distribution]) -> list[Distribution]:
    """Those of our distributions that the other environment lacks."""
    return [distribution for distribution in OURS.values() if distribution not in installed]
