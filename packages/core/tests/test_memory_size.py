"""How many bytes the memory tier takes, through cached functions."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from cachetools import TTLCache

from tiercel import Cache

ENTRIES = 100_000
SHARE_OF_TTL_CACHE = 0.9
"""What an entry may take of what `cachetools.TTLCache` takes for the same."""


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Trace allocations; called, returns the bytes that are held now."""

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    yield held
    tracemalloc.stop()


@pytest.mark.long
def test_entries_when_small_take_less_than_in_a_ttl_cache(traced: Callable[[], int]) -> None:
    """Two ints as arguments, one as value; places of those that have left included."""
    cache = Cache(memory=ENTRIES)

    @cache.cached(ttl=3600)
    def compute(a: int, b: int) -> int:
        return a

    compute(-1, -1)
    before = traced()
    for number in range(2 * ENTRIES):
        compute(number, number + 1)
    ours = (traced() - before) / compute.stats().entries
    peer: TTLCache[tuple[int, int], int] = TTLCache(ENTRIES, 3600)
    before = traced()
    for number in range(2 * ENTRIES):
        peer[number, number + 1] = number
    theirs = (traced() - before) / len(peer)
    assert compute.stats().entries > 0.95 * ENTRIES
    assert ours < SHARE_OF_TTL_CACHE * theirs


@pytest.mark.parametrize("calls", [30_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_memory_when_all_calls_are_distinct_is_bounded(calls: int) -> None:
    """After many times as many calls as there is room for, no more is held than after some."""
    cache = Cache(memory=2_000)

    @cache.cached(ttl=3600, tags=["group:{group}"])
    def compute(number: int, group: int) -> str:
        return f"value {number}"

    for number in range(10_000):
        compute(number, number % 10)
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(10_000, calls):
        compute(number, number % 10)
    gc.collect()
    assert compute.stats().entries <= 2_000
    assert sys.getallocatedblocks() < before + 4_000
