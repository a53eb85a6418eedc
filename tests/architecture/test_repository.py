"""The repository's own checks find what they are there to find."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import environment, repository

PYPROJECT = """
[build-system]
requires = ["hatchling"]
[project]
name = "tiercel"
dependencies = ["Listed>=2", "missing"]
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout that the checks look at instead of this one."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    lock = tmp_path / "3rdparty" / "python" / "requirements.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("hatchling==1.0 \\\n    --hash=sha256:0\nlisted==1.0\n")
    lock.with_suffix(".txt").write_text("hatchling\nlisted\nunpinned\n")
    core = tmp_path / "packages" / "core"
    core.mkdir(parents=True)
    (core / "pyproject.toml").write_text(PYPROJECT)
    for module in (environment, repository):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(repository, "LOCK", lock)
    return tmp_path


def test_modules_short_when_one_line_too_long_then_named(checkout: Path) -> None:
    """A module of 400 lines passes and one of 401 does not."""
    (checkout / "fits.py").write_text("pass\n" * 400)
    (checkout / "long.py").write_text("pass\n" * 401)
    assert repository.modules_short() == ["long.py: 401 lines, at most 400: split it"]


@pytest.mark.parametrize(
    "text", ["https://py" + "pi.org/simple", "cd /ro" + "ot/x", "/ho" + "me/ann/y"]
)
def test_files_clean_when_a_file_names_somebodys_place_then_named(
    checkout: Path, text: str
) -> None:
    """A package index or a path of one machine is found, with its line."""
    (checkout / "notes.md").write_text(f"first\n{text}\n")
    (line,) = repository.files_clean()
    assert line.startswith("notes.md:2: names ")


def test_files_clean_when_a_file_is_ignored_then_passed_over(checkout: Path) -> None:
    """What git ignores belongs to one machine and may name it."""
    (checkout / ".gitignore").write_text("local.txt\n")
    (checkout / "local.txt").write_text("/ro" + "ot/x\n")
    assert repository.files_clean() == []


def test_dependencies_locked_when_lists_disagree_then_each_is_named(checkout: Path) -> None:
    """An unlisted dependency, an unpinned one and one that forbids its pin are all found."""
    assert checkout.exists()
    assert repository.dependencies_locked() == [
        "packages/core/pyproject.toml: listed>=2 does not allow the locked version",
        "packages/core/pyproject.toml: missing is not in requirements.txt: add it",
        "unpinned is not in requirements.lock: run ./dev lock",
    ]
