"""What of jobs travels to workers: exact arguments, how they were made, and their cache."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.core.tests.brokers import ListBroker, plugged
from packages.core.tests.jobbing import Source, Web, job_class
from tiercel import Cache, ConfigurationError, Job, configure
from tiercel.spi import perform_message
from tiercel.testing import SimulatedBackend, VirtualClock

_serial = count(1)


class Place(Job):
    """Its class can be imported, and it is made with arguments."""

    lifetime = 600.0

    def __init__(self, tenant: str, *, lifetime: float | None = None) -> None:
        self.tenant = tenant
        if lifetime is not None:
            self.lifetime = lifetime

    def fetch(self, what: Any, **more: Any) -> Any:
        return (self.tenant, what, more, self.lifetime)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from([UUID(int=7), date(2026, 1, 2), Decimal("1.50"), 0.1])
    | st.just(datetime(2026, 1, 2, tzinfo=UTC)),
    lambda inner: (
        st.tuples(inner, inner)
        | st.lists(inner, max_size=2)
        | st.dictionaries(st.integers() | st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=60)
@given(value=VALUES)
def test_arguments_when_a_worker_gets_them_then_are_exactly_those_of_the_caller(
    value: Any,
) -> None:
    """Tuples stay tuples and keys of dicts integers, so the refresh lands where readers look."""
    broker, clock = ListBroker(), VirtualClock()
    with plugged(broker):
        backend = SimulatedBackend(clock)  # alone: whether memory has followed is another matter
        configure(default=Cache(backend=backend, memory=0, clock=clock, dispatcher="list"))
        try:
            Place("north", lifetime=5).get(value, more=value)
            clock.advance(6)
            Place("north", lifetime=5).get(value, more=value)
            perform_message(broker.take())
            expiry, data = Place("north").raw_get(value, more=value) or (0, None)
            assert repr(data) == repr(("north", value, {"more": value}, 5))
            assert expiry - clock.time() == pytest.approx(5, abs=0.1)
        finally:
            configure()


def test_argument_when_no_worker_could_get_it_then_is_refused_at_the_call(web: Web) -> None:
    """The error names the argument; nothing is fetched, and nothing kept."""

    class Odd:
        def __cache_key__(self) -> str:
            return "odd"

    with pytest.raises(TypeError, match=r"argument 'what' of web:job\d+ cannot be carried"):
        web.first().get(Odd())
    assert web.source.fetched == []


def test_job_when_made_with_arguments_then_they_tell_its_data_apart(broker: ListBroker) -> None:
    """But attributes that do not change what is fetched are no part of the key."""
    assert Place("north").key(1) != Place("south").key(1)
    assert Place("north").key(1) == Place("north", lifetime=5).key(1)
    assert Place("north").get(1)[0] == "north"
    assert Place("south").get(1)[0] == "south"
    configure()


def test_job_when_its_alias_differs_then_lives_and_is_refreshed_on_that_cache(
    broker: ListBroker,
) -> None:
    """The worker finds the cache by its name, also if it never had a job on it."""
    clock = VirtualClock()

    class Aliased(Job, name=f"tests:aliased{next(_serial)}", dispatcher="list"):
        fetched = 0

        def fetch(self) -> int:
            type(self).fetched += 1
            return self.fetched

    def on(alias: str | None) -> Job:
        job = Aliased()
        job.cache_alias = alias
        return job

    backend = SimulatedBackend(clock)
    configure(
        default=Cache(backend=backend, clock=clock, name="default"),
        other=Cache(backend=backend, clock=clock, name="other", prefix="other"),
    )
    try:
        on("other").get()
        assert on(None).raw_get() is None
        clock.advance(601)
        on("other").get()
        Aliased._functions.pop("other")  # as a worker that has only imported the class
        perform_message(broker.take())
        assert on("other").get() == 2
        assert on(None).raw_get() is None
    finally:
        configure()


def test_task_options_when_given_then_go_to_the_dispatcher(web: Web) -> None:
    """Also those of one job; unknown ones are errors when it is called."""
    job = web.first()
    job.task_options = {"queue": "slow"}
    assert job.function.carrier(job).queue == "slow"
    job.task_options = {"queu": "slow"}
    with pytest.raises(ConfigurationError, match=r"no option 'queu'; .* did you mean 'queue'"):
        job.get()


def test_message_when_another_version_wrote_it_then_its_job_is_refreshed_by_name(
    memory_job: type[Job],
) -> None:
    """Workers can still do what cacheback has enqueued, for classes of jobs and nothing else."""
    path = f"{memory_job.__module__}.{memory_job.__name__}"
    Job.perform_async_refresh(path, (), {}, ("ann",), {})
    Job.job_refresh(path, (), {}, ("bob",), {})
    assert memory_job.source.fetched == [("ann", None), ("bob", None)]  # type: ignore[attr-defined]
    for other in ("subprocess.Popen", f"{__name__}.Web", "no.such.Job", f"{__name__}.Nothing"):
        Job.perform_async_refresh(other, ("true",), {}, (), {})


@pytest.fixture
def memory_job(monkeypatch: pytest.MonkeyPatch) -> type[Job]:
    """A class of jobs that can be found by its name."""
    source = Source()
    made: type[Job] = job_class(Cache(), source, source=source, __module__=__name__)
    monkeypatch.setitem(globals(), made.__name__, made)
    return made


def test_text_of_a_task_when_read_then_holds_no_pickle(web: Web) -> None:
    """It is plain JSON that names the function."""
    web.make_stale(("a", 1), 2)
    web.first().get(("a", 1), 2)
    fields = json.loads(web.take())
    assert fields["payload"]["args"] == [{"$tuple": ["a", 1]}, 2]
