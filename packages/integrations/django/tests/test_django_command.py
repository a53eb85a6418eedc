"""`manage.py tiercel` and its subcommands."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test.utils import override_settings

import tiercel
from packages.integrations.django.tests.ruled import ByWhat
from packages.integrations.django.tests.shop.models import Sample
from tiercel import InvalidationRule, cache_result
from tiercel.inspection import health, watching
from tiercel.inspection.caches import known_cache
from tiercel.inspection.functions import known_functions
from tools.environment import ROOT


@cache_result(
    key_constructor=ByWhat,
    tags=["shown"],
    invalidates_on=[InvalidationRule(Sample, field_mapping={"what": "name"}, name="by name")],
    name="command.shown",
)
def shown(what: str) -> object:
    """A function that the commands find."""
    return [what]


@cache_result(name="command.awaited")
async def awaited(number: int) -> list[int]:
    """A coroutine function that the commands find."""
    return [number]


@cache_result(name="command.failing")
def failing() -> None:
    """Fails to be computed."""
    raise ZeroDivisionError("on purpose")


def _label(self: Any, mark: str = ".") -> str:
    return f"{self.name}{mark}"


_label.__module__, _label.__qualname__ = Sample.__module__, "Sample.label"
label: Any = cache_result(name="command.label")(_label)
"""What a cached method of a model is."""


@pytest.fixture(autouse=True)
def _no_caches_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor and stats ask all that live, and those of other tests have lost their servers."""
    own = [each for each in known_functions() if each.name.startswith("command.")]
    monkeypatch.setattr(watching, "known_caches", lambda: {"default": known_cache("default")})
    monkeypatch.setattr(health, "caches_by_hand", dict)
    monkeypatch.setattr(health, "known_functions", lambda: own)


def _run(*arguments: str, code: int = 0) -> str:
    out = StringIO()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command("tiercel", *arguments, stdout=out)
        assert ended.value.code == code
    else:
        call_command("tiercel", *arguments, stdout=out)
    return out.getvalue()


def _records(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(_run(*arguments, "--json", code=code))
    return records


def test_plugins_then_every_plugin_with_its_state() -> None:
    """The table has a line for each, and JSON the same."""
    assert "integrations" in _run("plugins")
    found = {
        each["kind"]: each["state"] for each in _records("plugins") if each["name"] == "django"
    }
    assert found.keys() == {"backends", "integrations", "key_fields"}
    assert found["integrations"] == "loaded"


def test_doctor_when_all_is_well_then_says_so() -> None:
    """Nothing to do means exit code 0."""
    assert {each["state"] for each in _records("doctor")} == {"ok"}


def test_doctor_when_something_is_wrong_then_says_what_to_do() -> None:
    """A server that is not there and a wrong setting are named, and the exit code is 1."""
    given = {"CACHES": {"reports": "redis://127.0.0.1:1/0"}, "OUTBOXX": True}
    with override_settings(TIERCEL=given):
        wrong = [each for each in _records("doctor", code=1) if each["state"] == "wrong"]
    assert {each["subject"] for each in wrong} == {"cache reports", "tiercel.E001"}
    assert all(each["advice"] for each in wrong)


def test_rules_then_each_with_what_it_drops() -> None:
    """A rule is listed with its function, its model and its reach."""
    (rule,) = _records("rules", "command.shown")
    assert rule == {
        "function": "command.shown", "rule": "by name", "model": "shop.Sample",
        "drops": "partition", "mapping": {"what": "name"}, "watches": [], "when": {},
        "rewarms": False, "dispatcher": None,
    }  # fmt: skip
    assert "by name" in _run("rules")


@pytest.mark.django_db
def test_method_of_a_model_then_its_row_is_said_by_its_primary_key() -> None:
    """No row is read for that."""
    row = Sample.objects.create(name="one")
    key = label.get_cache_key(row, "!")
    assert _run("key", "command.label", f"self={row.pk}", "!") == f"{key}\n"


def test_stats_then_how_calls_were_served() -> None:
    """Hits and computations of this process are counted."""
    before = {each["function"]: each for each in _records("stats", "command.")}
    for _ in range(3):
        shown("stats")
    after = {each["function"]: each for each in _records("stats", "command.")}
    gained = {
        name: after["command.shown"][name] - before["command.shown"][name]
        for name in ("computations", "memory_hits")
    }
    assert gained == {"computations": 1, "memory_hits": 2}


@pytest.mark.parametrize(
    "arguments",
    [["command.shown"], ["--cache", "default"], ["--tag", "shown"]],
    ids=["function", "cache", "tag"],
)
def test_purge_then_entries_are_gone(arguments: list[str]) -> None:
    """What is named is dropped, without a question if none is wanted."""
    before = shown("purge")
    _run("purge", "--no-input", *arguments)
    assert shown("purge") is not before


def test_purge_of_a_coroutine_function_then_gone() -> None:
    """Coroutine functions are no exception."""
    import asyncio

    before = asyncio.run(awaited(1))
    _run("purge", "--no-input", "command.awaited")
    assert asyncio.run(awaited(1)) is not before


def test_purge_when_not_confirmed_then_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropping asks before, and does it only for a yes."""
    before = shown("asked")
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    with pytest.raises(CommandError, match="given up"):
        call_command("tiercel", "purge", "command.shown")
    assert shown("asked") is before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["purge", "--no-input"], "say what to drop"),
        (["purge", "--no-input", "nobody"], "no cached function 'nobody'"),
        (["warm", "command.shown", "--call", "{"], "is no JSON"),
        (["warm", "command.shown", "--call", "5"], "a list of arguments"),
    ],
)
def test_mistakes_then_said_in_one_line(arguments: list[str], said: str) -> None:
    """A wrong argument is an error that says what to do."""
    with pytest.raises(CommandError, match=said):
        call_command("tiercel", *arguments)


def test_warm_then_calls_are_stored() -> None:
    """Each call is computed and found afterwards, whatever kind of function it is."""
    _run("purge", "--no-input", "--cache", "default")
    calls = ["--call", '["a"]', "--call", '{"what": "b"}']
    assert [each["error"] for each in _records("warm", "command.shown", *calls)] == ["", ""]
    for what in "ab":
        assert shown.get_cache_only(what) is not tiercel.CACHE_MISSING
    assert "command.awaited" in _run("warm", "command.awaited", "--call", "[1]")


def test_warm_when_it_fails_then_told_and_exit_code_one() -> None:
    """A function that cannot be computed is named with its error."""
    (record,) = _records("warm", "command.failing", code=1)
    assert record["error"] == "ZeroDivisionError: on purpose"


def _manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    settings = "--settings=packages.integrations.django.tests.settings"
    return subprocess.run(
        [sys.executable, "-m", "django", "tiercel", *arguments, settings],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_command_line_then_the_options_and_exit_codes_of_tiercel() -> None:
    """`manage.py tiercel` hands over everything but Django's own options, and says mistakes."""
    found = _manage("plugins", "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert {"django", "redis"} <= {each["name"] for each in json.loads(found.stdout)}
    helped = _manage("--help")
    assert helped.returncode == 0
    assert "relay" in helped.stdout
    mistaken = _manage("get", "nobody")
    assert mistaken.returncode == 2
    assert "no cached function 'nobody'" in mistaken.stderr
    assert "Traceback" not in mistaken.stderr
