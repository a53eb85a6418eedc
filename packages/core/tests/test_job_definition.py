"""Classes of jobs: their defaults, and what is refused when they are defined."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from packages.core.tests.jobbing import Source, job_class
from packages.core.tests.stages import Stage
from tiercel import ConfigurationError, Job


@pytest.fixture
def source() -> Source:
    """Something to fetch from."""
    return Source()


def test_job_when_nothing_is_said_then_has_the_defaults_of_the_documentation() -> None:
    """Names and values are those that the API page gives."""
    assert (Job.lifetime, Job.refresh_timeout, Job.cache_ttl) == (600, 60, 2_592_000)
    assert (Job.fetch_on_miss, Job.fetch_on_stale_threshold) == (True, None)
    assert (Job.cache_alias, Job.task_options, Job.set_data_kwarg) == (None, None, "data")
    assert (Job.MISS, Job.HIT, Job.STALE) == (0, 1, 2)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"lifetime": 0}, "lifetime=0 must be more than 0"),
        ({"lifetime": "10"}, "lifetime='10' must be seconds or a timedelta"),
        ({"refresh_timeout": -1}, "refresh_timeout=-1 must be"),
        ({"cache_ttl": None}, "cache_ttl=None must be"),
        ({"fetch_on_stale_threshold": 0}, "fetch_on_stale_threshold=0 must be more than"),
        ({"options": {"ttl": 5}}, "takes no option 'ttl': say lifetime instead"),
        ({"options": {"stale": 5}}, "takes no option 'stale': say cache_ttl instead"),
        ({"options": {"tagz": []}}, "unknown option 'tagz'; did you mean 'tags'"),
        ({"options": {"dispatcher": "threadpool"}, "task_options": {"queue": "q"}}, "no option"),
        ({"cache_alias": 7}, "cache_alias=7: give the name of a cache"),
    ],
)
def test_job_when_its_class_is_wrong_then_is_refused_at_its_definition(
    memory: Stage, source: Source, said: dict[str, Any], error: str
) -> None:
    """The error names the job, what is wrong and what to do."""
    with pytest.raises(ConfigurationError, match=error):
        job_class(memory.cache, source, **said)


def test_job_when_times_are_timedeltas_then_means_the_same(memory: Stage, source: Source) -> None:
    """As everywhere."""
    job = job_class(
        memory.cache,
        source,
        lifetime=timedelta(seconds=10),
        fetch_on_stale_threshold=timedelta(seconds=20),
    )
    job().get()
    memory.advance(21)
    assert job().get() == 2


def test_job_when_it_does_not_say_how_to_fetch_then_cannot_be_called() -> None:
    """A class without `fetch` may be a base of others."""

    class Base(Job):
        lifetime = 5

    with pytest.raises(ConfigurationError, match=r"Base must define fetch\(\)"):
        Base().get()
    with pytest.raises(NotImplementedError, match="Base must define fetch"):
        Base().fetch()
