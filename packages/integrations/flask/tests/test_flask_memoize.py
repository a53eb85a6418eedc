"""`memoize` and `delete_memoized`, for those who come from Flask-Caching."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from packages.integrations.flask.tests.making import make_app
from tiercel import UnkeyableValue
from tiercel.testing import VirtualClock
from tiercel_flask import Tiercel, cache_memoize_hit, cache_memoize_miss

calls: list[Any] = []


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def made(clock: VirtualClock) -> tuple[Flask, Tiercel]:
    calls.clear()
    return make_app(clock, TIERCEL_SIGNALS=True)


class Account:
    """Says which one it is, as Flask-Caching asks for it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __caching_id__(self) -> int:
        return self.number


def test_memoize_when_arguments_are_equal_then_the_cache_answers(
    made: tuple[Flask, Tiercel], clock: VirtualClock
) -> None:
    """Positional, named and omitted arguments are one call; types are told apart."""
    app, tiercel = made

    @tiercel.memoize(timeout=50)
    def add(a: Any, b: Any = 2) -> Any:
        calls.append((a, b))
        return a + b

    with app.app_context():
        assert [add(1), add(1, 2), add(a=1, b=2), add(1.0)] == [3, 3, 3, 3.0]
        assert calls == [(1, 2), (1.0, 2)]
        clock.advance(51)
        add(1)
    assert len(calls) == 3


def test_delete_memoized_when_given_a_function_or_a_call_then_so_much_is_dropped(
    made: tuple[Flask, Tiercel],
) -> None:
    """All entries, or that of one call; by the extension or by the function."""
    app, tiercel = made

    @tiercel.memoize()
    def square(n: int) -> int:
        calls.append(n)
        return n * n

    with app.app_context():
        square(2)
        square(3)
        assert tiercel.delete_memoized(square, 2)
        assert not tiercel.delete_memoized(square, 99)
        square(2)
        square(3)
        assert calls == [2, 3, 2]
        assert tiercel.delete_memoized(square)
        square(2)
        square(3)
        square.delete_memoized()
        square(2)
    assert calls == [2, 3, 2, 2, 3, 2]


def test_delete_memoized_when_given_something_else_then_it_is_refused(
    made: tuple[Flask, Tiercel],
) -> None:
    """A name, or a function that nobody memoized."""
    for wrong in ("square", len):
        with pytest.raises(TypeError, match="is not memoized"):
            made[1].delete_memoized(wrong)


def test_memoize_when_it_is_a_method_then_objects_are_told_apart(
    made: tuple[Flask, Tiercel],
) -> None:
    """By what they say of themselves, so that two objects of one row share entries."""
    app, tiercel = made

    class Ledger(Account):
        @tiercel.memoize()
        def total(self, year: int) -> int:
            calls.append((self.number, year))
            return self.number * year

    with app.app_context():
        one, two = Ledger(1), Ledger(2)
        assert [one.total(3), two.total(3), Ledger(1).total(3)] == [3, 6, 3]
        assert calls == [(1, 3), (2, 3)]
        tiercel.delete_memoized(one.total)
        one.total(3)
        two.total(3)
        assert calls[2:] == [(1, 3)]
        tiercel.delete_memoized(Ledger.total)
        one.total(3)
        two.total(3)
        assert calls[3:] == [(1, 3), (2, 3)]
        tiercel.delete_memoized(two.total, 3)
        one.total(3)
        two.total(3)
    assert calls[5:] == [(2, 3)]


def test_memoize_when_an_object_has_no_identity_then_the_error_says_what_to_do(
    made: tuple[Flask, Tiercel],
) -> None:
    """An address is no identity: the next object may have it."""
    app, tiercel = made

    class Plain:
        @tiercel.memoize()
        def name(self) -> str:
            return "plain"

        @tiercel.memoize(args_to_ignore=["self"])
        def kind(self, n: int) -> str:
            calls.append(n)
            return "plain"

    with app.app_context():
        with pytest.raises(UnkeyableValue, match="__cache_key__"):
            Plain().name()
        assert [Plain().kind(1), Plain().kind(1)] == ["plain", "plain"]
        assert calls == [1]
        tiercel.delete_memoized(Plain().kind)
        Plain().kind(1)
    assert calls == [1, 1]


