"""`Job.get` and its relatives: what a caller gets, when it is fetched, what the hooks are told."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from packages.core.tests.jobbing import (
    CACHE_TTL,
    LIFETIME,
    REFRESH_TIMEOUT,
    Source,
    coroutine,
    job_class,
)
from packages.core.tests.stages import Stage, wait_until
from tiercel import Job, disabled
from tiercel.jobs.hooks import Call


@pytest.fixture
def source() -> Source:
    """Something to fetch from."""
    return Source()


def settled(job: Any, data: Any, *args: Any) -> None:
    """Wait until a refresh in the background is kept."""
    wait_until(lambda: (job.raw_get(*args) or (0, None))[1] == data)


def test_get_when_nothing_is_kept_then_fetches_once(stage: Stage, source: Source) -> None:
    """The first caller fetches, later ones get what is kept, however they write the call."""
    job = job_class(stage.cache, source)
    assert job().get("ann") == 1
    assert job().get(what="ann") == 1
    assert job().get("ann", other=None) == 1
    assert source.fetched == [("ann", None)]


def got_by_crowd(job: Any, size: int, source: Source, *, fetch: int) -> list[int]:
    """What threads get that all ask before this fetch of the source ends."""
    gate, got = threading.Event(), list[int]()
    source.before = partial(gate.wait, 5)
    threads = [threading.Thread(target=lambda: got.append(job().get())) for _ in range(size)]
    for thread in threads:
        thread.start()
    source.wait_for(fetch)
    gate.set()
    for thread in threads:
        thread.join()
    return got


def test_get_when_many_threads_find_nothing_then_one_fetches(tiers: Stage, source: Source) -> None:
    """A crowd at a cold key is one fetch."""
    job = job_class(tiers.cache, source)
    assert got_by_crowd(job, 12, source, fetch=1) == [1] * 12


@pytest.mark.parametrize("dispatcher", ["threadpool", "inline", None])
def test_get_when_stale_then_returns_at_once_and_refreshes(
    stage: Stage, source: Source, dispatcher: str | None
) -> None:
    """The caller gets the old data; the new one is fetched once, in the background."""
    job = job_class(stage.cache, source, options={"dispatcher": dispatcher})
    assert job().get() == 1
    stage.advance(LIFETIME + 1)
    assert job().get() == 1
    settled(job(), 2)
    assert job().get() == 2
    assert len(source.fetched) == 2


def test_get_when_none_was_fetched_then_that_is_kept(stage: Stage, source: Source) -> None:
    """None is a value like any other."""
    source.data = lambda: None
    job = job_class(stage.cache, source)
    assert job().get() is None
    assert job().get() is None
    assert len(source.fetched) == 1
    entry = job().raw_get()
    assert entry is not None
    assert entry[1] is None


def test_get_when_nothing_may_be_fetched_then_gets_empty_until_it_is_there(
    stage: Stage, source: Source
) -> None:
    """With `fetch_on_miss = False` no caller waits, and the data comes in the background."""
    gate = threading.Event()
    source.before = partial(gate.wait, 5)
    job = job_class(stage.cache, source, fetch_on_miss=False, empty=lambda self: "later")
    assert [job().get(), job().get()] == ["later", "later"]
    gate.set()
    settled(job(), 1)
    assert job().get() == 1
    assert len(source.fetched) == 1


@pytest.mark.parametrize(("age", "fetches"), [(900, False), (901, True)])
def test_get_when_stale_for_too_long_then_fetches(
    stage: Stage, source: Source, age: int, fetches: bool
) -> None:
    """The threshold is an age, and reaching it is not passing it."""
    seen: list[tuple[int, bool | None]] = []

    def process(self: Any, result: Any, call: Any, status: int, sync_fetch: Any = None) -> Any:
        seen.append((status, sync_fetch))
        return result

    job = job_class(stage.cache, source, fetch_on_stale_threshold=900, process_result=process)
    job().get()
    stage.advance(age)
    assert job().get() == (2 if fetches else 1)
    assert seen[1] == (Job.STALE, fetches)


def test_get_when_refreshes_fail_for_long_then_the_threshold_still_counts_from_the_fetch(
    stage: Stage, source: Source
) -> None:
    """Readers who are served stale do not make data younger than it is."""
    job = job_class(
        stage.cache, source, fetch_on_stale_threshold=900, options={"dispatcher": "inline"}
    )
    assert job().get() == 1
    source.fails = True
    stage.advance(LIFETIME + 1)
    for _ in range(4):
        assert [job().get(), job().get()] == [1, 1]
        stage.advance(61)
    assert len(source.fetched) == 5
    source.fails, before = False, len(source.fetched)
    stage.advance(100)
    assert job().get() == before + 1


def test_get_when_too_stale_for_many_threads_then_one_fetches(tiers: Stage, source: Source) -> None:
    """Those who may not be served stale share one fetch."""
    job = job_class(tiers.cache, source, fetch_on_stale_threshold=700)
    job().get()
    tiers.advance(701)
    assert got_by_crowd(job, 8, source, fetch=2) == [2] * 8
    assert len(source.fetched) == 2


def test_get_when_kept_for_cache_ttl_then_is_forgotten(stage: Stage, source: Source) -> None:
    """Stale data is served until then, and fetched anew afterwards."""
    job = job_class(stage.cache, source, options={"dispatcher": "inline"})
    job().get()
    stage.advance(CACHE_TTL - 1)
    source.fails = True
    assert job().get() == 1
    source.fails = False
    stage.advance(2)
    assert job().raw_get() is None


def test_get_when_the_first_fetch_fails_then_raises(stage: Stage, source: Source) -> None:
    """There is nothing to serve instead, and nothing is kept."""
    job, source.fails = job_class(stage.cache, source), True
    with pytest.raises(ConnectionError):
        job().get()
    source.fails = False
    assert job().get() == 2


def test_process_result_when_called_then_is_told_how_it_was_found(
    stage: Stage, source: Source
) -> None:
    """It gets raw arguments and has the last word, but what is kept stays as it was fetched."""
    seen: list[Any] = []

    def process(self: Any, result: Any, call: Any, status: int, sync_fetch: Any = None) -> Any:
        seen.append((result, call, status, sync_fetch))
        return f"processed {result}"

    job = job_class(
        stage.cache,
        source,
        process_result=process,
        prepare_args=lambda self, *args: tuple(each.lower() for each in args),
        options={"dispatcher": "inline"},
    )
    assert job().get("ANN") == "processed 1"
    assert job().get("Ann") == "processed 1"
    stage.advance(LIFETIME + 1)
    assert job().get("ann") == "processed 1"
    assert job().raw_get("ann")[1] == 2
    assert seen == [
        (1, Call(("ANN",), {}), Job.MISS, True),
        (1, Call(("Ann",), {}), Job.HIT, None),
        (1, Call(("ann",), {}), Job.STALE, False),
    ]
    assert source.fetched == [("ann", None)] * 2


def test_hooks_when_overridden_then_decide_for_each_call(stage: Stage, source: Source) -> None:
    """`expiry` and the two predicates get the arguments of the call, on the job that was called."""
    told: list[Any] = []

    class Own(job_class(stage.cache, source, options={"dispatcher": "inline"})):  # type: ignore[misc]
        life = 5

        def expiry(self, what: Any = 1, other: Any = None) -> float:
            return self.cache.clock.time() + self.life * what  # type: ignore[no-any-return]

        def should_missing_item_be_fetched_synchronously(self, *args: Any, **kwargs: Any) -> bool:
            told.append(("missing", args, kwargs))
            return args != (3,)

        def should_stale_item_be_fetched_synchronously(
            self, delta: float, *args: Any, **kwargs: Any
        ) -> bool:
            told.append(("stale", round(delta), args, kwargs))
            return True

    job = Own()
    job.life = 10
    assert job.get(2) == 1
    assert job.get(3) is None
    stage.advance(21)
    assert Own().get(2, other=None) == 3
    assert told == [
        ("missing", (2,), {}),
        ("missing", (3,), {}),
        ("stale", 1, (2,), {"other": None}),
    ]


def test_get_when_caching_is_switched_off_then_fetches_each_time(
    stage: Stage, source: Source
) -> None:
    """Nothing is read or kept, and the job has the last word nevertheless."""
    job = job_class(stage.cache, source, process_result=lambda self, result, *_, **__: [result])
    assert job().get() == [1]
    with disabled():
        assert [job().get(), job().get()] == [[2], [3]]
        assert job().raw_get() is None
    assert job().get() == [1]


def test_get_when_an_exception_is_kept_then_is_raised_again(stage: Stage, source: Source) -> None:
    """With `cache_exceptions`, as everywhere."""
    job = job_class(stage.cache, source, options={"cache_exceptions": ConnectionError})
    source.fails = True
    for _ in range(2):
        with pytest.raises(ConnectionError, match="the source is away"):
            job().get()
    assert len(source.fetched) == 1


def test_get_when_a_predicate_rejects_data_then_is_not_kept(stage: Stage, source: Source) -> None:
    """`cache_if` gets the data, and arguments that it names."""
    job = job_class(
        stage.cache, source, options={"cache_if": lambda data, what: what == "ann" and data > 1}
    )
    assert [job().get("ann"), job().get("ann"), job().get("ann")] == [1, 2, 2]
    assert [job().get("bob"), job().get("bob")] == [3, 4]


def test_raw_get_when_something_is_kept_then_tells_its_end(stage: Stage, source: Source) -> None:
    """The timestamp is when the data becomes stale; looking refreshes nothing."""
    job = job_class(stage.cache, source)
    assert job().raw_get() is None
    began = stage.clock.time()
    job().get()
    stage.advance(LIFETIME + 100)
    expiry, data = job().raw_get()
    assert (expiry, data) == (pytest.approx(began + LIFETIME, abs=0.1), 1)
    assert len(source.fetched) == 1
    assert job().should_refresh()


def test_set_when_data_is_given_then_is_fresh_for_a_lifetime(stage: Stage, source: Source) -> None:
    """Data comes last or by name; the name can be chosen."""
    job = job_class(stage.cache, source, set_data_kwarg="value")
    assert job().set("ann", "given")
    assert job().get("ann") == "given"
    assert job().set("ann", value="named")
    assert job().get("ann") == "named"
    stage.advance(LIFETIME - 1)
    assert not job().should_refresh("ann")
    stage.advance(2)
    assert job().should_refresh("ann")
    with pytest.raises(TypeError, match=r"set\(\) got no data: pass it last, or as value="):
        job().set()


def test_store_when_given_a_key_of_the_job_then_keeps_data_under_it(
    stage: Stage, source: Source
) -> None:
    """`key` says where, `expiry` until when; `cache_set` is the same."""
    for said in ({}, {"key": lambda self, what=1, other=None: f"own-{what}"}):
        job = job_class(stage.cache, source, **said)
        assert job().store(job().key("ann"), job().expiry("ann"), "stored")
        assert job().get("ann") == "stored"
        assert job().cache_set(job().key("ann"), stage.clock.time() + 5, "again")
        assert job().get("ann") == "again"
        stage.advance(6)
        assert job().should_refresh("ann")
    assert source.fetched == []


def test_refresh_when_called_then_fetches_and_returns_what_is_kept(
    stage: Stage, source: Source
) -> None:
    """However fresh the old data is."""
    job = job_class(stage.cache, source)
    assert job().get() == 1
    assert job().refresh() == 2
    assert job().get() == 2


def test_delete_when_something_is_kept_then_it_is_never_served_again(
    stage: Stage, source: Source
) -> None:
    """It tells whether there was anything, and the next caller fetches."""
    job = job_class(stage.cache, source)
    job().get()
    assert job().delete()
    assert job().raw_get() is None
    assert not job().delete() or stage.kind == "dict"
    assert job().get() == 2


def test_invalidate_when_the_source_fails_then_data_stays_stale_and_is_fetched_later(
    stage: Stage, source: Source
) -> None:
    """Nothing is raised, callers have the old data, and it is tried again after the timeout."""
    job = job_class(stage.cache, source, options={"dispatcher": "inline"})
    job().get()
    source.fails = True
    assert job().invalidate()
    assert [job().get(), job().get(), job().should_refresh()] == [1, 1, True]
    assert len(source.fetched) == 2
    source.fails = False
    stage.advance(REFRESH_TIMEOUT + 1)
    assert job().get() == 1
    assert [job().get(), job().should_refresh(), len(source.fetched)] == [3, False, 3]


def test_invalidate_when_data_is_dropped_meanwhile_then_nothing_old_comes_back(
    tiers: Stage, source: Source
) -> None:
    """Data that it has made stale can be deleted like any other."""
    job = job_class(tiers.cache, source, options={"dispatcher": "inline"})
    job().get()
    source.fails = True
    job().invalidate()
    assert job().delete()
    assert job().raw_get() is None
    source.fails = False
    assert job().get() == 3


async def test_job_when_fetch_is_a_coroutine_method_then_its_twins_are_awaited(
    stage: Stage, source: Source
) -> None:
    """Every method has a twin; the plain one says which."""
    job = job_class(
        stage.cache, source, fetch=coroutine(source), options={"dispatcher": "inline"}
    )()
    assert await job.aget("ann") == 1
    assert (await job.araw_get("ann"))[1] == 1
    assert await job.arefresh("ann") == 2
    assert await job.ainvalidate("ann")
    await job.aasync_refresh("ann")
    assert await job.aset("ann", "given")
    assert await job.aget("ann") == "given"
    stage.advance(LIFETIME + 1)
    assert await job.aget("ann") == "given"
    assert await job.aget("ann") == 5
    assert await job.adelete("ann")
    for name in ("get", "invalidate", "delete", "refresh", "raw_get", "async_refresh"):
        with pytest.raises(TypeError, match=f"await its a{name}"):
            getattr(job, name)("ann")


async def test_job_when_fetch_is_plain_then_its_twins_work_in_a_thread(
    memory: Stage, source: Source
) -> None:
    """Asynchronous code can use a job that blocks."""
    job = job_class(memory.cache, source)()
    assert await job.aget("ann") == 1
    assert job.get("ann") == 1
