"""Options that work, and the errors for those that do not, before anything is connected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from tiercel import ConfigurationError
from tiercel.spi import SPI_VERSION
from tiercel_django_q.plugin import make, tiercel_dispatchers


def test_spec_when_asked_names_the_dispatcher_and_its_options() -> None:
    """It crosses processes, and does not pretend to have priorities."""
    (spec,) = tiercel_dispatchers()
    assert (spec.name, spec.spi, spec.crosses_processes) == ("django_q", SPI_VERSION, True)
    assert {"queue", "max_retries", "dedup_window", "group", "save", "timeout"} <= spec.options
    assert "priority" not in spec.options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queue": 1}, "queue must be a text of at least one character, not 1"),
        ({"max_retries": True}, "max_retries must be an integer of at least 0, not True"),
        ({"group": ""}, "group must be a text of at least one character, not ''"),
        ({"group": "g" * 101}, "group has 101 characters, and 100 are possible"),
        ({"save": "yes"}, "save must be True or False, not 'yes'"),
        ({"timeout": 0}, "timeout must be an integer of at least 1, not 0"),
        ({"timeout": 2.5}, "timeout must be an integer of at least 1, not 2.5"),
    ],
)
def test_option_when_its_value_cannot_work_then_error_names_it(
    options: dict[str, Any], says: str
) -> None:
    """Wrong values are found when the dispatcher is made."""
    with pytest.raises(ConfigurationError) as error:
        make(options)
    assert says in str(error.value)


def test_queue_when_no_cluster_has_this_name_then_error_lists_those_there_are() -> None:
    """A misspelt cluster would never run."""
    clusters = {"name": "main", "cluster_name": "web", "ALT_CLUSTERS": {"slow": {}}}
    with override_settings(Q_CLUSTER=clusters):
        for name in ("main", "web", "slow"):
            make({"queue": name})
        with pytest.raises(ConfigurationError, match="no cluster 'slwo'; it names: main, slow, w"):
            make({"queue": "slwo"})


def test_app_when_it_is_not_installed_then_error_says_so() -> None:
    """Without its tables nothing of django-q2 works."""
    with (
        override_settings(INSTALLED_APPS=["tests.brokers.warehouse"]),
        pytest.raises(ConfigurationError, match="'django_q' in INSTALLED_APPS"),
    ):
        make({})


def test_settings_when_there_are_none_then_error_says_what_to_set(tmp_path: Path) -> None:
    """A plain program without Django cannot use this dispatcher."""
    program = "from tiercel_django_q.plugin import make; make({})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "'django_q' needs Django's settings: set DJANGO_SETTINGS_MODULE" in done.stderr
