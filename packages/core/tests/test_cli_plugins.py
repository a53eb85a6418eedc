"""`python -m tiercel plugins`, run in a process of its own with real distributions on its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiercel.cli import group, main

PLUGIN = """
from tiercel.spi import BackendSpec, ObserverSpec, Observer, hookimpl

@hookimpl
def tiercel_backends():
    return [BackendSpec("kv", print, frozenset(), (1, 0))]

@hookimpl
def tiercel_observers():
    return [ObserverSpec("watch", Observer, (1, 0)), ObserverSpec("fails", dict, (1, 0))]
"""

WITHOUT_CLICK = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "click" else find(name, *more)
sys.modules["click"] = None
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A directory with a distribution of two observers, one of them broken, and a backend."""
    info = tmp_path / "a_dist-1.2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-dist\nVersion: 1.2.0\n")
    (info / "entry_points.txt").write_text(
        "[tiercel.backends]\nkv = a_dist_plugin\noff = a_dist_plugin\n"
        "[tiercel.observers]\nwatch = a_dist_plugin\nfails = a_dist_plugin\n"
    )
    (tmp_path / "a_dist_plugin.py").write_text(PLUGIN)
    return tmp_path


def run(path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    everything = os.pathsep.join([str(path), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "tiercel", *arguments],
        env={**os.environ, "PYTHONPATH": everything, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def rows(output: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["kind"], row["name"]): row for row in json.loads(output)}


def test_plugins_when_one_is_broken_tells_the_state_of_each_and_fails(path: Path) -> None:
    """Every plugin is loaded to tell its state; a broken one makes the exit code 1."""
    done = run(path, "plugins", "--json", TIERCEL_DISABLE_PLUGINS="backends:off")
    found = rows(done.stdout)
    assert found["backends", "kv"] == {
        "kind": "backends",
        "name": "kv",
        "distribution": "a-dist",
        "version": "1.2.0",
        "spi": "1.0",
        "state": "available",
        "reason": "",
    }
    assert found["backends", "off"]["state"] == "disabled"
    assert found["observers", "watch"]["state"] == "loaded"
    assert found["dispatchers", "inline"]["state"] == "built in"
    broken = found["observers", "fails"]
    assert (broken["state"], broken["spi"]) == ("broken", "")
    assert broken["reason"] == (
        "observer 'fails' (a-dist 1.2.0) is not a valid plugin: "
        "its factory returned {}, which is no Observer"
    )
    assert done.returncode == 1


def test_plugins_when_asked_for_a_table_aligns_it_and_gives_reasons(path: Path) -> None:
    """The table is for people: one line per plugin, the reasons below it."""
    done = run(path, "plugins", TIERCEL_DISABLE_PLUGINS="observers:fails")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["KIND", "NAME", "DISTRIBUTION", "VERSION", "SPI", "STATE"]
    assert ["observers", "fails", "a-dist", "1.2.0", "-", "disabled"] in map(str.split, lines)
    assert any(line.startswith("broken: backend 'off' (a-dist 1.2.0)") for line in lines)
    assert done.returncode == 1


def test_plugins_when_all_are_well_succeeds(path: Path) -> None:
    """Disabled plugins are no failure."""
    done = run(path, "plugins", "--json", TIERCEL_DISABLE_PLUGINS="*")
    states = {row["state"] for row in rows(done.stdout).values()}
    assert states == {"built in", "disabled"}
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["plugin"], ["plugins", "--yaml"]])
def test_command_when_misspelt_exits_with_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong command line is told from a broken plugin by its exit code."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("tiercel: No such")
    assert said.out == ""


def test_command_when_none_is_given_then_help_and_exit_code_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All commands are listed with a line each."""
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: tiercel")
    assert [name for name in group.commands if name not in shown] == []


def test_commands_when_click_is_missing_then_plain_ones_work(path: Path) -> None:
    """Without the extra, `plugins` works; any other command says in one line what to install."""
    (path / "sitecustomize.py").write_text(WITHOUT_CLICK)
    plain = run(path, "plugins", TIERCEL_DISABLE_PLUGINS="*")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.startswith("KIND")
    other = run(path, "functions", TIERCEL_DISABLE_PLUGINS="*")
    assert (other.returncode, other.stdout) == (2, "")
    assert other.stderr == (
        "tiercel: this command needs click and rich: pip install 'tiercel[cli]'\n"
    )
