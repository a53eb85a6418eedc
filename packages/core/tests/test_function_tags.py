"""Tags: dropping entries of several functions together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tiercel import Cache, ConfigurationError, UnkeyableValue
from tiercel.testing import DictBackend, SimulatedBackend

CACHES: dict[str, Callable[[], Cache]] = {
    "memory": lambda: Cache(),
    "both tiers": lambda: Cache(backend=SimulatedBackend()),
    "shared": lambda: Cache(backend=SimulatedBackend(), memory=0),
    "a plain object": lambda: Cache(backend=DictBackend()),
}


@pytest.fixture(params=CACHES)
def cache(request: pytest.FixtureRequest) -> Cache:
    """A cache of each kind."""
    return CACHES[request.param]()


def test_tag_when_dropped_takes_entries_of_all_functions_that_carry_it(cache: Cache) -> None:
    """One drop reaches two functions, and no entry that does not carry the tag."""
    runs: list[str] = []

    @cache.cached(tags=["user:{user}"], name="profile")
    def profile(user: int) -> str:
        runs.append(f"profile {user}")
        return f"profile of {user}"

    @cache.cached(tags=lambda user, page: [f"user:{user}", f"page:{page}"], name="orders")
    def orders(user: int, page: int = 1) -> str:
        runs.append(f"orders {user} {page}")
        return f"orders of {user}"

    for user in (1, 2):
        profile(user)
        orders(user)
    runs.clear()
    cache.drop_tags("user:1")
    for user in (1, 2):
        profile(user)
        orders(user)
    assert runs == ["profile 1", "orders 1 1"]


def test_tag_when_dropped_while_computing_keeps_the_result_out(cache: Cache) -> None:
    """A result whose tag was dropped while it was computed is not served again."""
    runs: list[int] = []

    @cache.cached(tags=["all"], name="report")
    def report() -> int:
        runs.append(1)
        if len(runs) == 1:
            cache.drop_tags("all")
        return len(runs)

    assert report() == 1
    assert report() == 2
    assert report() == 2


async def test_tag_when_dropped_from_a_task_reaches_coroutine_functions(cache: Cache) -> None:
    """The twin does the same."""
    runs: list[int] = []

    @cache.cached(tags=["all"], name="areport")
    async def report() -> int:
        runs.append(1)
        return len(runs)

    assert await report() == await report() == 1
    await cache.adrop_tags("all")
    assert await report() == 2


def test_tag_when_it_names_no_argument_is_an_error_at_decoration() -> None:
    """The message names the tag, the argument and what there is."""
    with pytest.raises(ConfigurationError, match=r"'user:\{usr\}' names 'usr'.*there are: user"):

        @Cache().cached(tags=["user:{usr}"])
        def profile(user: int) -> int:
            return user


def test_tag_when_given_as_one_text_is_an_error_at_decoration() -> None:
    """A text is a sequence of characters, which nobody means."""
    with pytest.raises(ConfigurationError, match="must be a sequence of texts"):
        Cache().cached(tags="users")(lambda: 1)


@pytest.mark.parametrize("wrong", ["news", 5])
def test_tags_when_a_callable_returns_no_sequence_is_an_error_at_the_call(wrong: object) -> None:
    """A text is a sequence of its letters, which nobody would drop by."""
    decorate: Any = Cache().cached
    with pytest.raises(TypeError, match=rf"find: tags returned {wrong!r} where a sequence"):
        decorate(tags=lambda: wrong, name="find")(lambda: 1)()


def test_tag_when_an_argument_has_no_text_is_an_error_at_the_call() -> None:
    """The message names the argument and its type."""

    @Cache().cached(tags=["point:{point}"])
    def value(point: tuple[int, int]) -> int:
        return point[0]

    with pytest.raises(UnkeyableValue, match=r"argument 'point' .* it is a tuple"):
        value((1, 2))
