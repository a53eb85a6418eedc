"""`many` of a job: what single reads would return, for one look at the shared tier."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from packages.core.tests.brokers import ListBroker
from packages.core.tests.jobbing import (
    LIFETIME,
    REFRESH_TIMEOUT,
    Source,
    Web,
    coroutine,
    job_class,
)
from packages.core.tests.stages import Stage
from tiercel import FunctionJob, Job, cacheback, disabled
from tiercel.jobs.hooks import Call
from tiercel.spi import Begin, Poll, ReadMany, perform_message

PEOPLE = ["eve", "ann", "bob", "eve"]
"""Of whom nothing, fresh data and stale data is kept."""

_serial = count(1)

Told = list[tuple[Any, Call, int, bool | None]]


@pytest.fixture
def source() -> Source:
    """Something to fetch from."""
    return Source()


def telling(told: Told) -> Callable[..., Any]:
    """Return a `process_result` that notes what it is told."""

    def process(self: Any, result: Any, call: Any, status: int, sync_fetch: Any = None) -> Any:
        told.append((result, call, status, sync_fetch))
        return f"processed {result}"

    return process


def one_by_one(job: Any) -> list[Any]:
    return [job.get(who) for who in PEOPLE]


def all_at_once(job: Any) -> list[Any]:
    return job.many(PEOPLE)  # type: ignore[no-any-return]


@pytest.mark.parametrize("read", [one_by_one, all_at_once])
def test_many_when_read_at_once_then_is_what_single_reads_are(
    stage: Stage, source: Source, read: Callable[[Any], list[Any]]
) -> None:
    """`process_result` has the last word on each, and is told how each was found."""
    told: Told = []
    job = job_class(
        stage.cache,
        source,
        process_result=telling(told),
        prepare_args=lambda self, *args: tuple(each.lower() for each in args),
        options={"dispatcher": "inline"},
    )()
    job.get("BOB")
    stage.advance(LIFETIME + 1)
    job.get("Ann")
    told.clear()
    assert read(job) == ["processed 3", "processed 2", "processed 1", "processed 3"]
    assert told == [
        (3, Call(("eve",), {}), Job.MISS, True),
        (2, Call(("ann",), {}), Job.HIT, None),
        (1, Call(("bob",), {}), Job.STALE, False),
        (3, Call(("eve",), {}), Job.HIT, None),
    ]
    assert [who for who, _ in source.fetched] == ["bob", "ann", "eve", "bob"]


def test_many_when_stale_then_each_is_enqueued_once_per_timeout(web: Web) -> None:
    """However many read, and however often one call stands in the list."""
    for who in PEOPLE:
        web.first().get(who)
    web.clock.advance(LIFETIME + 1)
    for expected in (3, 6):
        for _ in range(3):
            assert [job().many(PEOPLE) for job in web.jobs] == [[1, 2, 3, 1]] * 3
        assert web.sent == expected
        web.clock.advance(REFRESH_TIMEOUT + 1)
    for message in web.broker.messages[:3]:
        web.broker.messages = [message]
        web.work()
    assert [job().many(PEOPLE) for job in web.jobs] == [[4, 5, 6, 4]] * 3
    assert len(web.source.fetched) == 6


def test_many_when_all_is_kept_then_takes_one_look(web: Web) -> None:
    """Fresh data and stale data of which another has taken the turn."""
    web.first().get("bob")
    web.clock.advance(LIFETIME + 1)
    web.first().get("ann")
    web.second().get("bob")
    before = len(web.store.commands)
    assert web.worker().many(["ann", "bob"]) == [2, 1]
    kinds = [type(each) for each in web.store.commands[before:]]
    assert [each for each in kinds if each is not Poll] == [ReadMany, Begin]  # of bob's turn


def test_many_when_callers_do_not_fetch_then_all_get_empty(broker: ListBroker) -> None:
    """And a fetch of each is enqueued."""
    web = Web(broker, 0, fetch_on_miss=False, empty=lambda self: [])
    assert web.first().many(PEOPLE) == [[], [], [], []]
    assert web.sent == 3
    for message in list(broker.messages):
        broker.messages = [message]
        web.work()
    assert web.second().many(PEOPLE) == [1, 2, 3, 1]
    web.close()


def test_many_when_too_stale_then_is_fetched_by_the_caller(stage: Stage, source: Source) -> None:
    """As far as the predicates of the job say so, by its own attributes."""

    class Own(job_class(stage.cache, source, options={"dispatcher": "inline"})):  # type: ignore[misc]
        limit = 0

        def should_stale_item_be_fetched_synchronously(
            self, delta: float, *args: Any, **kwargs: Any
        ) -> bool:
            return delta > self.limit

    job = Own()
    job.many(["ann", "bob"])
    stage.advance(LIFETIME + 5)
    job.limit = 10
    assert job.many(["ann", "bob"]) == [1, 2]
    stage.advance(LIFETIME + 5)
    job.limit = 1
    assert job.many(["ann", "bob"]) == [5, 6]


def test_many_when_jobs_are_made_with_arguments_then_each_has_its_own(stage: Stage) -> None:
    """Calls are written as for `many` of every cached function."""

    class Greeting(Job, name=f"tests:greeting{next(_serial)}"):
        cache_alias = stage.cache

        def __init__(self, word: str) -> None:
            self.word = word

        def fetch(self, who: str, mark: str = ".") -> str:
            return f"{self.word} {who}{mark}"

        def process_result(self, result: str, *_: Any, **__: Any) -> str:
            return result.upper()

    calls = ["ann", ("bob", "!"), {"who": "eve"}]
    for _ in range(2):
        assert Greeting("hi").many(calls) == ["HI ANN.", "HI BOB!", "HI EVE."]
        assert Greeting("yo").many(calls) == ["YO ANN.", "YO BOB!", "YO EVE."]


def test_many_when_a_function_is_decorated_then_its_job_processes_each(stage: Stage) -> None:
    """`process_result` gets the function before the arguments, as for single calls."""
    told: list[Any] = []

    class Noting(FunctionJob):
        def process_result(
            self, result: Any, call: Any, cache_status: int, sync_fetch: bool | None = None
        ) -> Any:
            told.append((call.args[1:], cache_status, sync_fetch))
            return result + 1

    @cacheback(
        job_class=Noting,
        lifetime=60,
        cache=stage.cache,
        name=f"tests:noted{next(_serial)}",
        dispatcher="inline",
    )
    def length(text: str) -> int:
        return len(text)

    assert length("ann") == 4
    assert length.many(["ann", "andrew"]) == [4, 7]
    stage.advance(61)
    assert length.many(["ann", "andrew"]) == [4, 7]
    assert told == [
        (("ann",), Job.MISS, True),
        (("ann",), Job.HIT, None),
        (("andrew",), Job.MISS, True),
        (("ann",), Job.STALE, False),
        (("andrew",), Job.STALE, False),
    ]
    with pytest.raises(TypeError, match="decorated function"):
        length.job.many(["ann"])


def test_many_when_caching_is_switched_off_then_fetches_each(stage: Stage, source: Source) -> None:
    """Nothing is read or kept, and the job has the last word nevertheless."""
    told: Told = []
    job = job_class(stage.cache, source, process_result=telling(told))()
    with disabled():
        assert job.many(["ann", "ann"]) == ["processed 1", "processed 2"]
    assert [(call.args, status, fetched) for _, call, status, fetched in told] == [
        (("ann",), Job.MISS, True),
        (("ann",), Job.MISS, True),
    ]


def test_many_when_some_calls_bypass_the_cache_then_only_they_do(
    stage: Stage, source: Source
) -> None:
    """`unless` is asked for each."""
    job = job_class(
        stage.cache, source, options={"unless": lambda function, what=1, other=None: what == "me"}
    )()
    assert job.many(["ann", "me"]) == [1, 2]
    assert job.many(["ann", "me"]) == [1, 3]


def test_many_when_the_shared_tier_is_away_then_fetches_all(web: Web) -> None:
    """As for single reads; a drop that it did not hear of holds when it is back."""
    web.first().many(["ann", "bob"])
    web.store.unreachable = True
    assert web.worker().many(["ann", "bob"]) == [3, 4]
    web.first().delete("ann")
    web.store.unreachable = False
    web.clock.advance(60)
    assert web.first().many(["ann", "bob"]) == [5, 2]


async def test_many_when_fetch_is_a_coroutine_method_then_its_twin_is_awaited(
    stage: Stage, source: Source
) -> None:
    """What is stale or missing is seen to at once; hooks see their own call."""
    told: Told = []
    job = job_class(
        stage.cache,
        source,
        fetch=coroutine(source),
        process_result=telling(told),
        options={"dispatcher": "inline"},
    )()
    assert sorted(await job.amany(["ann", "bob"])) == ["processed 1", "processed 2"]
    assert {(result, call.args) for result, call, _, _ in told} == {
        (number, (who, )) for number, (who, _) in enumerate(source.fetched, 1)
    }  # fmt: skip
    stage.advance(LIFETIME + 1)
    assert sorted(await job.amany(["ann", "bob"])) == ["processed 1", "processed 2"]
    assert len(source.fetched) == 4
    with pytest.raises(TypeError, match="await its amany"):
        job.many(["ann"])


def test_many_when_a_worker_repeats_a_message_then_fetches_once(web: Web) -> None:
    """The tasks of a bulk read are those of single reads."""
    web.first().many(["ann"])
    web.clock.advance(LIFETIME + 1)
    web.first().many(["ann"])
    text = web.take()
    perform_message(text)
    perform_message(text)
    assert len(web.source.fetched) == 2
