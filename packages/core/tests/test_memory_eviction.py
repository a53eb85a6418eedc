"""Which entries stay when the memory tier is full: S3-FIFO with one visited bit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from random import Random

import pytest

from tiercel import Cache

ROOM = 200


def misses(keys: Sequence[int]) -> int:
    """Return how often a function with room for `ROOM` entries is computed."""

    @Cache(memory=ROOM).cached(ttl=60)
    def compute(key: int) -> int:
        return key

    for key in keys:
        compute(key)
    return compute.stats().computations


def misses_of_lru(keys: Sequence[int]) -> int:
    """Return the same for a cache that evicts what was used longest ago."""
    held: OrderedDict[int, None] = OrderedDict()
    missed = 0
    for key in keys:
        missed += key not in held
        held[key] = None
        held.move_to_end(key)
        if len(held) > ROOM:
            held.popitem(last=False)
    return missed


def zipf(length: int, distinct: int = 5_000) -> list[int]:
    """Return keys of which few are asked for often, and most hardly ever."""
    weights = [1 / rank for rank in range(1, distinct + 1)]
    return Random(1).choices(range(distinct), weights, k=length)


def scanned(keys: Sequence[int]) -> list[int]:
    """Return keys with others between them that are asked for once, as a report does."""
    return [each for number, key in enumerate(keys) for each in (key, 1_000_000 + number)]


@pytest.mark.parametrize("scans", [False, True], ids=["zipf", "zipf and scan"])
def test_calls_when_some_are_frequent_hit_more_often_than_with_lru(scans: bool) -> None:
    """What is asked for often survives what is asked for once."""
    keys = scanned(zipf(15_000)) if scans else zipf(30_000)
    assert misses(keys) < 0.95 * misses_of_lru(keys)


def test_hot_entries_when_a_long_scan_passes_are_still_there() -> None:
    """A scan of many times as many keys as there is room for does not wash out what is in use."""
    hot = [*range(50)] * 3
    before = misses(hot)
    after = misses([*hot, *range(1_000, 1_000 + 20 * ROOM), *range(50)])
    assert after - before - 20 * ROOM <= 5
