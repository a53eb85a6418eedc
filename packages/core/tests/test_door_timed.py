"""`cached_for`: every usage pattern of its users, and what it refuses."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from datetime import timedelta
from hashlib import md5
from typing import Any

import pytest

from tiercel import Cache, ConfigurationError, UnkeyableValue, cached_for
from tiercel.keys.constructor import KeyConstructor
from tiercel.testing import SimulatedBackend, VirtualClock

pytestmark = pytest.mark.tiercel_isolate


@pytest.fixture
def shared() -> SimulatedBackend:
    return SimulatedBackend()


@pytest.fixture
def cache(shared: SimulatedBackend, virtual_clock: VirtualClock) -> Iterator[Cache]:
    cache = Cache(backend=shared, clock=virtual_clock)
    yield cache
    cache.close()


class Calls(list[tuple[Any, ...]]):
    """What a function was called with."""

    def __call__(self, *args: Any) -> int:
        self.append(args)
        return len(self)


def test_result_lives_for_the_sum_of_its_units(
    tiercel_caches: Any, virtual_clock: VirtualClock
) -> None:
    """Pattern 1: units add up; after that the function runs again."""
    calls = Calls()

    @cached_for(hours=1, minutes=30, seconds=5)
    def get_product_catalog() -> int:
        return calls()

    assert [get_product_catalog() for _ in range(2)] == [1, 1]
    virtual_clock.advance(5404)
    assert get_product_catalog() == 1
    virtual_clock.advance(2)
    assert get_product_catalog() == 2


def test_arguments_are_told_apart_by_value_and_type() -> None:
    """Pattern 1: `f(1)` is `f(x=1)`, and is neither `f("1")` nor `f(True)`."""
    calls = Calls()

    @cached_for(minutes=15)
    def get_user_dashboard_data(user_id: Any) -> int:
        return calls(user_id)

    assert get_user_dashboard_data(1) == get_user_dashboard_data(user_id=1)
    assert len({get_user_dashboard_data(each) for each in (1, "1", True, None)}) == 4


def test_unless_bypasses_the_cache() -> None:
    """Pattern 2: where `unless` is true nothing is read or stored."""
    calls = Calls()

    @cached_for(minutes=30, unless=lambda func, user_id, *args, **kwargs: user_id is None)
    def get_user_preferences(user_id: int | None) -> int:
        return calls(user_id)

    assert get_user_preferences(None) != get_user_preferences(None)
    assert get_user_preferences(1) == get_user_preferences(1)


def test_results_can_stay_in_memory(cache: Cache, shared: SimulatedBackend) -> None:
    """Pattern 3: the shared tier never hears of the function."""

    @cached_for(minutes=5, local_ram_cache_only=True, cache=cache)
    def get_temporary_session_data(session_id: str) -> str:
        return session_id

    assert get_temporary_session_data("s") == get_temporary_session_data("s") == "s"
    other = Cache(backend=shared)
    copy = cached_for(minutes=5, cache=other)(get_temporary_session_data.func)
    assert copy.get_cache_only("s") != "s"


def test_results_can_stay_out_of_memory(cache: Cache, shared: SimulatedBackend) -> None:
    """Pattern 4: each call reads the shared tier, and gets an object of its own."""

    @cached_for(hours=2, shared_redis_cache_only=True, cache=cache)
    def get_large_dataset(query_params: dict[str, Any]) -> list[int]:
        return [1, 2, 3]

    first, second = get_large_dataset({"a": 1}), get_large_dataset({"a": 1})
    assert first == second
    assert get_large_dataset.get_with_metadata({"a": 1})[1]["tier"] == "shared"
    assert get_large_dataset({"a": 1}) is not second


def test_prefix_gets_what_it_names() -> None:
    """Pattern 9: a prefix gets the function and the arguments it names, in any spelling."""
    seen = []

    def prefix(func: Any, version: str) -> str:
        seen.append((func.__name__, version))
        return f"v{version}"

    @cached_for(hours=1, cache_key_prefix=prefix)
    def get_api_data(version: str, endpoint: str) -> str:
        return version + endpoint

    assert get_api_data("1", "/a") == get_api_data(endpoint="/a", version="1")
    assert set(seen) == {("get_api_data", "1")}
    assert "prefix='v1" in get_api_data.get_cache_key("1", "/a")


def test_prefix_with_stars_gets_everything() -> None:
    """Pattern 9, as it is written: the rest of the call goes into the stars."""
    seen: list[Any] = []

    def prefix(func: Any, version: str, *args: Any, **kwargs: Any) -> str:
        seen.append((args, kwargs))
        return f"v{version}"

    @cached_for(hours=1, cache_key_prefix=prefix)
    def get(version: str, *paths: str, depth: int = 1, **more: int) -> str:
        return version

    get("1", "/a", "/b", extra=2)
    assert seen[0] == (("/a", "/b"), {"depth": 1, "extra": 2})


def test_prefix_alone_can_be_the_key() -> None:
    """The documented search example, which ignores the user and joins what is no text."""
    calls = Calls()

    def encode(*args: Any) -> str:
        return md5("|".join(map(str, args)).encode()).hexdigest()

    @cached_for(
        hours=1,
        cache_key_with_func_args=False,
        cache_key_prefix=lambda func, query, filters: encode(
            query, sorted((filters or {}).items())
        ),
    )
    def shared_search_results(
        query: str, user_id: int, filters: dict[str, int] | None = None
    ) -> int:
        return calls(query, user_id, filters)

    assert shared_search_results("q", 1) == shared_search_results("q", 2)
    assert shared_search_results("q", 1) != shared_search_results("q", 1, {"a": 1})


def test_prefix_that_fails_names_the_function() -> None:
    """An error of the prefix is an error of the key, and says whose."""

    @cached_for(hours=1, cache_key_prefix=lambda func, filters: filters.items())
    def search(filters: Any = None) -> int:
        return 1

    with pytest.raises(UnkeyableValue, match="search"):
        search()


def test_text_is_a_prefix_too() -> None:
    """A prefix that is the same for each call needs no callable."""

    @cached_for(hours=1, cache_key_prefix="v2")
    def load(number: int) -> int:
        return number

    assert load(1) == 1
    assert "prefix='v2" in load.get_cache_key(1)


def test_ignored_arguments_make_no_difference() -> None:
    """Calls that differ only in ignored arguments are one entry."""
    calls = Calls()

    @cached_for(hours=1, args_to_ignore=["user_id"])
    def search(query: str, user_id: int) -> int:
        return calls(query, user_id)

    assert search("q", 1) == search("q", 2)
    assert search("r", 1) != search("q", 1)


def test_ignored_argument_that_does_not_exist_is_pointed_out() -> None:
    """The documented example names a missing argument: it works, with a warning."""
    with pytest.warns(
        UserWarning, match=r"good_search_results: args_to_ignore names \['user_id'\]"
    ):

        @cached_for(hours=1, args_to_ignore=["user_id"])
        def good_search_results(query: str, filters: dict[str, int]) -> str:
            return query

    assert good_search_results("q", {}) == "q"


def test_function_without_arguments_in_its_key_is_pointed_out() -> None:
    """Without arguments and without prefix there is one entry for all calls."""
    with pytest.warns(UserWarning, match="one entry"):

        @cached_for(hours=1, cache_key_with_func_args=False)
        def load(number: int) -> int:
            return number

    assert load(1) == load(2) == 1


def test_entries_can_be_dropped_by_leading_arguments() -> None:
    """With full arguments each leading argument is a partition of its own."""
    calls = Calls()

    @cached_for(hours=2, cache_key_with_full_args=True)
    def get_order_summary(user_id: int, order_id: int) -> int:
        return calls(user_id, order_id)

    first = {(user, order): get_order_summary(user, order) for user in (1, 2) for order in (1, 2)}
    get_order_summary.delete_by_prefix(1)
    assert get_order_summary(2, 1) == first[2, 1]
    assert get_order_summary(1, 1) != first[1, 1]
    again = get_order_summary(1, 1)
    get_order_summary.delete_by_prefix(1, 2)
    assert get_order_summary(1, 1) == again


def test_many_arguments_have_a_bounded_number_of_levels() -> None:
    """A function with more arguments than levels still works; the last ones are no level."""

    @cached_for(hours=1, cache_key_with_full_args=True)
    def wide(a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int, i: int) -> int:
        return i

    assert wide(*range(9)) == 8
    wide.delete_by_prefix(0, 1)


def test_static_and_class_methods_are_cached() -> None:
    """The decorator stands above or below `staticmethod` and `classmethod`."""

    class Source:
        @cached_for(minutes=1)
        @staticmethod
        def one() -> list[int]:
            return [1]

        @classmethod
        @cached_for(minutes=1)
        def two(cls) -> list[int]:
            return [2]

    source: Any = Source
    assert source.one() is source.one()
    assert source.two() is source().two()


def test_decorating_in_functions_does_not_leak() -> None:
    """A cached closure that nobody holds any more is gone, with everything it held."""

    def decorate() -> weakref.ref[Any]:
        def load(number: int) -> int:
            return number

        cached = cached_for(
            minutes=1, cache_key_prefix=lambda func, number: number, args_to_ignore=["number"]
        )(load)
        cached(1)
        return weakref.ref(load)

    gone = [decorate() for _ in range(5)]
    gc.collect()
    assert [each() for each in gone] == [None] * 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "give a duration"),
        ({"hour": 1}, "unknown option 'hour'; did you mean 'hours'"),
        ({"minutes": 1, "second": 1}, "unknown option 'second'; did you mean 'seconds'"),
        ({"minutes": 0}, "give a duration"),
        ({"minutes": -1}, "minutes=-1"),
        ({"hours": "1"}, "hours='1'"),
        ({"hours": float("inf")}, "hours=inf"),
        ({"minutes": 1, "args_to_ignore": "user"}, "args_to_ignore='user' must be a list"),
        ({"minutes": 1, "args_to_ignore": [5]}, "must be a list of names"),
        ({"minutes": 1, "cache_key_prefix": 5}, "cache_key_prefix=5 must be a text or a callable"),
        ({"minutes": 1, "local_ram_cache_only": "yes"}, "local_ram_cache_only='yes' must be True"),
        ({"minutes": 1, "cache_key_with_full_args": 1}, "cache_key_with_full_args=1 must be True"),
        ({"minutes": 1, "tiers": "memory", "shared_redis_cache_only": True}, "tiers= says it all"),
        ({"minutes": 1, "ttl": 5}, "not both"),
        ({"ttl": 0}, "ttl"),
        ({"minutes": 1, "local_ram_cache_only": True, "shared_redis_cache_only": True}, "exclude"),
        ({"minutes": 1, "expire_when": "never"}, "expire_when='never'"),
        (
            {"expire_when": "object_is_destroyed", "shared_redis_cache_only": True},
            "shared_redis_cache_only",
        ),
        ({"minutes": 1, "key": KeyConstructor, "args_to_ignore": ["a"]}, "key="),
        ({"minutes": 1, "atomic_writes": "twice"}, "atomic_writes='twice'"),
        ({"minutes": 1, "stalee": 3}, "did you mean 'stale'"),
    ],
)
def test_wrong_options_are_refused(options: Any, says: str) -> None:
    """What cannot work is an error at decoration that names the option."""
    with pytest.raises(ConfigurationError, match=says):
        cached_for(**options)(lambda number: number)


def test_object_scoped_function_needs_an_object() -> None:
    """A function without arguments has nothing whose destruction could end its entries."""
    with pytest.raises(ConfigurationError, match="no argument"):

        @cached_for(expire_when="object_is_destroyed")
        def load() -> int:
            return 1


@pytest.mark.parametrize("life", [5, 5.0, timedelta(seconds=5), None, lambda value: 5])
def test_ttl_stands_for_the_units(life: Any) -> None:
    """Every duration that the other decorators take is taken here."""
    cached = cached_for(ttl=life)(lambda: [1])
    assert cached() is cached()
