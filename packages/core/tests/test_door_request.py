"""`request_cached` and the scope of a request."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from packages.core.tests.stages import wait_until
from tiercel import CACHE_MISSING, Cache, ConfigurationError, Status, request_cached, request_scope
from tiercel.doors.request import MAX_ENTRIES
from tiercel.scope import current_scope
from tiercel.testing import VirtualClock


class Counted:
    """A function that counts its calls; each returns another object."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *args: Any) -> list[Any]:
        self.calls += 1
        return [*args]


def _cached(counted: Counted, **options: Any) -> Any:
    @request_cached(**options)
    def load(number: int = 0) -> list[Any]:
        return counted(number)

    return load


def test_function_is_computed_once_in_a_request() -> None:
    """Two calls with equal arguments are one computation, and return the same object."""
    counted = Counted()
    load = _cached(counted)
    with request_scope():
        assert load(1) is load(number=1)
        assert load(2) == [2]
    assert counted.calls == 2


def test_many_outside_a_request_simply_calls() -> None:
    """Also where the same call stands twice, and during another method than it was made for."""
    counted = Counted()
    load = _cached(counted, for_http_methods={"GET"})
    assert load.many([1, 1]) == [[1], [1]]
    assert counted.calls == 2
    with request_scope(method="POST"):
        assert load.many([1, 1]) == [[1], [1]]
    assert counted.calls == 4
    with request_scope(method="GET"):
        assert load.many([1, 1]) == [[1], [1]]
    assert counted.calls == 5


def test_decorator_stands_without_parentheses() -> None:
    """`@request_cached` is `@request_cached()`."""
    calls = []

    @request_cached
    def load() -> int:
        calls.append(1)
        return len(calls)

    with request_scope():
        assert (load(), load()) == (1, 1)


def test_function_is_simply_called_outside_a_request() -> None:
    """Without a scope nothing is kept, whatever method is asked."""
    counted = Counted()
    load: Any = _cached(counted)
    assert load(1) == load(1) == [1]
    assert counted.calls == 2
    assert load.get_cache_only(1) is CACHE_MISSING
    assert load.delete_cache(1) is False
    assert load.refresh(1) == [1]
    assert load.get_with_metadata(1)[1]["cache_status"] == Status.BYPASS


def test_nothing_outlives_its_request() -> None:
    """The next request computes again, also if the one before it failed."""
    counted = Counted()
    load = _cached(counted)
    with pytest.raises(ZeroDivisionError), request_scope():
        load(load(0).index(0) // 0)
    assert current_scope() is None
    with request_scope():
        load(1)
    assert counted.calls == 2


def test_inner_scope_hides_the_outer_one() -> None:
    """What an inner scope computes is gone at its end; what the outer one had is back."""
    counted = Counted()
    load = _cached(counted)
    with request_scope():
        outer = load(1)
        with request_scope():
            assert load(1) is not outer
        assert load(1) is outer
    assert counted.calls == 2


def test_methods_of_cached_functions_work_in_a_request() -> None:
    """Deleting, refreshing and asking for metadata reach the scope of the request."""
    counted = Counted()
    load: Any = _cached(counted)
    with request_scope():
        first = load(1)
        assert load.get_with_metadata(1)[1]["cache_status"] == Status.HIT
        assert load.refresh(1) is not first
        assert load.delete_cache(1) is True
        assert load.get_cache_only(1) is CACHE_MISSING
        load(1)
        load.invalidate_all()
        assert load.get_cache_only(1) is CACHE_MISSING
        assert load.many([1, 2]) == [[1], [2]]
        assert load.get_cache_only(2) == [2]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_the_chosen_methods_are_cached(method: str) -> None:
    """During any other HTTP method, and outside HTTP, the function is simply called."""
    counted = Counted()
    load = _cached(counted, for_http_methods={"get"})
    with request_scope(method):
        load(1), load(1)
    assert counted.calls == (1 if method == "GET" else 2)
    with request_scope():
        load(1), load(1)
    assert counted.calls == (3 if method == "GET" else 4)


async def test_concurrent_requests_share_nothing() -> None:
    """Tasks that each serve a request have a scope each; the tasks of one share it."""

    @request_cached
    async def load(number: int) -> object:
        await asyncio.sleep(0)
        return object()

    async def serve() -> list[object]:
        with request_scope():
            return await asyncio.gather(*(load(1) for _ in range(5)))

    served = await asyncio.gather(*(serve() for _ in range(10)))
    assert all(len(set(map(id, values))) == 1 for values in served)
    assert len({id(values[0]) for values in served}) == 10


async def test_task_that_outlives_its_request_finds_no_scope() -> None:
    """What a background task still calls is simply called."""
    counted, ended = Counted(), asyncio.Event()
    load = _cached(counted)

    async def later() -> tuple[Any, Any]:
        await ended.wait()
        return load(1), load(1)

    with request_scope():
        first = load(1)
        task = asyncio.create_task(later())
    ended.set()
    second, third = await task
    assert counted.calls == 3
    assert first is not second is not third


def test_thread_has_no_scope_unless_it_is_given_the_context() -> None:
    """A bare thread computes; one that runs in a copy of the context shares the scope."""
    counted = Counted()
    load = _cached(counted)
    with request_scope(), ThreadPoolExecutor(1) as pool:
        mine = load(1)
        assert pool.submit(load, 1).result() is not mine
        assert pool.submit(copy_context().run, load, 1).result() is mine
    assert counted.calls == 2


def test_threads_of_one_request_compute_once() -> None:
    """Threads that share a scope and ask at the same time share one computation."""
    counted, together = Counted(), threading.Barrier(4)

    @request_cached
    def load() -> list[Any]:
        threading.Event().wait(0.05)
        return counted()

    def ask() -> list[Any]:
        together.wait()
        return load()

    with request_scope(), ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(copy_context().run, ask) for _ in range(4)]
        assert len({id(each.result()) for each in asked}) == 1
    assert counted.calls == 1


