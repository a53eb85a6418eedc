"""Distributions as users have them: installed, alone or together, with no sources near."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

from tools.packages import Distribution

Run = Callable[..., subprocess.CompletedProcess[str]]
Probe = Callable[[str], Any]

ENTRY_POINTS = """
import importlib.metadata, json
points = (point for found in importlib.metadata.distributions() for point in found.entry_points)
ours = [point for point in points if point.group.startswith("tiercel.")]
print(json.dumps([[point.group, point.name, point.load().__name__] for point in ours]))
"""
IMPORTED_BY_CORE = """
import json, sys
import msgspec, pluggy
before = set(sys.modules)
import tiercel
tops = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(json.dumps(sorted(name for name in tops if not name.startswith("_sysconfigdata"))))
"""
CACHED = """
import json
from tiercel import cache_result
calls = []
@cache_result(ttl=60)
def square(number: int) -> int:
    calls.append(number)
    return number * number
print(json.dumps([square(12), square(12), len(calls)]))
"""
ASK_FOR = """
import json, tiercel
try:
    tiercel.Cache("{name}://localhost/0")
except ImportError as error:
    print(json.dumps(str(error)))
"""
IMPORT_ALL = """
import importlib.util, json, pkgutil
package = importlib.import_module({module!r})
if importlib.util.find_spec({module!r} + ".models"):  # of Django, which has to be set up before
    import django.conf
    django.conf.settings.configure(INSTALLED_APPS=[{module!r}])
    django.setup()
failed = {{}}
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    try:
        importlib.import_module(found.name)
    except ImportError as error:
        failed[found.name] = str(error)
print(json.dumps(failed))
"""


def _backends(distributions: list[Distribution]) -> set[str]:
    groups = (found.project.get("entry-points", {}) for found in distributions)
    return {name for group in groups for name in group.get("tiercel.backends", {})}


def test_environment_has_what_it_was_made_for(installed: list[Distribution]) -> None:
    """The environment holds exactly the distributions that whoever made it names."""
    names = {distribution.name for distribution in installed}
    assert names == set(os.environ.get("TIERCEL_DISTRIBUTIONS", " ".join(names)).split())
    assert "tiercel" in names


def test_entry_points_are_found_and_load(probe: Probe, installed: list[Distribution]) -> None:
    """Every entry point that an installed distribution declares is found, and its module loads."""
    declared = sorted(
        [group, name, module]
        for distribution in installed
        for group, entries in distribution.project.get("entry-points", {}).items()
        if group.startswith("tiercel.")
        for name, module in entries.items()
    )
    assert sorted(probe(ENTRY_POINTS)) == declared


def test_importing_the_core_imports_nothing_optional(probe: Probe) -> None:
    """`import tiercel` loads only its two dependencies, and no plugin even where one is there."""
    assert probe(IMPORTED_BY_CORE) == ["tiercel"]


def test_every_module_imports_or_says_what_to_install(
    probe: Probe, installed: list[Distribution]
) -> None:
    """A module that needs an extra which is not there names the command that installs it.

    Not so the kit for authors of plugins: it is imported by tests, which have pytest.
    """
    for distribution in installed:
        failed = probe(IMPORT_ALL.format(module=distribution.module))
        others = {m: error for m, error in failed.items() if not m.startswith("tiercel.testing")}
        assert [error for error in others.values() if "pip install" not in error] == []


def test_cached_function_hits(probe: Probe) -> None:
    """A function is computed once and served from memory afterwards."""
    assert probe(CACHED) == [144, 144, 1]


def test_plugins_command_lists_what_is_installed(run: Run, installed: list[Distribution]) -> None:
    """`python -m tiercel plugins` and the script `tiercel` list every installed backend."""
    for command in (["python", "-I", "-m", "tiercel", "plugins"], ["tiercel", "plugins"]):
        done = run(*command)
        assert done.returncode == 0, done.stderr
        assert [name for name in _backends(installed) if name not in done.stdout] == []


def test_missing_backend_says_what_to_install(probe: Probe, missing: list[Distribution]) -> None:
    """Asking for a backend whose distribution is not installed names the distribution."""
    for distribution in missing:
        for name in _backends([distribution]):
            expected = f"backend {name!r} is not installed: pip install {distribution.name}"
            assert probe(ASK_FOR.format(name=name)) == expected
