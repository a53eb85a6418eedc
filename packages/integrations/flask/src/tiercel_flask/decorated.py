"""The types of what `cached` and `memoize` leave in place of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Decorated(Protocol[P, R_co]):
    """A decorated function or method.

    A memoized one has every method of a cached function besides these.

    Attributes:
        cache_timeout: As it was given; may be replaced.
    """

    cache_timeout: Any

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Serve a call from the cache, or compute and keep its result."""
        ...

    @property
    def uncached(self) -> Callable[P, R_co]:
        """The function itself."""
        ...

    def make_cache_key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call."""
        ...

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...

    @overload
    def __get__(
        self: Decorated[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /
    ) -> Decorated[Q, R]: ...

    def __getattr__(self, name: str) -> Any: ...


class Decorates(Protocol):
    """A decorator that was given its options."""

    def __call__(self, function: Callable[P, R], /) -> Decorated[P, R]:
        """Decorate a function or method, plain or coroutine."""
        ...
