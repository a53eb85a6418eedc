"""`cache_result`: declarative keys, as Restflow spells it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from tiercel.cached import CachedFunction
from tiercel.caches import Cache
from tiercel.configuration import decorator_for
from tiercel.options import Caching, Options

P = ParamSpec("P")
T = TypeVar("T")


@overload
def cache_result(
    function: Callable[P, Coroutine[Any, Any, T]], /
) -> CachedFunction[P, Coroutine[Any, Any, T], T]: ...


@overload
def cache_result(function: Callable[P, T], /) -> CachedFunction[P, T, T]: ...


@overload
def cache_result(*, cache: str | Cache | None = None, **options: Unpack[Options]) -> Caching: ...


def cache_result(
    function: Any = None, /, *, cache: str | Cache | None = None, **options: Any
) -> Any:
    """Cache the results of a function: `@cache_result` or `@cache_result(ttl=300, ...)`.

    Args:
        function: The function, where the decorator stands without parentheses.
        cache: A cache or its name; None: the default cache.
        **options: Those of `Cache.cached`; without `ttl` a result lives for 3,600 seconds.

    Raises:
        ConfigurationError: An option is unknown, wrong, or does not fit the function.
    """
    return decorator_for(cache).decorate(function, options)
