"""The contracts on imports in pyproject.toml catch what they are there to catch."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from tools.checks import LINT_IMPORTS
from tools.environment import ROOT

MODULES = {
    "tiercel/__init__.py": "from tiercel.caches import x",
    "tiercel/caches.py": "from tiercel.clock import x",
    "tiercel/clock.py": "x = 1",
    "tiercel/spi.py": "from tiercel.clock import x",
    "tiercel_redis/__init__.py": "from tiercel import spi, x",
    "tiercel_sqlite/__init__.py": "from tiercel.spi import x",
}
KEPT = "Contracts: 4 kept, 0 broken."


def _lint(folder: Path, modules: dict[str, str]) -> str:
    document = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    roots = tomllib.loads(document)["tool"]["importlinter"]["root_packages"]
    for name, text in ({f"{root}/__init__.py": "" for root in roots} | modules).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (folder / "pyproject.toml").write_text(document, encoding="utf-8")
    env = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    done = subprocess.run(
        LINT_IMPORTS, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (KEPT in done.stdout)
    return done.stdout


def test_contracts_when_layers_are_respected_then_kept(tmp_path: Path) -> None:
    """A facade, the interface for plugins and two plugins that use only those pass."""
    assert KEPT in _lint(tmp_path, MODULES)


@pytest.mark.parametrize(
    ("module", "text", "contract"),
    [
        ("tiercel/clock.py", "import tiercel.caches", "Core imports downwards only"),
        ("tiercel/caches.py", "import tiercel_redis", "Core imports no plugin"),
        ("tiercel_redis/extra.py", "import tiercel_sqlite", "Plugins never import each other"),
        (
            "tiercel_redis/extra.py",
            "from tiercel.clock import x",
            "Plugins import only tiercel and tiercel.spi",
        ),
    ],
)
def test_contracts_when_an_import_goes_the_wrong_way_then_broken(
    tmp_path: Path, module: str, text: str, contract: str
) -> None:
    """Each kind of wrong import breaks the contract that forbids it."""
    assert f"{contract} BROKEN" in _lint(tmp_path, MODULES | {module: text})
