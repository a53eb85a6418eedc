"""Where entries are kept and what callers get of them: tiers, copies, versions, names, codecs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from packages.core.tests.stages import Stage, Way
from tiercel import CACHE_MISSING, Cache, ConfigurationError, Tier, cache_result
from tiercel.configuration import use_caches


@dataclass
class Point:
    x: int
    y: int


async def test_tiers_when_memory_only_never_asks_the_shared_tier(tiers: Stage, way: Way) -> None:
    """Such a function costs the server nothing, drops included."""
    cached = tiers.cached(way.function(lambda key: object()), tiers="memory")
    tiers.store.commands.clear()
    first = await way.call(cached, 1)
    assert await way.call(cached, 1) is first
    await way.do(cached, "delete_cache", 1)
    assert await way.call(cached, 1) is not first
    await way.do(cached, "invalidate_all")
    await way.do(cached, "refresh", 1)
    tiers.advance(100)
    _, metadata = await way.do(cached, "get_with_metadata", 1)
    assert (metadata["cache_status"], metadata["tier"]) == ("HIT", Tier.MEMORY)
    names = {type(command).__name__ for command in tiers.store.commands}
    assert names <= {"Poll"}


async def test_tiers_when_shared_only_reads_the_shared_tier_each_time(
    stage: Stage, way: Way
) -> None:
    """What another process has dropped is never served."""
    if not stage.shares:
        return
    answers = iter(range(10))
    mine, theirs = stage.pair(way.function(lambda key: next(answers)), tiers="shared")
    assert [await way.call(cached, 1) for cached in (mine, theirs, mine)] == [0, 0, 0]
    _, metadata = await way.do(mine, "get_with_metadata", 1)
    assert (metadata["cache_status"], metadata["tier"]) == ("HIT", Tier.SHARED)
    await way.do(theirs, "delete_cache", 1)
    assert await way.call(mine, 1) == 1


async def test_copy_when_left_out_hands_out_the_shared_object(memory: Stage, way: Way) -> None:
    """Values in memory are shared objects, as with `lru_cache`."""
    cached = memory.cached(way.function(lambda key: [1]))
    assert await way.call(cached, 1) is await way.call(cached, 1)


async def test_copy_when_asked_for_protects_the_entry(stage: Stage, way: Way) -> None:
    """Callers may change what they get, the first one too, and nobody else sees it."""
    cached = stage.cached(way.function(lambda key: {"list": [1]}), copy=True)
    for method in ("call", "call", "get_cache_only", "refresh", "call"):
        if method == "call":
            value = await way.call(cached, 1)
        else:
            value = await way.do(cached, method, 1)
        assert value == {"list": [1]}
        value["list"].append(2)
    (value,) = await way.do(cached, "many", [1])
    assert value == {"list": [1]}


async def test_copy_when_a_value_has_none_gives_it_to_its_caller(
    stage: Stage, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be copied is not kept in memory; callers never get the error of copying."""
    cached = stage.cached(way.function(lambda key: {key: 1}.keys()), copy=True)
    assert list(await way.call(cached, 5)) == [5]
    assert list(await way.call(cached, 5)) == [5]
    assert stage.kind != "memory" or "cannot be copied, as copy=True asks" in caplog.text


async def test_return_annotation_when_given_types_what_comes_back(shared: Stage) -> None:
    """A dataclass crosses the shared tier as what the annotation says."""

    def locate(key: int) -> Point:
        return Point(key, 2)

    for cached in shared.pair(locate):
        assert cached(1) == Point(1, 2)


