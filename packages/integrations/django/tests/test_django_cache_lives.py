"""How long values of `TiercelCache` live."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import BaseCache
from pytest_django import Settings

from packages.integrations.django.tests.caching import Caches, Hand
from tiercel.testing import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def timed(settings: Settings, clock: VirtualClock) -> BaseCache:
    """A cache in memory whose time `clock` tells."""
    return Caches(settings, "memory", "", clock=clock).cache


@pytest.fixture(params=[False, True], ids=["plain", "twins"])
def do(request: pytest.FixtureRequest) -> Hand:
    return Hand(request.param)


async def test_life_is_five_minutes_unless_said_otherwise(
    timed: BaseCache, clock: VirtualClock, do: Hand
) -> None:
    """`None` is for ever; a fraction of a second counts."""
    lives: dict[str, Any] = {"some": 10, "ever": None, "short": 0.5, "long": 90 * 86_400}
    await do(timed, "set", "default", 1)
    for name, life in lives.items():
        await do(timed, "set", name, 1, life)
        await do(timed, "add", f"{name}+", 1, life)
        await do(timed, "get_or_set", f"{name}~", 1, life)
    gone = {0.6: "short", 10.0: "some", 300.0: "default", 91.0 * 86_400: "long"}
    names = {f"{name}{mark}" for name in lives for mark in ("", "+", "~")} | {"default"}
    for seconds, name in gone.items():
        assert set(await do(timed, "get_many", names)) == names
        clock.advance(seconds)
        names -= {name, f"{name}+", f"{name}~"}
        assert set(await do(timed, "get_many", names)) == names
    assert names == {"ever", "ever+", "ever~"}


@pytest.mark.parametrize(("timeout", "lives"), [(60, 60), (None, None), ("soon", 300), (0, 0)])
async def test_life_by_default_is_that_of_the_alias(
    settings: Settings, clock: VirtualClock, do: Hand, timeout: Any, lives: float | None
) -> None:
    """`TIMEOUT` of `CACHES`, read as Django reads it."""
    aliases = Caches(settings, "memory", "", clock=clock)
    cache = aliases.add("other", TIMEOUT=timeout)
    await do(cache, "set", "key", 1)
    assert await do(cache, "has_key", "key") is (lives != 0)
    if lives != 0:
        clock.advance((lives or 10**6) - 1)
        assert await do(cache, "has_key", "key") is True
        clock.advance(2)
        assert await do(cache, "has_key", "key") is (lives is None)


async def test_life_of_a_counter_stays_when_it_is_counted(
    timed: BaseCache, clock: VirtualClock, do: Hand
) -> None:
    """A limit per minute is one per minute; `touch` gives a new life."""
    await do(timed, "set", "n", 1, 60)
    clock.advance(50)
    await do(timed, "incr", "n")
    clock.advance(9)
    assert await do(timed, "get", "n") == 2
    assert await do(timed, "touch", "n") is True
    clock.advance(299)
    assert await do(timed, "touch", "n", None) is True
    clock.advance(10**6)
    assert await do(timed, "get", "n") == 2
