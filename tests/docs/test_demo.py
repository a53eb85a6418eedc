"""The demo runs anywhere, and all it says is true."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tools.environment import ROOT


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo without a terminal."""
    return subprocess.run(
        [sys.executable, "examples/demo/run.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "acts"), [((), 3), (("--redis",), 4)], ids=["sqlite", "redis"]
)
def test_demo_when_run_without_a_terminal_then_every_claim_holds(
    arguments: tuple[str, ...], acts: int
) -> None:
    """Each act shows calls with status, tier and time, and makes claims that are true."""
    done = run_demo(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [f"\n{number}. " in done.stdout for number in range(1, 6)].count(True) == acts
    assert "MISS    function" in done.stdout
    assert "HIT     memory" in done.stdout
    assert done.stdout.count("  ok    ") >= 3 * acts - 1
    assert done.stderr == ""


def test_screen_when_a_claim_is_false_then_the_demo_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status tells whether the demo said something untrue."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "demo")
    screen_module = importlib.import_module("screen")
    stage = importlib.import_module("stage")
    screen = screen_module.Screen()
    screen.claim("one is one", True)
    assert stage.verdict(screen, 1.0) == 0
    screen.claim("one is two", False)
    assert stage.verdict(screen, 1.0) == 1
    assert "FALSE one is two" in capsys.readouterr().out