def test_a_request_holds_a_bounded_number_of_entries() -> None:
    """More results than the bound push others out; they do not pile up."""
    load = _cached(Counted())
    with request_scope() as scope:
        for number in range(MAX_ENTRIES + 500):
            load(number)
        assert scope._tiers is not None
        assert scope._tiers.engine.memory is not None
        assert len(scope._tiers.engine.memory) <= MAX_ENTRIES


def test_scope_that_is_not_used_makes_no_cache() -> None:
    """Opening a scope for each request costs next to nothing."""
    with request_scope() as scope:
        pass
    assert scope._tiers is None


def test_methods_of_objects_are_cached() -> None:
    """A method whose object says how it goes into keys is cached like a function."""

    class Account:
        def __cache_key__(self) -> int:
            return 7

        @request_cached
        def rights(self) -> list[str]:
            return ["read"]

    with request_scope():
        rights: list[str] = Account().rights()
        assert Account().rights() is rights


@pytest.mark.parametrize("methods", ["GET", [""], [3]])
def test_wrong_methods_are_refused(methods: Any) -> None:
    """HTTP methods are a set of names; a text would be a set of letters."""
    with pytest.raises(ConfigurationError, match="for_http_methods"):
        request_cached(for_http_methods=methods)


def test_option_for_a_shared_tier_is_refused() -> None:
    """Results of one request go nowhere else."""
    with pytest.raises(ConfigurationError, match="tiers"):
        request_cached(tiers="both")


@pytest.mark.parametrize("dispatcher", ["inline", "threadpool"])
def test_task_of_a_dispatcher_has_a_scope_of_its_own(dispatcher: str) -> None:
    """A refresh computes with what is true now, not with what its request has remembered."""
    versions = iter(range(10))
    seen: list[tuple[int, int]] = []
    clock = VirtualClock()
    cache = Cache(clock=clock)

    @request_cached
    def version() -> int:
        return next(versions)

    @cache.cached(ttl=10, stale=60, dispatcher=dispatcher)
    def page() -> int:
        seen.append((version(), version()))
        return seen[-1][0]

    with request_scope("GET"):
        assert (version(), page()) == (0, 0)
        clock.advance(11)
        assert page() == 0
        wait_until(lambda: len(seen) == 2)
        assert version() == 0
    assert seen == [(0, 0), (1, 1)]
    cache.close()


async def test_task_on_a_loop_has_a_scope_of_its_own() -> None:
    """The same for coroutine functions, and it is closed with its task."""
    scopes: list[Any] = []
    clock = VirtualClock()
    cache = Cache(clock=clock)

    @cache.cached(ttl=10, stale=60)
    async def page() -> int:
        scopes.append(current_scope())
        return len(scopes)

    with request_scope("GET") as scope:
        await page()
        clock.advance(11)
        assert await page() == 1
        await asyncio.to_thread(wait_until, lambda: len(scopes) == 2)
        assert scopes[0] is scope
        assert scopes[1] not in (None, scope)
    await asyncio.to_thread(wait_until, lambda: scopes[1].closed)
    cache.close()
