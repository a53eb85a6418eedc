"""The example application does what it shows."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from packages.integrations.flask.tests.making import hits

FOLDER = Path(__file__).parents[4] / "examples" / "flask_app"


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the example, with a database of its own."""
    monkeypatch.setenv("BOARD_DATABASE", str(tmp_path / "board.db"))
    spec = importlib.util.spec_from_file_location("flask_board", FOLDER / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_board_when_somebody_writes_then_just_the_outdated_pages_are_new(
    board: ModuleType,
) -> None:
    """Visitors share the front page, users have their own, and a notice drops what it changes."""
    client = board.app.test_client()

    def get(path: str, user: str) -> Any:
        return client.get(path, headers={"X-User": user})

    for path, user in (("/", "ann"), ("/me", "ann"), ("/me", "bob")):
        assert not hits(get(path, user))
    assert hits(get("/", "bob"))
    assert hits(get("/me", "ann"))
    posted = client.post("/notices", data={"text": "<Hello>"}, headers={"X-User": "ann"})
    assert posted.status_code == 302
    front = get("/", "bob")
    assert "&lt;Hello&gt;" in front.text
    assert not hits(front)
    mine = get("/me", "ann")
    assert "ann (1)" in mine.text
    assert not hits(mine)
    assert hits(get("/me", "bob")), "nothing changed for others"


def test_board_when_its_commands_are_run_then_they_know_its_functions(tmp_path: Path) -> None:
    """`flask --app app tiercel functions` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "tiercel", "functions"],
        cwd=FOLDER,
        env={**os.environ, "BOARD_DATABASE": str(tmp_path / "board.db")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "count_of" in done.stdout
    assert "front_page" in done.stdout
