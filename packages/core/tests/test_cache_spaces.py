"""Spaces: values set by hand under a name of their own."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.stages import Stage
from tiercel import Cache, ConfigurationError, Space
from tiercel.testing import SimulatedBackend


class Hand:
    """Calls the operations of a cache or space, or their twins."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    async def __call__(self, values: Cache | Space, operation: str, *args: Any) -> Any:
        found = getattr(values, f"{self.mark}{operation}")(*args)
        return await found if self.mark else found


@pytest.fixture(params=["", "a"], ids=["plain", "twins"])
def do(request: pytest.FixtureRequest) -> Hand:
    return Hand(request.param)


async def test_space_has_values_of_its_own(stage: Stage, do: Hand) -> None:
    """Apart from those of the cache and of other spaces, in every operation."""
    one, two = stage.cache.space("one"), stage.cache.space("two")
    everything: list[Cache | Space] = [stage.cache, one, two]
    for number, values in enumerate(everything):
        await do(values, "set", "a", number)
    assert [await do(each, "get", "a") for each in everything] == [0, 1, 2]
    assert await do(one, "incr", "a", 5) == 6
    assert await do(one, "add", "b", 1) is True
    assert await do(two, "get_many", ["a", "b"]) == {"a": 2}
    assert await do(two, "delete", "b") is False
    await do(one, "clear")
    assert [await do(each, "get", "a") for each in everything] == [0, None, 2]
    await do(stage.cache, "clear")
    assert [await do(each, "get", "a") for each in everything] == [None, None, None]


def test_space_is_the_same_for_everybody_who_names_it(stage: Stage) -> None:
    """Its codec is part of what it is."""
    space = stage.cache.space("one", codec="safe")
    assert stage.cache.space("one", codec="safe") is space
    with pytest.raises(ConfigurationError, match="has the codec 'safe', so it cannot have 'pick"):
        stage.cache.space("one", codec="pickle")
    assert repr(space) == f"<Space 'one' of cache {stage.cache.name!r}>"


def test_space_with_a_codec_stores_what_the_cache_cannot() -> None:
    """Only its own values are encoded so."""
    store, keys = SimulatedBackend(), {"signing_key": "k" * 32}
    here, there = (Cache(backend=store, memory=0, **keys) for _ in range(2))
    value = ZeroDivisionError("x")
    assert here.space("any", codec="pickle").set("a", value) is True
    assert there.space("any", codec="pickle").get("a").args == ("x",)
    assert here.set("a", value) is False


def test_space_across_processes_is_shared(tiers: Stage) -> None:
    """By its name and the prefix of the cache."""
    there = tiers.process()
    tiers.cache.space("one").set("a", 1)
    assert there.space("one").get("a") == 1
    assert tiers.process(prefix="elsewhere").space("one").get("a") is None
