"""Every module can be imported first, on its own and without a warning; public names are true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tiercel
import tiercel.spi
from tools.packages import Distribution

# Forks before each import, so that each module meets an interpreter that has seen no other of
# ours but its package, which Python imports first whichever module is asked for. What others made
# is loaded once, before, and only ours is compiled anew, as that is when Python warns of syntax.
IMPORT_EACH = """
import importlib, json, os, sys, traceback
import asyncio, concurrent.futures, hypothesis.stateful, msgspec, pluggy, pytest, redis.asyncio
import django.core.management, django.db.models, django.http, django.test
sys.pycache_prefix, package, *names = sys.argv[1:]
importlib.import_module(package)
failed = {}
for name in names:
    read, write = os.pipe()
    if not os.fork():
        try:
            if name.endswith(".models"):  # of Django, which defines none before it is set up
                import django.conf
                django.conf.settings.configure(INSTALLED_APPS=[name.partition(".")[0]])
                django.setup()
            importlib.import_module(name)
        except BaseException:
            os.write(write, traceback.format_exc()[-4000:].encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        if text := pipe.read():
            failed[name] = text
    os.wait()
print(json.dumps(failed))
"""


def _modules(distribution: Distribution) -> list[str]:
    root = distribution.path / "src"
    paths = (path.relative_to(root).with_suffix("") for path in distribution.source.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is compiled, so that what distributions share is compiled once."""
    return tmp_path_factory.mktemp("bytecode")


def test_every_module_imports_alone_without_warning(
    distribution: Distribution, bytecode: Path
) -> None:
    """Importing any one module first, in a fresh interpreter, raises and warns of nothing."""
    modules = _modules(distribution)
    package = distribution.module
    assert package in modules
    command = [sys.executable, "-W", "error", "-c", IMPORT_EACH, str(bytecode), package, *modules]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize("module", [tiercel, tiercel.spi], ids=["tiercel", "tiercel.spi"])
def test_all_lists_the_public_names(module: ModuleType) -> None:
    """Each name in `__all__` exists once, and nothing public of our own is missing from it."""
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and _is_ours(value) and not isinstance(value, ModuleType)
    }
    assert len(module.__all__) == len(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert public - set(module.__all__) == set()


def _is_ours(value: object) -> bool:
    return str(getattr(value, "__module__", "tiercel")).partition(".")[0] == "tiercel"
