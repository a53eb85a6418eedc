"""The dispatcher by somebody else: built, installed apart, found, and held to the kit.

`tools.wheels` does the same with wheels alone, in a clean environment.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.environment import ROOT

EXAMPLE = ROOT / "examples" / "third_party_dispatcher"
PUBLIC = ("tiercel", "tiercel.spi", "tiercel.testing", "tiercel.testing.servers")


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
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("which", ["once or spec", pytest.param("", marks=pytest.mark.long)])
def test_example_when_it_is_installed_then_it_passes_the_kit(tmp_path: Path, which: str) -> None:
    """A wheel in a folder of its own is enough: no source lies on the path."""
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    uv = (sys.executable, "-m", "uv")
    run(EXAMPLE, *uv, "build", "--quiet", "--wheel", "--no-build-isolation", "-o", str(wheels))
    (wheel,) = wheels.glob("*.whl")
    run(EXAMPLE, *uv, "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))
    options = ("-q", "-p", "no:cacheprovider", "-k", which)
    printed = run(EXAMPLE, sys.executable, "-m", "pytest", *options, PYTHONPATH=str(site))
    assert " passed" in printed
    assert "failed" not in printed


def test_example_imports_only_what_is_public() -> None:
    """Nothing inside Tiercel is needed to write a dispatcher and its tests."""
    imported = set()
    for path in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(str(node.module))
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if name.partition(".")[0] == "tiercel"}
    assert {"tiercel", "tiercel.spi", "tiercel.testing"} <= ours <= set(PUBLIC)
