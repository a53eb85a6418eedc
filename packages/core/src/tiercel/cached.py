"""Everything a cached function can be asked to do besides being called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from tiercel import switch
from tiercel.engine.drop import drop_key, drop_scopes
from tiercel.engine.effects import Gather, Steps
from tiercel.engine.read import fetch_many, peek
from tiercel.engine.refresh import refresh
from tiercel.engine.state import Outcome
from tiercel.events import Status
from tiercel.function import Calls
from tiercel.outcomes import CACHE_MISSING, Metadata, describe, value_of
from tiercel.outcomes import CacheMissing as Missing

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")
V = TypeVar("V")

Arguments = Sequence[Any]


class CachedFunction(Calls[P, R, T]):
    """A function whose results are cached; `P` its parameters, `R` what a call returns.

    `T` is the value: the same as `R`, or what awaiting it gives. Every method has a twin with `a`
    in front, to be awaited. On a coroutine function the plain ones raise TypeError and name the
    twin; on a plain function the twins work in a thread.
    """

    is_cached_function = True

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the cached value, or compute, store and return it."""
        result: R = self.hit_path.function(*args, **kwargs)
        return result

    def get_with_metadata(self, *args: P.args, **kwargs: P.kwargs) -> tuple[T, Metadata]:
        """Do what a call does; return the value and how this call was served."""
        return self._sync("get_with_metadata", self._with_metadata, args, kwargs)

    async def aget_with_metadata(self, *args: P.args, **kwargs: P.kwargs) -> tuple[T, Metadata]:
        """The twin of `get_with_metadata`."""
        return await self._arun(self._with_metadata(args, kwargs))

    def get_cache_only(self, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """Return what is cached, or `CACHE_MISSING`; the function is not called."""
        return self._sync("get_cache_only", self._cache_only, args, kwargs)

    async def aget_cache_only(self, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """The twin of `get_cache_only`."""
        return await self._arun(self._cache_only(args, kwargs))

    def get_cached_metadata(self, *args: P.args, **kwargs: P.kwargs) -> Metadata | None:
        """Return how the entry was written, or None if there is none."""
        return self._sync("get_cached_metadata", self._cached_metadata, args, kwargs)

    async def aget_cached_metadata(self, *args: P.args, **kwargs: P.kwargs) -> Metadata | None:
        """The twin of `get_cached_metadata`."""
        return await self._arun(self._cached_metadata(args, kwargs))

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Compute now, overwrite the entry and return the new value."""
        return self._sync("refresh", self._refreshed, args, kwargs)

    async def arefresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The twin of `refresh`."""
        return await self._arun(self._refreshed(args, kwargs))

    def bypass_cache(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function itself; nothing is read or stored."""
        return self._sync("bypass_cache", self._around, args, kwargs)

    async def abypass_cache(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The twin of `bypass_cache`."""
        return await self._arun(self._around(args, kwargs))

    def delete_cache(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the entry of exactly these arguments.

        Returns:
            Whether there was one, as far as is known.
        """
        return self._sync("delete_cache", self._deleted, args, kwargs)

    async def adelete_cache(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """The twin of `delete_cache`."""
        return await self._arun(self._deleted(args, kwargs))

    def delete_by_prefix(self, *args: Any, **kwargs: Any) -> None:
        """Drop all entries of the partition that these arguments say, at the cost of one write.

        Without arguments, everything is dropped. Where the key has no partition, the arguments of
        a whole call drop exactly its entry.

        Raises:
            TypeError: The arguments do not say which partition.
        """
        self._sync("delete_by_prefix", self._partition_dropped, args, kwargs)

    async def adelete_by_prefix(self, *args: Any, **kwargs: Any) -> None:
        """The twin of `delete_by_prefix`."""
        await self._arun(self._partition_dropped(args, kwargs))

    def invalidate_all(self) -> None:
        """Drop every entry of this function, however many, at the cost of one write."""
        self._sync("invalidate_all", self._partition_dropped, (), {})

    async def ainvalidate_all(self) -> None:
        """The twin of `invalidate_all`."""
        await self._arun(self._partition_dropped((), {}))

    def many(self, calls: Iterable[Any]) -> list[T]:
        """Return the values of many calls, those in the shared tier in one round trip.

        Args:
            calls: For each call its arguments: a tuple, a dict of keywords, or the only argument.

        Returns:
            The values, in the order of `calls`.
        """
        return self._sync("many", lambda args, _: self._many(args), tuple(calls), {})

    async def amany(self, calls: Iterable[Any]) -> list[T]:
        """The twin of `many`; what is missing is computed concurrently."""
        return await self._arun(self._many(tuple(calls)))

    def get_cache_key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call, without touching the cache; needs no twin."""
        subject = self.subject  # binds, so that the key carries the prefix of the cache
        assert subject is self.subject
        text: str = self.plan.key(*args, **kwargs).text
        return text

    # The same, as steps of the engine

    def _with_metadata(
        self, args: Arguments, kwargs: Mapping[str, Any]
    ) -> Steps[tuple[T, Metadata]]:
        outcome = yield from self._served(args, kwargs)
        return value_of(outcome), self._metadata(outcome, outcome.status, args, kwargs)

    def _cache_only(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[T | Missing]:
        outcome = yield from self._peeked(args, kwargs)
        return CACHE_MISSING if outcome is None else value_of(outcome)

    def _cached_metadata(
        self, args: Arguments, kwargs: Mapping[str, Any]
    ) -> Steps[Metadata | None]:
        outcome = yield from self._peeked(args, kwargs)
        if outcome is None:
            return None
        return self._metadata(outcome, outcome.written, args, kwargs)

    def _refreshed(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[T]:
        if switch.is_off():
            return (yield from self._around(args, kwargs))
        outcome = yield from refresh(self.subject, self.call(args, kwargs))
        value: T = value_of(outcome)
        return value

    def _around(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[T]:
        outcome = yield from self._bypassed(args, kwargs)
        value: T = outcome.value
        return value

    def _deleted(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[bool]:
        return (yield from drop_key(self.subject, self.call(args, kwargs)))

    def _partition_dropped(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[None]:
        subject = self.subject
        if (args or kwargs) and self.plan.exact and self._fits(args, kwargs):
            yield from drop_key(subject, self.call(args, kwargs))
        else:
            yield from drop_scopes(subject, self.plan.partition_scope(*args, **kwargs))

    def _fits(self, args: Arguments, kwargs: Mapping[str, Any]) -> bool:
        """Tell whether these are the arguments of a whole call."""
        try:
            self.plan.signature.bind(*args, **kwargs)
        except TypeError:
            return False
        return True

    def _many(self, calls: Arguments) -> Steps[list[T]]:
        split = [_arguments_of(call) for call in calls]
        if switch.is_off():
            around: list[T] = yield Gather([self._around(*each) for each in split])
            return around
        outcomes = yield from fetch_many(self.subject, [self.call(*each) for each in split])
        return [value_of(outcome) for outcome in outcomes]

    def _peeked(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[Outcome | None]:
        if switch.is_off():
            return None
        return (yield from peek(self.subject, self.call(args, kwargs)))

    def _metadata(
        self, outcome: Outcome, status: Status, args: Arguments, kwargs: Mapping[str, Any]
    ) -> Metadata:
        key = self.plan.key(*args, **kwargs).text
        grace = 0.0 if outcome.error else self.settings.policy.grace
        return describe(outcome, key, self.subject.engine.clock, status, grace)

    def _sync(
        self,
        method: str,
        operation: Callable[[Arguments, Mapping[str, Any]], Steps[V]],
        args: Arguments,
        kwargs: Mapping[str, Any],
    ) -> V:
        if self.asynchronous:
            raise TypeError(
                f"{self.name} is a coroutine function: await its a{method}() instead of {method}()"
            )
        return self._run(operation(args, kwargs))


def _arguments_of(call: Any) -> tuple[Arguments, Mapping[str, Any]]:
    if isinstance(call, tuple):
        return call, {}
    if isinstance(call, dict):
        return (), call
    return (call,), {}
