"""Functions with an index: dropping entries by any of their arguments."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from packages.core.tests.listed import USER, flat, page_of, pages_of
from packages.core.tests.stages import PATIENCE, Stage, Way
from tiercel import Cache
from tiercel.contracts.backend import DropScopes
from tiercel.testing import SimulatedBackend, VirtualClock


async def test_delete_matching_drops_whatever_the_other_arguments_are(
    listing: Stage, way: Way
) -> None:
    """Across partitions; what does not match stays."""
    pages = listing.cached(way.function(page_of), key=USER, index=True)
    for user in range(3):
        for page in range(3):
            await way.call(pages, user, page)
    assert await way.do(pages, "delete_matching", page=2) == 3
    assert await way.do(pages, "delete_matching", page=2) == 0
    left = {(user, page) for user in range(3) for page in range(2)}
    assert flat(await way.do(pages, "live_calls")) == left
    assert await way.do(pages, "delete_matching", 1) == 2
    assert await way.do(pages, "delete_matching", 2, 0) == 1
    assert flat(await way.do(pages, "live_calls")) == {(0, 0), (0, 1), (2, 1)}


def test_delete_matching_tells_arguments_apart_as_keys_do(listing: Stage) -> None:
    """By type and value; sets and dicts in any order; defaults count."""
    values = [1, True, 1.0, "1", b"1", None, Decimal(1), {3, 1, 2}, {"a": 1, "b": 2}, [1, 2]]

    @listing.cached(index=True)  # type: ignore[untyped-decorator]
    def of(value: Any, flag: bool = False) -> str:
        return repr(value)

    for value in values:
        of(value)
    dropped = [1, {2, 3, 1}, {"b": 2, "a": 1}]
    for value in dropped:
        assert of.delete_matching(value=value) == 1, value
    gone = [value for value in values if of.get_cached_metadata(value) is None]
    assert gone == [1, {1, 2, 3}, {"a": 1, "b": 2}]
    assert [type(value) for value in gone] == [int, set, dict]
    assert of.delete_matching(flag=True) == 0
    assert of.delete_matching(flag=False) == 7


def test_delete_matching_looks_into_variadic_arguments(listing: Stage) -> None:
    """Calls match that begin with these positional arguments, or hold these keywords."""

    @listing.cached(index=True)  # type: ignore[untyped-decorator]
    def of(*path: str, **options: int) -> str:
        return "/".join(path)

    of("a", "b", x=1), of("a", "c", x=2, y=1), of("b", "a", y=1), of()
    assert of.delete_matching(y=1) == 2
    assert of.delete_matching("a") == 1
    assert flat(of.live_calls()) == {()}


def test_delete_matching_when_the_arguments_are_wrong_drops_nothing(listing: Stage) -> None:
    """A misspelt name, and no name at all, are errors."""
    pages = pages_of(listing)
    pages(1)
    with pytest.raises(TypeError, match="pgae"):
        pages.delete_matching(pgae=1)
    with pytest.raises(TypeError, match="at least one argument"):
        pages.delete_matching()
    assert len(pages.live_calls()) == 1


def test_delete_matching_reaches_the_memory_of_other_processes(tiers: Stage) -> None:
    """They follow within their lag, and keep what does not match."""
    here, there = tiers.pair(page_of, key=USER, index=True)
    for page in (1, 2):
        here(1, page), there(1, page)
    assert here.delete_matching(page=2) == 1
    assert here.get_cache_only(1, 2) != "1/2"
    tiers.settle()
    assert there.get_with_metadata(1, 2)[1]["cache_status"] == "MISS"
    assert there.get_with_metadata(1, 1)[1]["tier"] == "memory"


@pytest.mark.parametrize("known", [False, True])
def test_delete_matching_while_a_call_is_computed_keeps_its_result_out(
    listing: Stage, known: bool
) -> None:
    """Also of a call that was never seen before: what it has read is outdated."""
    versions, reading, changed = [1], threading.Event(), threading.Event()

    @listing.cached(index=True)  # type: ignore[untyped-decorator]
    def read(row: int, part: str = "a") -> int:
        version = versions[-1]
        if len(versions) == 1 and part == "slow":
            reading.set()
            assert changed.wait(PATIENCE)
        return version

    read(1)
    if known:
        versions.append(0)
        read(1, "slow")
        versions.pop()
        listing.advance(10_000)
    slow = threading.Thread(target=read, args=(1, "slow"))
    slow.start()
    assert reading.wait(PATIENCE)
    versions.append(2)
    read.delete_matching(row=1)
    assert read(1, "slow") == 2
    changed.set()
    slow.join(PATIENCE)
    assert (read(1), read(1, "slow")) == (2, 2)
    listing.settle()
    assert (read(1), read(1, "slow")) == (2, 2)


def test_delete_matching_when_the_index_was_lost_drops_everything(shared: Stage) -> None:
    """Better too much than too little; afterwards the index is complete again."""
    pages = pages_of(shared)
    pages(1, 1), pages(1, 2)
    (index,) = [name for name in shared.store.names() if name.startswith("index/")]
    shared.store.evict(index)
    assert pages.live_calls() == []
    assert not pages.live_calls().complete
    pages(1, 3)
    assert flat(pages.live_calls()) == {(1, 3)}
    assert not pages.live_calls().complete
    assert pages.delete_matching(page=2) == 0
    assert [pages.get_cached_metadata(1, page) for page in (1, 2, 3)] == [None] * 3
    pages(1, 1)
    assert flat(pages.live_calls()) == {(1, 1)}
    assert pages.live_calls().complete


def test_index_when_lost_is_complete_again_once_all_it_missed_has_ended(shared: Stage) -> None:
    """Entries live 100 seconds here, so after that nothing older is left."""
    pages = pages_of(shared)
    pages(1, 1)
    (index,) = [name for name in shared.store.names() if name.startswith("index/")]
    shared.store.evict(index)
    pages(1, 2)
    shared.advance(99)
    assert not pages.live_calls().complete
    shared.advance(2)
    assert pages.live_calls().complete


@pytest.mark.parametrize("command", [DropScopes, None])
def test_delete_matching_when_the_store_fails_serves_nothing_old(
    command: type | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The function is dropped as soon as that is possible, and bypassed until then."""
    clock = VirtualClock()
    store = SimulatedBackend(clock)
    cache = Cache(backend=store, clock=clock, memory=0)
    versions = [1]

    @cache.cached(index=True, name="failing")
    def read(row: int) -> int:
        return versions[-1]

    read(1)
    versions.append(2)
    if command is None:
        store.unreachable = True
    else:
        store.refuse(1)
    read.delete_matching(row=1)
    if command is None:
        assert read.live_calls() == []
        assert not read.live_calls().complete
    store.unreachable = False
    clock.advance(10)
    assert read(1) == 2
    cache.close()
