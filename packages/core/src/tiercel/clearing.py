"""What a cache can be asked to do with functions: drop their entries, tell how they are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MethodType
from typing import Any

from tiercel.cached import CachedFunction
from tiercel.engine.state import Engine
from tiercel.function import living_functions
from tiercel.hitpath import BoundMethod
from tiercel.listing import drop_some
from tiercel.outcomes import Statistics

AnyCached = CachedFunction[Any, Any, Any]


class FunctionMethods:
    """The methods of a cache for functions; each has a twin with `a` in front, to be awaited.

    A function is what a decorator has left in its place, also as a method of an object, which then
    is its first argument. Its entries are dropped wherever they are, whichever cache is asked. The
    plain methods work on coroutine functions, too.
    """

    engine: Engine

    def clear_cached_func(self, func: Any, /, *args: Any, **kwargs: Any) -> bool:
        """Drop the entry of exactly these arguments; tell whether there was one.

        Raises:
            TypeError: `func` is no cached function, or takes other arguments.
        """
        cached, first = _cached(func)
        return cached._run(cached._deleted((*first, *args), kwargs))

    async def aclear_cached_func(self, func: Any, /, *args: Any, **kwargs: Any) -> bool:
        """The twin of `clear_cached_func`."""
        cached, first = _cached(func)
        return await cached._arun(cached._deleted((*first, *args), kwargs))

    def clear_cached_func_all(self, func: Any, /) -> None:
        """Drop all entries of a function, of all objects, at the cost of one write.

        Raises:
            TypeError: `func` is no cached function.
        """
        cached, _ = _cached(func)
        cached.drop_partition()

    async def aclear_cached_func_all(self, func: Any, /) -> None:
        """The twin of `clear_cached_func_all`."""
        cached, _ = _cached(func)
        await cached._arun(cached._partition_dropped((), {}))

    def clear_cached_func_some(self, func: Any, /, *args: Any, **kwargs: Any) -> tuple[int, bool]:
        """Drop the entries of all calls with these arguments, whatever their others are.

        Leading arguments cost one write, if the key has partitions for them, as it has with
        `cache_key_with_full_args=True`. Any others are looked for by a task of the function's
        dispatcher, which needs `index=True`.

        Returns:
            How many entries are known to match, and whether the task still looks for others.

        Raises:
            ConfigurationError: The key has no such partitions, and the function no index.
            TypeError: `func` is no cached function, or the arguments do not fit.
        """
        cached, first = _cached(func)
        return cached._run(drop_some(cached, (*first, *args), kwargs))

    async def aclear_cached_func_some(
        self, func: Any, /, *args: Any, **kwargs: Any
    ) -> tuple[int, bool]:
        """The twin of `clear_cached_func_some`."""
        cached, first = _cached(func)
        return await cached._arun(drop_some(cached, (*first, *args), kwargs))

    def stats(self) -> Mapping[str, Statistics]:
        """Return how the calls of each function of this cache were served in this process.

        Values that are set by hand stand under `values`.
        """
        found = self._functions()
        return {each.name: each.stats() for each in sorted(found, key=lambda each: each.name)}

    def _functions(self) -> Sequence[AnyCached]:
        """Return the functions of this cache that this process has used."""
        living = [each for each in living_functions() if isinstance(each, CachedFunction)]
        return [each for each in living if each.subject_on(self.engine) is not None]


def _cached(func: Any) -> tuple[AnyCached, tuple[Any, ...]]:
    """Return the cached function that something stands for, and its object if it is a method."""
    cached = func if isinstance(func, CachedFunction) else getattr(func, "cached_function", None)
    if not isinstance(cached, CachedFunction):
        raise TypeError(f"{func!r} is no cached function: pass what the decorator has returned")
    if isinstance(func, BoundMethod):
        return cached.here(), (func.instance,)
    return cached.here(), (func.__self__,) if isinstance(func, MethodType) else ()