def test_memoize_when_it_is_a_class_or_static_method_then_it_stays_one(
    made: tuple[Flask, Tiercel],
) -> None:
    """Classes are told apart by their names."""
    app, tiercel = made

    class Base:
        @classmethod
        @tiercel.memoize()
        def who(cls, n: int) -> str:
            calls.append(cls.__name__)
            return cls.__name__

        @tiercel.memoize()
        @staticmethod
        def twice(n: int) -> int:
            calls.append(n)
            return 2 * n

    class Derived(Base):
        pass

    with app.app_context():
        base: Any = Base  # what a type checker makes of these is Python's own limit
        derived: Any = Derived
        assert [base.who(1), derived.who(1), base.who(1)] == ["Base", "Derived", "Base"]
        assert [base.twice(4), base().twice(4)] == [8, 8]
    assert calls == ["Base", "Derived", 4]


def test_memoize_when_arguments_are_ignored_then_they_do_not_count(
    made: tuple[Flask, Tiercel],
) -> None:
    """`args_to_ignore`."""
    app, tiercel = made

    @tiercel.memoize(args_to_ignore=["log"])
    def double(n: int, log: Any) -> int:
        calls.append(n)
        return 2 * n

    with app.app_context():
        assert [double(1, object()), double(1, object())] == [2, 2]
    assert calls == [1]


def test_memoize_when_it_is_a_coroutine_function_then_it_is_awaited(
    made: tuple[Flask, Tiercel],
) -> None:
    """The cache works the same, and dropping needs no loop."""
    app, tiercel = made

    @tiercel.memoize()
    async def slow(n: int) -> int:
        calls.append(n)
        return n

    @app.get("/slow")
    async def view() -> str:
        return str([await slow(1), await slow(1)])

    client = app.test_client()
    assert client.get("/slow").text == "[1, 1]"
    with app.app_context():
        assert tiercel.delete_memoized(slow, 1)
    client.get("/slow")
    assert calls == [1, 1]


def test_memoize_when_predicates_are_given_then_they_get_the_call(
    made: tuple[Flask, Tiercel],
) -> None:
    """`unless` gets the function and the arguments, `forced_update` the arguments."""
    app, tiercel = made
    seen: list[Any] = []

    def unless(function: Any, *args: Any, **kwargs: Any) -> bool:
        seen.append((function.__name__, args))
        return args == (0,)

    @tiercel.memoize(
        unless=unless, forced_update=lambda n: n == 1, is_stale=lambda value: value == 2
    )
    def same(n: int) -> int:
        calls.append(n)
        return n

    with app.app_context():
        for n in (0, 0, 1, 1, 2, 2, 3, 3):
            assert same(n) == n
    assert calls == [0, 0, 1, 1, 2, 2, 3]
    assert ("same", (0,)) in seen


def test_memoize_when_signals_are_on_then_the_function_is_told(
    made: tuple[Flask, Tiercel],
) -> None:
    """Receivers get the function besides the key and the call."""
    app, tiercel = made

    @tiercel.memoize()
    def same(n: int) -> int:
        return n

    told: list[Any] = []

    def note(sender: Any, f: Any, args: Any, **about: Any) -> None:
        told.append((f.__name__, args))

    with cache_memoize_hit.connected_to(note), app.app_context():
        same(1)
        same(1)
    with cache_memoize_miss.connected_to(note), app.app_context():
        same(1)
        same(2)
    assert told == [("same", (1,)), ("same", (2,))]


def test_memoize_when_named_then_tags_and_other_options_work(
    made: tuple[Flask, Tiercel],
) -> None:
    """`make_name` gets the name of the function; every option of the core may be given."""
    app, tiercel = made

    @tiercel.memoize(make_name=lambda name: f"shop.{name[-6:]}", tags=["n:{n}"])
    def tagged(n: int) -> int:
        calls.append(n)
        return n

    with app.app_context():
        tagged(1)
        tagged(2)
        tiercel.cache.drop_tags("n:1")
        tagged(1)
        tagged(2)
        assert "shop.tagged" in tagged.make_cache_key(1)
    assert calls == [1, 2, 1]
    assert tagged.uncached(3) == 3


def test_memoize_when_no_application_runs_then_it_says_so(made: tuple[Flask, Tiercel]) -> None:
    """With several applications, outside of them, the default timeout is nobody's."""
    _, tiercel = made
    make_app()

    @tiercel.memoize(timeout=5)
    def same(n: int) -> int:
        return n

    assert same(1) == 1
