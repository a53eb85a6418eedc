"""`flask tiercel ...` and tasks."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from flask import current_app

from packages.integrations.flask.tests.making import make_app
from tiercel import cache_result
from tiercel_flask.integration import FlaskIntegration


@cache_result(name="shop.command_probe")
def probe() -> int:
    """A function that commands know by name."""
    return 1


def test_command_when_run_then_it_is_that_of_tiercel_in_the_application() -> None:
    """Arguments and options arrive, and the caches are those of the application."""
    app, _ = make_app()
    with app.app_context():
        probe()
    done = app.test_cli_runner().invoke(args=["tiercel", "functions", "--json"])
    assert done.exit_code == 0, done.output
    assert "shop.command_probe" in json.dumps(json.loads(done.stdout))


def test_command_when_it_is_unknown_then_the_exit_code_says_so() -> None:
    """The exit code of `tiercel` is that of `flask tiercel`."""
    app, _ = make_app()
    done = app.test_cli_runner().invoke(args=["tiercel", "no-such-command"])
    assert done.exit_code != 0
    assert "no-such-command" in done.output


def test_command_when_the_extra_is_missing_then_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An application works without the command line."""

    class Missing(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise ImportError("the command line needs click and rich: pip install 'tiercel[cli]'")

    monkeypatch.setitem(sys.modules, "tiercel.cli", Missing("tiercel.cli"))
    app, _ = make_app()
    done = app.test_cli_runner().invoke(args=["tiercel", "doctor"])
    assert done.exit_code == 1
    assert "pip install 'tiercel[cli]'" in done.output


def test_task_when_the_application_is_running_then_it_runs_there() -> None:
    """Work that was sent to this process finds the application as requests do."""
    app, _ = make_app()
    with app.app_context(), FlaskIntegration().around_task():
        assert current_app.name == app.name


def test_dispatcher_when_the_config_has_options_then_it_gets_them() -> None:
    """`TIERCEL_DISPATCHER_SETTINGS` holds options by the name of a dispatcher."""
    app, _ = make_app(TIERCEL_DISPATCHER_SETTINGS={"rq": {"queue": "low"}})
    with app.app_context():
        assert FlaskIntegration().dispatcher_options("rq") == {"queue": "low"}
        assert FlaskIntegration().dispatcher_options("celery") == {}


def test_commands_when_applications_have_different_caches_then_all_functions_are_listed() -> None:
    """A function on a cache that this application lacks says so, and hides no others."""
    app, _ = make_app(TIERCEL_CACHES={"default": {"memory": 9}, "pages": {"memory": 9}})
    other, _ = make_app(TIERCEL_CACHES={"default": {"memory": 9}})

    @cache_result(name="shop.pages_probe", cache="pages")
    def paged() -> int:
        return 1

    with app.app_context():
        assert paged() == 1
    caches = {}
    for each in (app, other):
        done = each.test_cli_runner().invoke(args=["tiercel", "functions", "--json"])
        assert done.exit_code == 0, done.output
        found = {record["name"]: record for record in json.loads(done.stdout)}
        assert not found["shop.command_probe"]["error"]
        caches[each] = (found["shop.pages_probe"]["cache"], found["shop.pages_probe"]["error"])
    assert caches[app] == ("pages", "")
    assert caches[other][0] == ""
    assert "no cache is called 'pages'" in caches[other][1]
    doctor = other.test_cli_runner().invoke(args=["tiercel", "doctor", "--json"])
    states = {each["subject"]: each["state"] for each in json.loads(doctor.stdout)}
    assert states["function shop.pages_probe"] == "warning"
