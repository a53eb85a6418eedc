"""`cached_for` by the examples of its users, one usage pattern after the other."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from datetime import timedelta
from hashlib import md5
from typing import Any

import pytest

from packages.core.tests.stages import Stage, wait_until
from tiercel import (
    AsyncValueBeingBuiltException,
    AsyncValueFailedToBeBuiltException,
    Cache,
    cached_for,
    request_cached,
    request_scope,
)
from tiercel.dispatch.schedule import Schedule

HOUR = 3600.0

runs: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def counted() -> None:
    """Begin at zero."""
    runs.clear()


@pytest.fixture
def cache(tiers: Stage) -> Cache:
    """A cache with both tiers."""
    return tiers.cache


def ran(name: str) -> int:
    """Count a run of a function."""
    runs[name] += 1
    return runs[name]


def test_pattern_1_basic_caching_with_expiration(tiers: Stage, cache: Cache) -> None:
    """A catalog for an hour, a dashboard for 15 minutes for each user."""

    @cached_for(hours=1, cache=cache)
    def get_product_catalog() -> int:
        return ran("catalog")

    @cached_for(minutes=15, cache=cache)
    def get_user_dashboard_data(user_id: int) -> int:
        return ran("dashboard")

    for _ in range(2):
        assert (get_product_catalog(), get_user_dashboard_data(1)) == (1, 1)
    assert get_user_dashboard_data(2) == 2
    tiers.advance(15 * 60 + 1)
    assert (get_product_catalog(), get_user_dashboard_data(1)) == (1, 3)
    tiers.advance(45 * 60)
    assert get_product_catalog() == 2


def test_pattern_2_unless_leaves_anonymous_users_alone(cache: Cache) -> None:
    """Preferences are cached, but not for anonymous users: for these nothing is read or stored."""

    @cached_for(
        minutes=30, unless=lambda func, user_id, *args, **kwargs: user_id is None, cache=cache
    )
    def get_user_preferences(user_id: int | None) -> int:
        return ran("preferences")

    assert [get_user_preferences(7) for _ in range(2)] == [1, 1]
    assert [get_user_preferences(None) for _ in range(2)] == [2, 3]


def test_pattern_3_local_ram_only(tiers: Stage, cache: Cache) -> None:
    """Session data never leaves the process."""

    @cached_for(minutes=5, local_ram_cache_only=True, cache=cache)
    def get_temporary_session_data(session_id: str) -> int:
        return ran("session")

    assert [get_temporary_session_data("secret") for _ in range(2)] == [1, 1]
    assert not [name for name in tiers.store.names() if "session" in name]
    cache.clear_local()
    assert get_temporary_session_data("secret") == 2


def test_pattern_4_shared_only(tiers: Stage, cache: Cache) -> None:
    """A large dataset takes no memory here, and dicts are arguments like others."""

    @cached_for(hours=2, shared_redis_cache_only=True, cache=cache)
    def get_large_dataset(query_params: dict[str, int]) -> int:
        return ran("dataset")

    @cached_for(days=1, shared_redis_cache_only=True, cache=cache)
    def get_configuration_data() -> int:
        return ran("configuration")

    for _ in range(2):
        assert (get_large_dataset({"a": 1, "b": 2}), get_configuration_data()) == (1, 1)
    assert get_large_dataset({"b": 2, "a": 1}) == 1
    assert cache.engine.memory is not None
    assert len(cache.engine.memory) == 0


def test_pattern_5_background_builds(cache: Cache) -> None:
    """The states of a report, as a view tells its client."""
    go_on = threading.Event()

    @cached_for(
        hours=2,
        async_compute=True,
        async_compute_job_timeout=timedelta(minutes=5),
        cache=cache,
    )
    def generate_monthly_report(company_id: int, month: str) -> str:
        ran("report")
        assert go_on.wait(60)
        if company_id < 0:
            raise LookupError("no such company")
        return f"{month} of {company_id}"

    def view(company_id: int) -> dict[str, str]:
        try:
            return {"status": "success", "data": generate_monthly_report(company_id, "2024-01")}
        except AsyncValueBeingBuiltException:
            return {"status": "generating"}
        except AsyncValueFailedToBeBuiltException as error:
            return {"status": "error", "why": error.cause_text}

    assert [view(123) for _ in range(3)] == [{"status": "generating"}] * 3
    assert view(-1) == {"status": "generating"}
    go_on.set()
    wait_until(lambda: view(123) == {"status": "success", "data": "2024-01 of 123"})
    wait_until(lambda: view(-1) == {"status": "error", "why": "no such company"})
    assert runs["report"] == 2


def test_pattern_6_periodic_refresh(
    tiers: Stage, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration is there before the first caller, and is renewed before it ends."""
    schedule = Schedule(tiers.clock, threaded=False)
    monkeypatch.setattr("tiercel.cached.SCHEDULE", schedule)

    @cached_for(
        hours=6, async_refresh_every=timedelta(hours=4), warmup_on_startup=True, cache=cache
    )
    def get_global_configuration() -> int:
        return ran("configuration")

    cache.in_use()
    wait_until(lambda: get_global_configuration.get_cache_only() == 1)
    for times in (2, 3):
        tiers.advance(4 * HOUR)
        schedule.tick()
        wait_until(lambda times=times: get_global_configuration.get_cache_only() == times)  # type: ignore[misc]
    assert get_global_configuration() == runs["configuration"] == 3


