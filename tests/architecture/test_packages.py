"""Every distribution is complete, and agrees with the others and with the tools."""

from __future__ import annotations

import re
import tomllib

import pytest

from tiercel.plugins.catalogue import KNOWN
from tools.environment import ROOT
from tools.packages import Distribution

FILES = ["pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "BUILD", "src/BUILD", "tests"]


@pytest.mark.parametrize("name", FILES)
def test_distribution_has_every_file(distribution: Distribution, name: str) -> None:
    """Whoever opens the folder of a distribution finds the same files in it."""
    assert (distribution.path / name).exists()


def test_distribution_is_typed_and_has_one_package(distribution: Distribution) -> None:
    """The sources hold the import package of the distribution, marked as typed, and no other."""
    folders = [path.name for path in (distribution.path / "src").iterdir() if path.is_dir()]
    assert [name for name in folders if not name.startswith((".", "__"))] == [distribution.module]
    assert (distribution.source / "py.typed").read_bytes() == b""


def test_distribution_has_the_common_metadata(distribution: Distribution) -> None:
    """Python floor, licence and a static version are the same kind of thing everywhere."""
    project = distribution.project
    assert (project["requires-python"], project["license"]) == (">=3.11", "MIT")
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert (ROOT / "LICENSE").read_bytes() == (distribution.path / "LICENSE").read_bytes()


def test_changelog_begins_with_the_version(distribution: Distribution) -> None:
    """The newest section of the changelog is about the version in pyproject.toml."""
    changelog = (distribution.path / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest is not None
    assert distribution.project["version"] == newest[1]


def test_readme_justifies_each_dependency(distribution: Distribution) -> None:
    """Each dependency has a row in the README that says why it is there."""
    readme = (distribution.path / "README.md").read_text(encoding="utf-8")
    for line in distribution.project["dependencies"]:
        name = re.split(r"[\[<>=~!; ]", line)[0]
        assert f"| {name} |" in readme


def test_entry_point_names_an_existing_module(distribution: Distribution) -> None:
    """What a distribution announces is a module of its own."""
    groups = distribution.project.get("entry-points", {})
    named = {name for group in groups.values() for name in group.values()}
    for module in {name.partition(":")[0] for name in named}:
        path = distribution.path / "src" / module.replace(".", "/")
        assert path.with_suffix(".py").is_file()
        assert module.startswith(f"{distribution.module}.")


def test_plugin_depends_on_one_minor_series_of_the_core(
    all_distributions: list[Distribution],
) -> None:
    """A plugin names the series of the core it was written for, never one exact version."""
    core, *plugins = all_distributions
    major, minor, _ = map(int, core.project["version"].split("."))
    expected = f"tiercel>={major}.{minor},<{major}.{minor + 1}"
    for plugin in plugins:
        assert expected in plugin.project["dependencies"]


def test_tools_know_every_distribution(all_distributions: list[Distribution]) -> None:
    """The contracts on imports and the workspace leave no distribution out."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    modules = {distribution.module for distribution in all_distributions}
    plugins = modules - {"tiercel"}
    downwards, no_plugin, independent, only_spi = document["importlinter"]["contracts"]
    assert modules == set(document["importlinter"]["root_packages"])
    assert downwards["containers"] == ["tiercel"]
    assert plugins == set(no_plugin["forbidden_modules"])
    assert plugins == set(independent["modules"])
    assert plugins == set(only_spi["source_modules"])
    assert {name.replace("-", "_") for name in document["uv"]["sources"]} == modules


def test_catalogue_knows_every_entry_point(distribution: Distribution) -> None:
    """The core can say `pip install ...` for whatever a distribution of this repository gives."""
    for group, entries in distribution.project.get("entry-points", {}).items():
        kind = group.removeprefix("tiercel.")
        if kind != group:
            assert set(entries) <= {
                name for name, owner in KNOWN[kind].items() if owner == distribution.name
            }
