"""What stands in the keys of jobs, and how jobs are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from packages.core.tests.jobbing import LIFETIME, Source, job_class
from packages.core.tests.stages import Stage
from tiercel import FunctionJob
from tiercel.errors import UnkeyableValue


def test_keys_when_values_look_alike_then_differ(memory: Stage) -> None:
    """No two calls share an entry because their texts do."""
    job = job_class(memory.cache, Source())()
    calls: list[Any] = ["a:b", 1, "1", None, "None", b"x", "x", True, "True", ("a", "b"), ["a"]]
    assert len({job.key(each) for each in calls}) == len(calls)
    assert job.key("a", "b") != job.key("a:b")
    with pytest.raises(UnkeyableValue, match="argument 'what'"):
        job.get(object())


def test_key_when_overridden_then_stands_in_the_key_and_super_helps(memory: Stage) -> None:
    """`super().key` is a text of the whole call, and `hash` one of any value."""
    source = Source()

    class Own(job_class(memory.cache, source)):  # type: ignore[misc]
        def key(self, what: Any, *rest: Any, **kwargs: Any) -> str:
            if what == "all":
                return str(super().key(what, *rest, **kwargs))
            return f"first:{self.hash(what)}"

    assert Own().get("ann", 1) == Own().get("ann", 2) == 1
    assert Own().get("all", 1) != Own().get("all", 2)
    assert "first" in Own().function.get_cache_key("ann", 1)
    assert Own().hash(1) != Own().hash("1")


def test_class_path_when_asked_then_names_the_class(memory: Stage) -> None:
    """Module and name, as cacheback does."""
    assert FunctionJob().class_path == "tiercel.jobs.functions.FunctionJob"
    assert job_class(memory.cache, Source())().cache is memory.cache
    assert job_class(memory.cache, Source()).lifetime == LIFETIME


def test_job_when_given_arguments_it_does_not_take_then_says_so(memory: Stage) -> None:
    """Arguments of a call belong to `get`."""
    with pytest.raises(TypeError, match=r"Counted\(\) takes no arguments; pass them to get"):
        job_class(memory.cache, Source())("ann")


def test_data_type_when_said_then_values_come_back_as_that(shared: Stage) -> None:
    """The shared tier keeps dataclasses that no annotation names."""

    @dataclass
    class Point:
        x: int

    job = job_class(shared.cache, Source(), data_type=Point)
    job().set(1, Point(3))
    assert job().get(1) == Point(3)
