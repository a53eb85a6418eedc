"""Rules that the plugin machinery keeps: documented hooks, one user of pluggy, a true catalogue."""

from __future__ import annotations

import ast
import inspect
import textwrap
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import tiercel.plugins
from tiercel import spi
from tiercel.plugins import Registry, hookspecs
from tiercel.plugins.catalogue import BUILT_IN, KNOWN
from tiercel.plugins.kinds import KINDS

PACKAGES = Path(__file__).resolve().parents[2]
SOURCES = Path(tiercel.plugins.__file__).parents[1]
HOOKS = [name for name in vars(hookspecs) if name.startswith("tiercel_")]
PARTS = ["When called:", "Arguments:", "Results:", "Threads and cost:", "Since:"]


def test_hooks_when_listed_are_one_per_kind_and_one_event() -> None:
    """Every kind has a hook, and no hook lacks a kind."""
    assert sorted(HOOKS) == sorted([kind.hook for kind in KINDS] + ["tiercel_configured"])


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_when_documented_has_the_five_parts_in_order(hook: str) -> None:
    """Who writes a plugin finds the same five answers for every hook."""
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    starts = [text.find(f"\n{part} ") for part in PARTS]
    assert -1 not in starts
    assert sorted(starts) == starts


def test_pluggy_when_called_is_called_in_one_module() -> None:
    """Hooks are called through typed methods; hook specs only borrow the markers."""
    users = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import) and any(name.name == "pluggy" for name in node.names):
                users.add(path.name)
            assert not (isinstance(node, ast.ImportFrom) and node.module == "pluggy")
    assert users == {"hookspecs.py", "manager.py"}


def test_catalogue_when_compared_with_the_packages_is_true() -> None:
    """Every entry point of a first-party plugin is known, under the right distribution."""
    found: dict[tuple[str, str], str] = {}
    projects = set()
    for path in PACKAGES.glob("*/*/pyproject.toml"):
        project = tomllib.loads(path.read_text())["project"]
        projects.add(project["name"])
        for group, points in project.get("entry-points", {}).items():
            prefix, _, kind = group.partition(".")
            if prefix == "tiercel":
                found |= {(kind, name): project["name"] for name in points}
    # A build sandbox holds this package's sources alone; a checkout holds plugins as well.
    assert projects or not (PACKAGES / "core" / "pyproject.toml").exists()
    known = {
        (kind, name): distribution
        for kind, names in KNOWN.items()
        for name, distribution in names.items()
        if distribution in projects
    }
    assert known == found


def test_catalogue_when_it_names_kinds_they_exist() -> None:
    """A kind that does not exist would never be looked up."""
    assert {*KNOWN, *BUILT_IN} <= {kind.name for kind in KINDS}


def test_spi_when_imported_from_offers_just_what_it_lists() -> None:
    """`__all__` is the whole of what plugins may rely on."""
    public = [name for name in vars(spi) if not name.startswith(("_", "@"))]  # @: added by pytest
    assert sorted(spi.__all__) == sorted(public)


def test_spi_when_its_example_is_run_is_a_plugin() -> None:
    """The plugin in the documentation of `tiercel.spi` works as it stands."""
    text = spi.__doc__ or ""
    source = text[text.index("    from tiercel.spi") : text.index("with this in its")]
    module = ModuleType("example")
    exec(textwrap.dedent(source), vars(module))
    registry = Registry()
    registry.register(module)
    assert registry.backend("mine").factory is module.make
