"""Which application a command looks at: named by an option, a variable, or pyproject.toml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

APPLICATION = """
from tiercel import cache_result

@cache_result(name="mine.double")
def double(number: int) -> int:
    return 2 * number

def make():
    @cache_result(name="mine.made")
    def made() -> int:
        return 1
    global kept
    kept = made
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "app.py").write_text(APPLICATION)
    return tmp_path


def functions(folder: Path, *options: str, **variables: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tiercel", *options, "functions", "mine.", "--json"],
        cwd=folder,
        env={**os.environ, "TIERCEL_DISABLE_PLUGINS": "*", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [each["name"] for each in json.loads(done.stdout)]


def test_application_when_named_by_an_option_then_imported(project: Path) -> None:
    """A module, or a factory in it, which is called."""
    assert functions(project) == []
    assert functions(project, "--app", "mine.app") == ["mine.double"]
    assert functions(project, "--app", "mine.app:make") == ["mine.double", "mine.made"]


def test_application_when_named_elsewhere_then_imported(project: Path) -> None:
    """The variable counts more than the project's file, which is found from folders below."""
    (project / "pyproject.toml").write_text('[tool.tiercel]\napp = "mine.app"\n')
    (project / "below").mkdir()
    assert functions(project) == ["mine.double"]
    assert functions(project, TIERCEL_APP="mine.app:make") == ["mine.double", "mine.made"]
    assert functions(project / "below", PYTHONPATH=str(project)) == ["mine.double"]