def test_pattern_7_request_scope_with_methods() -> None:
    """The context of a user is computed once in a request, if its method is GET or POST."""

    @request_cached(for_http_methods={"GET", "POST"})
    def get_user_context() -> int:
        return ran("context")

    for method, seen in (("GET", [1, 1]), ("POST", [2, 2]), ("PUT", [3, 4])):
        with request_scope(method):
            assert [get_user_context(), get_user_context()] == seen


def test_pattern_8_results_that_die_with_their_object(tiers: Stage, cache: Cache) -> None:
    """Each object has its own result for 30 minutes, and takes it along."""

    class Order:
        @cached_for(minutes=30, expire_when="object_is_destroyed", cache=cache)
        def get_computed_property(self) -> int:
            return ran("property")

    one, other = Order(), Order()
    assert [one.get_computed_property(), one.get_computed_property()] == [1, 1]
    assert other.get_computed_property() == 2
    assert cache.engine.memory is not None
    assert len(cache.engine.memory) == 2
    del other
    gc.collect()
    assert [each.value for each in _entries(Order.get_computed_property)] == [1]
    tiers.advance(31 * 60)
    assert one.get_computed_property() == 3


def _entries(method: Any) -> list[Any]:
    return list(method.cached_function.subject.table)


def test_pattern_9_custom_key_prefix(cache: Cache) -> None:
    """The version of an API stands in the key where everybody can read it."""

    @cached_for(
        hours=1,
        cache_key_prefix=lambda func, version, *args, **kwargs: f"v{version}",
        cache=cache,
    )
    def get_api_data(version: str, endpoint: str) -> int:
        return ran("api")

    assert [get_api_data("1", "/a"), get_api_data("2", "/a"), get_api_data("1", "/a")] == [1, 2, 1]
    assert "v1" in get_api_data.get_cache_key("1", "/a")


def test_pattern_10_atomic_writes(cache: Cache) -> None:
    """One computation for all who call at once; and never a second one."""

    @cached_for(hours=1, atomic_writes="at_most_once", cache=cache)
    def initialize_expensive_resource() -> int:
        return ran("resource")

    @cached_for(minutes=30, atomic_writes="at_least_once", cache=cache)
    def fetch_external_data(api_endpoint: str) -> int:
        return ran("external")

    for function, args in ((initialize_expensive_resource, ()), (fetch_external_data, ("/a",))):
        values: list[int] = []
        threads = [
            threading.Thread(target=lambda: values.append(function(*args)))  # noqa: B023
            for _ in range(8)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert values == [1] * 8
    assert runs == {"resource": 1, "external": 1}


def test_key_design_when_arguments_are_ignored_or_encoded(cache: Cache) -> None:
    """The better ways to search, as they are meant: the function has the user it leaves out."""

    @cached_for(hours=1, args_to_ignore=["user_id"], cache=cache)
    def good_search_results(user_id: int, query: str, filters: dict[str, str]) -> int:
        return ran("good")

    def encode(func: Any, query: str, filters: dict[str, str] | None) -> str:
        text = "|".join([query, *map(str, sorted((filters or {}).items()))])
        return md5(text.encode(), usedforsecurity=False).hexdigest()

    @cached_for(
        hours=1,
        cache_key_with_func_args=False,
        cache_key_prefix=encode,
        cache=cache,
    )
    def shared_search_results(
        query: str, user_id: int, filters: dict[str, str] | None = None
    ) -> int:
        return ran("shared")

    assert good_search_results(1, "a", {"b": "c"}) == good_search_results(2, "a", {"b": "c"}) == 1
    assert [shared_search_results("a", 1), shared_search_results("a", 2)] == [1, 1]
    assert shared_search_results("a", 1, {"b": "c"}) == 2


def test_manual_use_with_a_duration_as_third_argument(tiers: Stage, cache: Cache) -> None:
    """Set, get, ask and delete."""
    assert cache.set("my_key", {"some": "value"}, timedelta(hours=1)) is True
    assert cache.get("my_key") == {"some": "value"}
    assert cache.has("my_key")
    assert cache.delete("my_key")
    assert not cache.has("my_key")
    cache.set("my_key", 1, 60)
    tiers.advance(61)
    assert cache.get("my_key") is None


def test_invalidation_of_one_all_and_some_orders(cache: Cache) -> None:
    """By all arguments, by none, and by the leading ones."""

    @cached_for(hours=2, cache_key_with_full_args=True, cache=cache)
    def get_order_summary(user_id: int, order_id: int) -> int:
        return ran("order")

    for order in (1, 2):
        get_order_summary(123, order), get_order_summary(9, order)
    assert cache.clear_cached_func(get_order_summary, 123, 1) is True
    assert get_order_summary(123, 1) == 5
    count, is_running = cache.clear_cached_func_some(get_order_summary, 123)
    assert (count, is_running) == (2, False)
    assert [get_order_summary(9, 1), get_order_summary(9, 2)] == [2, 4]
    assert [get_order_summary(123, 1), get_order_summary(123, 2)] == [6, 7]
    cache.clear_cached_func_all(get_order_summary)
    assert get_order_summary(9, 1) == 8
