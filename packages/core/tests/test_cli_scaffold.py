"""What a new plugin needs besides itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tiercel.scaffold import kinds, new_plugin


@pytest.mark.parametrize("kind", kinds())
def test_plugin_when_its_tests_run_then_pytest_alone_knows_its_settings(
    tmp_path: Path, kind: str
) -> None:
    """`tiercel[testing]` brings no plugins of pytest that a setting could be for."""
    made = new_plugin(kind, "stone", tmp_path)
    nothing = made / "nothing"
    nothing.mkdir()
    options = ("--strict-config", "-p", "no:asyncio", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(nothing)],
        cwd=made,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