async def test_result_when_codec_cannot_store_it_is_returned_and_reported(
    shared: Stage, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that has no bytes is the caller's nevertheless; it enters no shared tier."""
    calls: list[int] = []

    def compute(key: int) -> Any:
        calls.append(key)
        return object()

    cached = shared.cached(way.function(compute))
    await way.call(cached, 1)
    await way.call(cached, 1)
    assert calls == [1, 1]
    assert "could not be stored in the shared tier" in caplog.text
    assert await way.do(cached, "get_cache_only", 1) is CACHE_MISSING


async def test_pickle_when_signed_stores_any_object(stage: Stage, way: Way) -> None:
    """With a key to sign with, pickle is allowed."""
    if not stage.shares:
        return
    cache = stage.process(codec="pickle", signing_key="s" * 32)
    cached = cache.cached(name="tests:pickled")(way.function(lambda key: {complex(key, 1)}))
    assert await way.call(cached, 1) == await way.call(cached, 1) == {1 + 1j}


async def test_version_when_raised_leaves_old_entries_behind(stage: Stage, way: Way) -> None:
    """Nothing written under another version is found any more."""
    answers = iter(range(10))
    function = way.function(lambda key: next(answers))
    name = f"tests:versioned-{stage.kind}-{way.name}"
    first = stage.cached(function, version=1, name=name)
    second = stage.cached(function, version=2, name=name)
    assert [await way.call(cached, 1) for cached in (first, second, first)] == [0, 1, 0]


def closures() -> tuple[Callable[[int], int], Callable[[int], int]]:
    def make(factor: int) -> Callable[[int], int]:
        def scaled(value: int) -> int:
            return factor * value

        return scaled

    return make(2), make(3)


@pytest.fixture
def _names_free() -> None:
    gc.collect()  # functions of earlier tests are parts of cycles


@pytest.mark.usefixtures("_names_free")
@pytest.mark.parametrize("kind", ["two_tiers", "shared", "dict"])
def test_names_when_closures_share_a_tier_are_refused(kind: str) -> None:
    """Two living functions of one name would serve each other's values."""
    stage = Stage(kind)
    two, three = closures()
    first = stage.cache.cached(two)
    with pytest.raises(ConfigurationError, match=r"another living function .* name="):
        stage.cache.cached(three)
    named = stage.cache.cached(name=f"tests:three-{kind}")(three)
    assert [first(1), named(1), first(1)] == [2, 3, 2]
    stage.close()


@pytest.mark.usefixtures("_names_free")
def test_names_when_closures_stay_in_memory_are_no_matter(memory: Stage) -> None:
    """Without a shared tier each function has entries of its own."""
    two, three = closures()
    first, second = memory.cache.cached(two), memory.cache.cached(three)
    assert [first(1), second(1), first(1)] == [2, 3, 2]
    first.invalidate_all()
    assert second.get_cache_only(1) == 3


@pytest.mark.usefixtures("_names_free")
def test_names_when_closures_ask_for_memory_only_are_no_matter(tiers: Stage) -> None:
    """`tiers="memory"` keeps them apart on a cache that has a shared tier."""
    two, three = closures()
    first = tiers.cache.cached(tiers="memory")(two)
    second = tiers.cache.cached(tiers="memory")(three)
    assert [first(1), second(1), first(1)] == [2, 3, 2]


@pytest.mark.usefixtures("_names_free")
def test_names_when_a_shared_tier_is_configured_later_are_refused_then(shared: Stage) -> None:
    """Functions decorated before the configuration are checked when they bind."""
    two, three = (cache_result(function) for function in closures())
    former = use_caches({"default": shared.cache})
    try:
        assert two(1) == 2
        with pytest.raises(ConfigurationError, match=r"another living function .* name="):
            three(1)
    finally:
        use_caches(former)


@pytest.mark.usefixtures("_names_free")
def test_names_when_the_other_closure_is_gone_are_free(shared: Stage) -> None:
    """A function that nobody holds any more does not keep its name."""
    two, three = closures()
    shared.cache.cached(two)
    gc.collect()
    assert shared.cache.cached(three)(1) == 3


def doubled(value: int) -> int:
    return 2 * value


@pytest.fixture
def collected() -> Iterator[list[int]]:
    """The generations that the garbage collector goes through, which does so on demand only."""
    generations: list[int] = []

    def note(phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            generations.append(about["generation"])

    gc.collect()
    gc.disable()
    gc.callbacks.append(note)
    yield generations
    gc.callbacks.remove(note)
    gc.enable()


def test_names_when_decorated_in_calls_again_and_again_do_not_search_all_objects(
    shared: Stage, collected: list[int]
) -> None:
    """A closure of the call before is gone, and is told from one that lives at little cost."""

    def serve(factor: int) -> int:
        @shared.cache.cached
        def scaled(value: int) -> int:
            return factor * value

        return int(scaled(1))

    assert [serve(5) for _ in range(40)] == [5] * 40
    assert 2 not in collected


def test_names_when_many_in_memory_are_alike_seldom_search_all_objects(
    memory: Stage, collected: list[int]
) -> None:
    """All that live have entries of their own; of those that do not, few names are left."""
    living = [memory.cache.cached(closures()[number % 2]) for number in range(40)]
    assert [cached(1) for cached in living] == [2, 3] * 20
    assert len(memory.cache.engine.named) == 40
    assert collected.count(2) == 2
    living.clear()
    for _ in range(200):
        assert memory.cache.cached(closures()[0])(1) == 2
    assert len(memory.cache.engine.named) < 64


@pytest.mark.parametrize("name", ["tests:again", None])
def test_names_when_they_may_be_taken_over_search_nothing(
    shared: Stage, collected: list[int], name: str | None
) -> None:
    """Who gives a name, or defines a function of a module anew, says that it is the same."""
    living = [shared.cache.cached(name=name)(doubled) for _ in range(5)]
    assert [cached(1) for cached in living] == [2] * 5
    assert collected == []


@pytest.mark.usefixtures("_names_free")
def test_names_when_lambdas_share_a_tier_are_refused(shared: Stage) -> None:
    """All lambdas of a scope are called the same."""
    first = shared.cache.cached(lambda value: 1)
    with pytest.raises(ConfigurationError, match=r"<lambda> too.* name="):
        shared.cache.cached(lambda value: 2)
    assert first(1) == 1


def test_memory_when_none_and_nothing_shared_caches_nothing() -> None:
    """`memory=0` without a shared tier switches a cache off for good."""
    calls: list[int] = []
    cached = Cache("memory://?memory=0").cached(lambda key: calls.append(key))
    cached(1)
    cached(1)
    assert calls == [1, 1]
    assert cached.get_cache_only(1) is CACHE_MISSING


def test_hit_when_there_is_a_shared_tier_takes_the_same_code(memory: Stage, tiers: Stage) -> None:
    """A hit in memory costs the same with a shared tier below, since nothing in it differs."""

    def compute(a: int, b: str = "") -> int:
        return a

    paths = [stage.cached(compute).cached_function.hit_path for stage in (memory, tiers)]
    assert paths[0].source == paths[1].source
    assert paths[0].function.__code__.co_code == paths[1].function.__code__.co_code
    for path, stage in zip(paths, (memory, tiers), strict=True):
        path.function(1, "x")
        stage.settle()
        path.function(1, "x")
        before = path.hits()
        path.function(1, "x")
        assert path.hits() == before + 1
