"""Options that work, and the errors for those that do not, before anything is connected."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.test import override_settings
from redis import Redis

from tiercel import ConfigurationError
from tiercel.spi import SPI_VERSION
from tiercel_rq.dispatcher import RQDispatcher
from tiercel_rq.plugin import make_django_rq, make_rq, tiercel_dispatchers


def test_specs_when_asked_name_both_dispatchers_and_their_options() -> None:
    """Each crosses processes, and neither pretends to have priorities."""
    plain, django = tiercel_dispatchers()
    assert (plain.name, django.name) == ("rq", "django_rq")
    for spec in (plain, django):
        assert (spec.spi, spec.crosses_processes) == (SPI_VERSION, True)
        assert {"queue", "max_retries", "dedup_window", "at_front", "job_timeout"} <= spec.options
        assert "priority" not in spec.options
    assert plain.options - django.options == {"connection", "serializer", "timeout"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queue": ""}, "queue must be a text"),
        ({"max_retries": -1}, "max_retries must be an integer of at least 0, not -1"),
        ({"max_backoff": 0.5}, "max_backoff=0.5 must be at least min_backoff"),
        ({"at_front": 1}, "at_front must be True or False, not 1"),
        ({"job_timeout": 0}, "job_timeout must be an integer of at least 1, not 0"),
        ({"job_timeout": 1.5}, "job_timeout must be an integer of at least 1, not 1.5"),
        ({"result_ttl": 0}, "result_ttl must be an integer of at least 1, not 0"),
        ({"failure_ttl": "1d"}, "failure_ttl must be an integer of at least 1, not '1d'"),
    ],
)
@pytest.mark.parametrize("make", [make_rq, make_django_rq])
def test_option_when_its_value_cannot_work_then_error_names_it(
    make: Any, options: dict[str, Any], says: str
) -> None:
    """Wrong values are found when the dispatcher is made."""
    with pytest.raises(ConfigurationError) as error:
        make(options)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"connection": "http://x"}, "connection is no URL of a Redis; write redis://"),
        ({"connection": "redis://:hunter2@x:port"}, "connection is no URL of a Redis"),
        ({"connection": 6379}, "must be a URL or a redis.Redis, not an instance of int"),
        ({"serializer": "no.such"}, "serializer must be 'pickle', 'json' or the path of one"),
        ({"timeout": 0}, "timeout must be a number of at least 0.001, not 0"),
    ],
)
def test_option_of_plain_rq_when_its_value_cannot_work_then_error_names_it(
    options: dict[str, Any], says: str
) -> None:
    """A password in a URL is not shown."""
    with pytest.raises(ConfigurationError) as error:
        make_rq(options)
    assert says in str(error.value)
    assert "hunter2" not in str(error.value)


def test_connection_when_it_is_a_client_then_it_is_taken_as_it_is() -> None:
    """Time limits of a client are its maker's business."""
    client = Redis(port=1)
    assert RQDispatcher(connection=client).open_queue().connection is client


def test_connection_when_none_is_given_then_it_is_the_one_of_rq_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`rq worker` and the dispatcher follow the same variable."""
    monkeypatch.setenv("RQ_REDIS_URL", "redis://example.test:7000/3")
    given = RQDispatcher().open_queue().connection.connection_pool.connection_kwargs
    assert (given["host"], given["port"], given["db"]) == ("example.test", 7000, 3)


def test_queue_when_django_rq_does_not_know_it_then_error_lists_those_it_knows() -> None:
    """A misspelt queue would be served by no worker."""
    with pytest.raises(ConfigurationError, match="no queue 'dorps'; it has: default, drops, kit0"):
        make_django_rq({"queue": "dorps"})


def test_queue_when_rq_queues_changes_then_the_dispatcher_follows() -> None:
    """`override_settings` counts."""
    with override_settings(RQ_QUEUES={}), pytest.raises(ConfigurationError, match="it has: none"):
        make_django_rq({})


def test_django_rq_when_it_is_not_installed_then_error_says_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plain RQ is used without it."""
    monkeypatch.setitem(sys.modules, "django_rq", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tiercel-rq\[django\]'"):
        make_django_rq({})
    make_rq({})


def test_django_rq_when_django_has_no_settings_then_error_says_what_to_set() -> None:
    """A plain program is told, in whichever process it runs."""
    program = "from tiercel_rq.plugin import make_django_rq; make_django_rq({})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "'django_rq' needs Django's settings: set DJANGO_SETTINGS_MODULE" in done.stderr
