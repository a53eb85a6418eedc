"""What command lines and tests of frameworks ask of the core."""

from __future__ import annotations

import pytest

import tiercel
from tiercel import CACHE_MISSING, Cache, ConfigurationError, cache_result
from tiercel.configuration import use_caches
from tiercel.errors import PluginError, UnknownFunction
from tiercel.oversight import (
    cache_names,
    cache_state,
    cached_function,
    cached_functions,
    check_dispatcher,
    function_states,
    isolated_caches,
    plugin_states,
)
from tiercel.testing import SimulatedBackend, VirtualClock


@cache_result(name="oversight.double")
def double(number: int) -> int:
    return 2 * number


def test_cache_state_when_shared_tier_answers_then_reachable() -> None:
    """A cache with a shared tier is asked; one without has nobody to ask."""
    former = use_caches({"a": Cache(backend=SimulatedBackend(), name="a"), "b": Cache(name="b")})
    try:
        assert {"a", "b", "default"} <= set(cache_names())
        assert (cache_state("a").reachable, cache_state("a").guarantee) == (True, "G3")
        assert cache_state("b").reachable is None
    finally:
        use_caches(former)


def test_cache_state_when_shared_tier_is_gone_then_says_why() -> None:
    """Being unreachable is an answer, not an error."""
    backend = SimulatedBackend()
    backend.unreachable = True
    former = use_caches({"a": Cache(backend=backend, name="a")})
    try:
        state = cache_state("a")
    finally:
        use_caches(former)
    assert state.reachable is False
    assert state.error.startswith("BackendUnavailable")


def test_functions_then_found_by_a_part_of_their_names() -> None:
    """Functions are listed by name; one is found by its whole name only."""
    assert [each.name for each in cached_functions("oversight.")] == ["oversight.double"]
    assert cached_function("oversight.double").func(2) == 4
    with pytest.raises(UnknownFunction, match="no cached function 'oversight'"):
        cached_function("oversight")


def test_function_states_then_hits_of_both_paths_are_counted() -> None:
    """Hits in memory are counted by the generated function; the sum is shown."""
    with isolated_caches():
        for _ in range(4):
            double(3)
        (state,) = function_states("oversight.double")
    assert (state.counts["memory_hits"], state.counts["computations"]) == (3, 1)


def test_isolated_caches_then_empty_and_gone_afterwards() -> None:
    """What is cached inside is not found outside, and the other way round, with any clock."""
    double(5)
    clock = VirtualClock()
    with isolated_caches(clock) as caches:
        assert double.get_cache_only(5) is CACHE_MISSING
        double(6)
        assert caches["default"].clock is clock
    assert double.get_cache_only(6) is CACHE_MISSING
    assert tiercel.get_cache().clock is not clock


def test_check_dispatcher_when_wrong_then_the_error_that_a_decorator_would_raise() -> None:
    """A setting can be checked before any function is."""
    check_dispatcher("threadpool", {"max_workers": 2})
    with pytest.raises(ConfigurationError, match="did you mean 'max_workers'"):
        check_dispatcher("threadpool", {"max_worker": 2})
    with pytest.raises(PluginError, match="threadpol"):
        check_dispatcher("threadpol", {})


def test_plugin_states_then_everything_that_core_brings() -> None:
    """Built-in parts are listed with the plugins."""
    names = {(each.kind, each.name) for each in plugin_states()}
    assert {("dispatchers", "inline"), ("codecs", "safe")} <= names
