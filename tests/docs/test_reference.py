"""The reference pages name everything there is, as the code has it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import MISSING, fields
from enum import Enum
from functools import cache
from pathlib import Path

import pytest
from msgspec import StructMeta

import tiercel
from tests.docs.pages import all_pages
from tiercel import cli, errors
from tiercel.bulletins import Happening
from tiercel.contracts.backend import Capability
from tiercel.contracts.integration import Finding
from tiercel.decorate import OPTIONS
from tiercel.events import Cause, EventKind, OperationKind, Status
from tiercel.inspection import records
from tiercel.inspection.watching import FunctionCounts, FunctionRates
from tiercel.invalidation import InvalidationRule
from tiercel.keys.constructor import KeyOptions
from tiercel.location import Location
from tiercel.methods import METHODS
from tiercel.outcomes import Metadata
from tiercel.plugins import default_registry, hookspecs
from tiercel.plugins.kinds import KINDS
from tiercel.policy import Policy
from tools.environment import ROOT, distributions

SETTINGS = {
    "django": "how-to/django.md",
    "flask": "how-to/flask.md",
    "opentelemetry": "reference/telemetry.md",
}
"""Pages of packages that have settings of their own."""

HOOKS = [name for name in vars(hookspecs) if name.startswith("tiercel_")]


@cache
def text_of(page: str) -> str:
    """Return the text of a page of `docs/`."""
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def missing(page: str, names: Iterable[str | Enum]) -> list[str]:
    """Return the names that a page does not show as code."""
    code = " ".join(re.findall(r"`([^`\n]+)`", text_of(page)))
    return [str(name) for name in names if not re.search(rf"\b{re.escape(str(name))}\b", code)]


def rows(page: str) -> dict[str, list[str]]:
    """Return the cells of the tables of a page by what stands in their first column."""
    lines = re.findall(r"^\| `(\w+)` \| (.*) \|$", text_of(page), re.MULTILINE)
    return {name: [cell.strip(" `") for cell in rest.split(" | ")] for name, rest in lines}


def test_options_when_a_decorator_takes_one_then_it_has_a_row() -> None:
    """Every option of the decorators stands in the table, and no other."""
    assert set(rows("reference/options.md")) == OPTIONS | {"cache"}


@pytest.mark.parametrize("field", fields(Policy), ids=lambda field: field.name)
def test_options_when_an_option_has_a_default_then_the_table_says_so(field: object) -> None:
    """Numbers, None and choices in the column of defaults are those of the code."""
    name, default = getattr(field, "name", ""), getattr(field, "default", None)
    shown = rows("reference/options.md")[name][1]
    expected = {(): "none"}.get(default, default) if isinstance(default, tuple) else default
    assert shown.strip('"') == (f"{expected:g}" if type(expected) is float else str(expected))


@pytest.mark.parametrize("field", fields(InvalidationRule), ids=lambda field: field.name)
def test_rules_when_one_has_an_option_then_the_table_says_its_default(field: object) -> None:
    """Every option of a rule has a row with its default, and no other has one."""
    name, default = getattr(field, "name", ""), getattr(field, "default", None)
    shown = rows("reference/rules.md")
    assert shown[name][1] == ("none, needed" if default is MISSING else str(default))
    assert set(shown) == {each.name for each in fields(InvalidationRule)}


def test_cached_function_when_it_has_a_method_then_that_is_described() -> None:
    """Every method, and every twin, is on the page."""
    assert missing("reference/cached-function.md", METHODS) == []


def test_jobs_when_one_has_an_attribute_or_method_then_it_is_described() -> None:
    """Attributes, methods to call and to override; twins are named by a rule."""
    names = {name for cls in tiercel.Job.__mro__[:-1] for name in vars(cls) if name[0] != "_"}
    twins = {name for name in names if name[0] == "a" and name[1:] in names}
    assert missing("reference/jobs.md", names - twins) == []


def test_key_fields_when_one_is_public_then_its_parameters_are_shown() -> None:
    """Every public key field has a row with its own parameters, and Meta all its options."""
    page = text_of("reference/key-fields.md")
    for name in (each for each in tiercel.__all__ if each.endswith("KeyField")):
        cls = getattr(tiercel, name)
        if inspect.isabstract(cls):
            continue
        parameters = list(inspect.signature(cls).parameters.values())
        own = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        row = re.search(rf"^\| `{name}\((.*?)\)` \|", page, re.MULTILINE)
        assert row is not None, name
        assert [part.split("=")[0] for part in row[1].split(", ") if part] == own, name
    assert missing("reference/key-fields.md", (field.name for field in fields(KeyOptions))) == []


def test_metadata_when_a_call_may_say_it_then_it_is_described() -> None:
    """Keys of the metadata, statuses and causes are all there."""
    names = [*Metadata.__annotations__, *Status, *Cause]
    assert missing("reference/metadata.md", names) == []


def test_errors_when_one_exists_then_it_is_described() -> None:
    """Every class of the tree of errors is on the page, under its own name."""
    names = [name for name, value in vars(errors).items() if inspect.isclass(value)]
    assert missing("reference/errors.md", names) == []


def test_cache_urls_when_a_parameter_exists_then_it_is_described() -> None:
    """Parameters of all caches, of each backend here, its schemes, and environment variables."""
    own = {field.name for field in fields(Location)} - {"scheme", "url", "options"}
    registry = default_registry()
    schemes = {each.name for each in registry.installation if each.kind.name == "backends"}
    options = {name for scheme in schemes for name in registry.backend(scheme).options}
    assert missing("reference/cache-urls.md", own | options) == []
    assert [s for s in schemes if f"`{s}://" not in text_of("reference/cache-urls.md")] == []


@pytest.mark.parametrize("root", distributions(), ids=lambda root: root.name)
def test_settings_when_a_package_reads_one_then_it_is_described(root: Path) -> None:
    """Environment variables and settings of frameworks that begin with the name of the project."""
    names = {
        name
        for path in (root / "src").rglob("*.py")
        for name in re.findall(r"\bTIERCEL_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }
    assert missing(SETTINGS.get(root.name, "reference/cache-urls.md"), names) == []


def test_manual_values_when_a_cache_has_a_method_then_it_is_described() -> None:
    """Every public method of a cache is on the page of values or of its URLs."""
    methods = {name for name, value in vars(tiercel.Cache).items() if inspect.isfunction(value)}
    own = {"cached", "ledger"}
    plain = {name for name in methods if name[0] != "_" and name[1:] not in methods} - own
    assert missing("how-to/manual-values.md", plain) == []


def test_command_line_when_a_command_exists_then_it_and_its_options_are_described() -> None:
    """Every command, every option of one, and every attribute of what `--json` prints."""
    commands = cli.group.commands
    options = {each for made in commands.values() for option in made.params for each in option.opts}
    flags = {option for option in options if option.startswith("--")}
    assert missing("reference/command-line.md", commands) == []
    code = " ".join(re.findall(r"`([^`\n]+)`", text_of("reference/command-line.md")))
    assert [flag for flag in sorted(flags) if flag not in code] == []
    shapes = [value for value in vars(records).values() if isinstance(value, StructMeta)]
    shapes += [Finding, FunctionCounts, FunctionRates, Happening]
    names = {name for shape in shapes for name in shape.__struct_fields__}
    assert missing("reference/command-line.md", names) == []
    assert missing("reference/command-line.md", records.EntryState) == []


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_when_one_exists_then_its_signature_is_shown(hook: str) -> None:
    """Each hook has a heading, its exact signature, and the version since when it is there."""
    function = getattr(hookspecs, hook)
    signature = str(inspect.signature(function)).replace("'", "")
    _, found, section = text_of("plugins/hooks.md").partition(f"\n## {hook}\n")
    assert found
    section = section.partition("\n## ")[0]
    assert f"`{hook}{signature}`" in section
    documented = " ".join(section.replace("**", "").replace("\n- ", " ").split())
    assert " ".join((inspect.getdoc(function) or "").split()) in documented


def test_hooks_when_a_kind_of_plugin_exists_then_its_group_and_spec_are_shown() -> None:
    """The table names the entry point group and the spec of every kind."""
    names = [name for kind in KINDS for name in (kind.hook, kind.group, kind.spec.__name__)]
    assert missing("plugins/hooks.md", names) == []


def test_plugin_pages_when_something_can_happen_then_it_is_listed() -> None:
    """Observers read all kinds of operations and events, authors of backends all capabilities."""
    assert missing("plugins/writing-an-observer.md", [*OperationKind, *EventKind]) == []
    names = (capability.name for capability in Capability)
    assert missing("plugins/writing-a-backend.md", names) == []


def test_public_names_when_exported_then_the_pages_speak_of_each() -> None:
    """Nothing is public and undocumented."""
    everything = "\n".join(page.text for page in all_pages())
    unsaid = [name for name in tiercel.__all__ if not re.search(rf"\b{name}\b", everything)]
    assert unsaid == []
