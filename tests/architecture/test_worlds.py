"""Which tests share a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools import worlds
from tools.environment import ROOT

DJANGO = "packages/integrations/django"
WORLD = str(ROOT / DJANGO)
CORE = "packages/core/tests/test_keys_plan.py"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [list(worlds.PARALLEL), [*worlds.BESIDE, WORLD]]),
        (["-k", "partition"], [["-k", "partition"], ["-k", "partition", WORLD]]),
        (["-k", "packages"], [["-k", "packages"], ["-k", "packages", WORLD]]),
        ([CORE], [[CORE]]),
        (["-x", f"{CORE}::test_it"], [["-x", f"{CORE}::test_it"]]),
        ([f"{DJANGO}/tests", CORE], [[CORE], [f"{DJANGO}/tests"]]),
        (["packages"], [["packages"], [WORLD]]),
    ],
)
def test_split_when_paths_are_given_then_each_process_gets_its_own(
    given: list[str], expected: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of Django never meet tests that want none, and options go everywhere."""
    monkeypatch.setattr(worlds, "worlds", lambda: [ROOT / DJANGO])
    assert worlds.split(given) == expected


def test_worlds_then_every_package_with_settings() -> None:
    """A package becomes a world by keeping settings with its tests."""
    assert ROOT / DJANGO in worlds.worlds()


def test_all_when_run_beside_each_other_then_each_is_heard_and_the_worst_counts(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the large world says comes first, whole, and no failure of another is lost."""
    parts = [["--collect-only", "-q", CORE], ["no/such/world"], ["--version"]]
    monkeypatch.setattr(worlds, "split", lambda arguments: parts)
    assert worlds.main([]) == pytest.ExitCode.USAGE_ERROR
    said = capfd.readouterr().out
    places = [
        said.index(text)
        for text in ("test_keys_plan", "no/such/world", f"pytest {pytest.__version__}")
    ]
    assert places == sorted(places)


def _collect(*paths: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True, check=False)


def test_world_when_tests_above_it_are_asked_for_then_left_out() -> None:
    """Whoever calls pytest himself for everything does not mix them either."""
    others = "--ignore-glob=*/test_[!d]*.py"  # they are many, and nothing here is about them
    done = _collect("packages/integrations", others)
    assert "test_django_" not in done.stdout


def test_world_when_named_beside_other_tests_then_refused() -> None:
    """Asking for both at once says what to do instead."""
    done = _collect(f"{DJANGO}/tests/test_django_settings.py", CORE)
    assert done.returncode != 0
    assert "./dev test runs them one after the other" in done.stderr
