"""Hits of methods: what a bound method is, and what of the object stands in the key."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from packages.core.tests.test_hitpath_calls import compiled, table
from tiercel.errors import ConfigurationError
from tiercel.hitpath import compile_hit_path


class Reader:
    """Its method is replaced by a descriptor in the tests below."""

    def __init__(self, name: int = 0) -> None:
        self.name = name

    def __cache_key__(self) -> int:
        return self.name

    def read(self, a: int, b: int = 2) -> tuple[int, int, int]:
        """Read."""
        return self.name, a, b


@pytest.mark.parametrize("method", ["shared", "keyed"])
def test_method_when_bound_then_hits_as_its_key_says(method: str) -> None:
    """`keyed` tells objects apart by their cache key, `shared` does not."""
    path, _ = compiled(Reader.read, ["a", "b"], method=method)
    assert path.bound is not None
    first, second = path.bound(Reader(1)), path.bound(Reader(2))
    assert first(5) == first(5, 2) == path.bound(Reader(1))(a=5) == (1, 5, 2)
    assert second(5) == ((2, 5, 2) if method == "keyed" else (1, 5, 2))
    assert path.function(Reader(1), 5) == (1, 5, 2)
    assert path.hits() == (3 if method == "keyed" else 4)


def test_method_when_bound_then_looks_like_a_bound_method() -> None:
    """Signature without the object, name, doc, equality, and a repr that names both."""
    path, _ = compiled(Reader.read, ["a", "b"], method="shared")
    assert path.bound is not None
    reader = Reader(1)
    bound = path.bound(reader)
    assert list(inspect.signature(bound).parameters) == ["a", "b"]
    assert (bound.__name__, bound.__qualname__, bound.__doc__) == ("read", "Reader.read", "Read.")
    assert bound == path.bound(reader) != path.bound(Reader(1))
    assert hash(bound) == hash(path.bound(reader))
    assert bound.__self__ is reader
    assert "Reader.read of" in repr(bound)
    assert pickle.loads(pickle.dumps(bound))(3) == (1, 3, 2)
    with pytest.raises(AttributeError):
        bound.nothing


async def test_method_when_async_then_inspect_says_so() -> None:
    """A bound async method passes for a coroutine function."""

    class Fetcher:
        async def fetch(self, a: int) -> int:
            return a

    async def slow(instance: Any, a: int) -> int:
        return a

    path = compile_hit_path(
        Fetcher.fetch, arguments=["a"], table=table(), slow=slow, method="shared"
    )
    assert path.bound is not None
    bound = path.bound(Fetcher())
    assert inspect.iscoroutinefunction(bound)
    assert await bound(1) == 1


def test_method_when_it_has_no_object_then_error() -> None:
    """A function without a first parameter cannot be a method."""
    with pytest.raises(ConfigurationError, match="is no method"):
        compiled(lambda *args: None, [], method="shared")
