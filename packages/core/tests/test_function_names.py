"""Arguments may have any name, also one that Tiercel uses itself."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import cacheback

NAMES: dict[str, Any] = dict.fromkeys(
    ("self", "cls", "args", "kwargs", "call", "key", "function", "subject", "value", "instance"), 1
)


async def test_arguments_when_called_as_tiercel_calls_its_own_reach_the_function(
    stage: Stage, way: Way
) -> None:
    """A function that takes any keyword gets any keyword, and so do its methods."""
    cached = stage.cached(way.function(lambda **given: sorted(given)), index=True)
    expected = sorted(NAMES)
    assert await way.call(cached, **NAMES) == expected
    assert await way.call(cached, **NAMES) == expected
    for method in ("get_cache_only", "refresh", "bypass_cache"):
        assert await way.do(cached, method, **NAMES) == expected
    for method in ("delete_cache", "delete_matching", "delete_by_prefix", "mark_stale"):
        await way.do(cached, method, **NAMES)
    assert "self=1" in cached.get_cache_key(**NAMES)


@pytest.mark.parametrize("limited", [{"hard_timeout": 60}, {"cache_if": lambda result: True}])
def test_arguments_when_options_look_at_them_reach_the_function(
    memory: Stage, limited: dict[str, Any]
) -> None:
    """The same holds on the ways that take longer."""
    cached = memory.cached(lambda **given: sorted(given), unless=lambda *_, **__: False, **limited)
    assert cached(**NAMES) == sorted(NAMES)


def test_arguments_of_jobs_have_any_name(memory: Stage) -> None:
    """Hooks of jobs get them, too."""

    @cacheback(lifetime=60, cache=memory.cache)
    def fetched(**given: Any) -> list[str]:
        return sorted(given)

    for _ in range(2):
        assert fetched(**NAMES) == sorted(NAMES)
