"""`tiercel new-plugin` makes distributions that build, install, are found and pass their tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiercel.scaffold import kinds, new_plugin
from tools.environment import ROOT

KINDS = kinds()

NAMES = {"backend": "pigeonhole"}
"""What a plugin is called where it cannot be `post_box`."""

SHORT = {"dispatcher": "once or spec"}
"""Which tests of a long kit are run always; all of them are with `-m long`."""


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run a command that succeeds; return what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
def test_plugin_when_rendered_then_it_installs_and_passes_the_kit(
    tmp_path: Path, kind: str, whole: bool
) -> None:
    """What its own README says: install, then pytest; nothing is left of the template's name."""
    made = new_plugin(kind, NAMES.get(kind, "post_box"), tmp_path)
    files = [path for path in made.rglob("*") if path.is_file()]
    assert not [path for path in files if "example" in f"{path} {path.read_text()}".lower()]
    site = tmp_path / "site"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--target", str(site))
    run(made, sys.executable, "-m", "uv", "pip", "install", *options, str(made))
    which = "" if whole else SHORT.get(kind, "")
    printed = run(made, sys.executable, "-m", "pytest", "-q", "-k", which, PYTHONPATH=str(site))
    assert " passed" in printed
    assert "failed" not in printed


@pytest.mark.parametrize("kind", KINDS)
def test_plugin_when_rendered_then_ruff_has_nothing_to_say(tmp_path: Path, kind: str) -> None:
    """The style is that of this repository."""
    made = new_plugin(kind, "stone", tmp_path)
    config = ("--config", str(ROOT / "pyproject.toml"), "--no-cache")
    ignored = ("--ignore", "D,INP,S,PT,I001")
    run(made, sys.executable, "-m", "ruff", "check", *config, *ignored, ".")
    run(made, sys.executable, "-m", "ruff", "format", "--check", *config, ".")


@pytest.mark.parametrize("name", ["", "Huey", "two__parts", "a-b", "../up", "1st"])
def test_name_when_no_plugin_can_have_it_then_it_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written then."""
    with pytest.raises(ValueError, match="cannot be the name of a plugin"):
        new_plugin("dispatcher", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_name_when_it_cannot_be_the_scheme_of_a_url_then_no_backend_has_it(tmp_path: Path) -> None:
    """Users could not write such a URL."""
    with pytest.raises(ValueError, match="cannot be the scheme of a URL"):
        new_plugin("backend", "post_box", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_when_it_exists_then_it_is_left_alone(tmp_path: Path) -> None:
    """Rendering twice does not overwrite what somebody has written since."""
    new_plugin("dispatcher", "stone", tmp_path)
    with pytest.raises(ValueError, match="exists already"):
        new_plugin("dispatcher", "stone", tmp_path)
