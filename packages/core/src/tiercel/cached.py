"""Everything a cached function can be asked to do besides being called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, starmap
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload
from weakref import ref

from tiercel import switch
from tiercel.dispatch.schedule import SCHEDULE, Repetition
from tiercel.engine.drop import drop_key, drop_scopes
from tiercel.engine.effects import Gather, Steps
from tiercel.engine.peek import peek
from tiercel.engine.read import fetch_many
from tiercel.engine.refresh import refresh
from tiercel.engine.retire import retire
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.errors import ConfigurationError
from tiercel.events import Status
from tiercel.function import Calls
from tiercel.listing import LiveCalls, drop_calls, live_calls, notes_of
from tiercel.methods import METHODS, Taking
from tiercel.outcomes import CACHE_MISSING, Metadata, Statistics, describe, value_of
from tiercel.outcomes import CacheMissing as Missing
from tiercel.policy import Seconds, duration

Owner = TypeVar("Owner")
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
    methods: Sequence[str] = METHODS

    if TYPE_CHECKING:  # what stands in a class is a `CachedMethod`, which does just this
        cached_function: CachedFunction[P, R, T]

        @overload  # may be a method or a static one, so what is passed is not checked
        def __get__(
            self: Taking[object, Q, R, T], instance: object, owner: Any = ..., /
        ) -> CachedFunction[..., R, T]: ...

        @overload  # a class method gets its class, wherever it is looked up
        def __get__(
            self: Taking[type[Owner], Q, R, T], instance: object, owner: type[Owner], /
        ) -> CachedFunction[Q, R, T]: ...

        @overload  # nor here: mypy does not know which class it is that a `Self` stands for
        def __get__(
            self: Taking[type[Any], Q, R, T], instance: object, owner: Any = ..., /
        ) -> CachedFunction[..., R, T]: ...

        @overload
        def __get__(self, instance: None, owner: Any = ..., /) -> CachedFunction[P, R, T]: ...

        @overload
        def __get__(
            self: Taking[Owner, Q, R, T], instance: Owner, owner: Any = ..., /
        ) -> CachedFunction[Q, R, T]: ...

        @overload  # what does not take the object is a static method
        def __get__(self, instance: object, owner: Any = ..., /) -> CachedFunction[P, R, T]: ...

        def __get__(self, instance: object, owner: Any = None, /) -> Any: ...

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the cached value, or compute, store and return it."""
        result: R = self.hit_path.function(*args, **kwargs)
        return result

    def get_with_metadata(self, /, *args: P.args, **kwargs: P.kwargs) -> tuple[T, Metadata]:
        """Do what a call does; return the value and how this call was served."""
        return self._sync("get_with_metadata", self._with_metadata, args, kwargs)

    async def aget_with_metadata(self, /, *args: P.args, **kwargs: P.kwargs) -> tuple[T, Metadata]:
        """The twin of `get_with_metadata`."""
        return await self._arun(self._with_metadata(args, kwargs))

    def get_cache_only(self, /, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """Return what is cached, or `CACHE_MISSING`; the function is not called."""
        return self._sync("get_cache_only", self._cache_only, args, kwargs)

    async def aget_cache_only(self, /, *args: P.args, **kwargs: P.kwargs) -> T | Missing:
        """The twin of `get_cache_only`."""
        return await self._arun(self._cache_only(args, kwargs))

    def get_cached_metadata(self, /, *args: P.args, **kwargs: P.kwargs) -> Metadata | None:
        """Return how the entry was written, or None if there is none."""
        return self._sync("get_cached_metadata", self._cached_metadata, args, kwargs)

    async def aget_cached_metadata(self, /, *args: P.args, **kwargs: P.kwargs) -> Metadata | None:
        """The twin of `get_cached_metadata`."""
        return await self._arun(self._cached_metadata(args, kwargs))

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Compute now, overwrite the entry and return the new value."""
        return self._sync("refresh", self._refreshed, args, kwargs)

    async def arefresh(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The twin of `refresh`."""
        return await self._arun(self._refreshed(args, kwargs))

    def refresh_every(self, seconds: Seconds, /, *args: P.args, **kwargs: P.kwargs) -> Repetition:
        """Refresh the entry of these arguments again and again, from now on.

        Of all processes that ask for it, one does it each time, if they share a tier. It runs
        where the function's dispatcher says.

        Args:
            seconds: From one time to the next, in seconds or as a timedelta.
            *args: The arguments, as in a call.
            **kwargs: The same.

        Returns:
            What `stop()` ends in this process.

        Raises:
            ConfigurationError: `seconds` is no duration, or 0.
            TypeError: The function does not take these arguments.
        """
        every = duration(self.name, "refresh_every", seconds)
        if not every:
            raise ConfigurationError(f"{self.name}: refresh_every(0): give more than 0 seconds")
        self.plan.signature.bind(*args, **kwargs)
        living = ref(self)

        def targets() -> list[tuple[Subject, Call]] | None:
            function = living()
            if function is None:
                return None
            used = function.all_in_use() if function.is_apart else [function]
            return [(each.subject, each.call(args, kwargs)) for each in used]

        return SCHEDULE.add(targets, every)

    def bypass_cache(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function itself; nothing is read or stored."""
        return self._sync("bypass_cache", self._around, args, kwargs)

    async def abypass_cache(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The twin of `bypass_cache`."""
        return await self._arun(self._around(args, kwargs))

    def delete_cache(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the entry of exactly these arguments.

        Returns:
            Whether there was one, as far as is known.
        """
        return self._sync("delete_cache", self._deleted, args, kwargs)

    async def adelete_cache(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """The twin of `delete_cache`."""
        return await self._arun(self._deleted(args, kwargs))

    def mark_stale(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Make the entry of exactly these arguments stale, as if its ttl had passed now.

        With `stale=`, the next caller still gets it, and it is refreshed in the background; with
        `stale_on_error=` it stands in if the function fails. Without either it is dropped.

        Returns:
            Whether there was one, as far as is known.
        """
        return self._sync("mark_stale", self._retired, args, kwargs)

    async def amark_stale(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """The twin of `mark_stale`."""
        return await self._arun(self._retired(args, kwargs))

    def delete_by_prefix(self, /, *args: Any, **kwargs: Any) -> None:
        """Drop all entries of the partition that these arguments say, at the cost of one write.

        Without arguments, everything is dropped. Where the key has no partition, the arguments of
        a whole call drop exactly its entry.

        Raises:
            TypeError: The arguments do not say which partition.
        """
        self._sync("delete_by_prefix", self._partition_dropped, args, kwargs)

    async def adelete_by_prefix(self, /, *args: Any, **kwargs: Any) -> None:
        """The twin of `delete_by_prefix`."""
        await self._arun(self._partition_dropped(args, kwargs))

    def drop_partition(self, /, *args: Any, **kwargs: Any) -> None:
        """Do what `delete_by_prefix` does, also for a coroutine function, in this thread."""
        self._run(self._partition_dropped(args, kwargs))

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

    def get_cache_key(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call, without touching the cache; needs no twin."""
        return self.call(args, kwargs).key.text

    def live_calls(self, /, *args: Any, **kwargs: Any) -> LiveCalls:
        """Return the calls that have an entry which could be served now.

        Needs `index=True`. Bounded: what the index has lost is not listed, and `complete` of what
        is returned is False then.

        Args:
            *args: The arguments of a partition, as for `delete_by_prefix`; none: all calls.
            **kwargs: The same.

        Returns:
            A list of positional arguments and keywords, in pairs.

        Raises:
            ConfigurationError: The function has no index.
            TypeError: The arguments do not say which partition.
        """
        return self._sync("live_calls", self._live, args, kwargs)

    async def alive_calls(self, /, *args: Any, **kwargs: Any) -> LiveCalls:
        """The twin of `live_calls`."""
        return await self._arun(self._live(args, kwargs))

    def delete_matching(self, /, *args: Any, **kwargs: Any) -> int:
        """Drop the entries of all calls that have these arguments, whatever their others are.

        Needs `index=True`. Takes time in proportion to the number of entries. Where entries may be
        missing from the index, everything is dropped.

        Returns:
            How many there were, as far as is known.

        Raises:
            ConfigurationError: The function has no index.
            TypeError: The function has no such arguments, or none are given.
        """
        return self._sync("delete_matching", self._matching_dropped, args, kwargs)

    async def adelete_matching(self, /, *args: Any, **kwargs: Any) -> int:
        """The twin of `delete_matching`."""
        return await self._arun(self._matching_dropped(args, kwargs))

    def stats(self) -> Statistics:
        """Return how calls were served in this process; hits are exact if no two threads meet."""
        if self.is_apart:
            return self.here().stats()
        subject = self._subject
        if subject is None:
            return Statistics()
        counts = {name: getattr(subject.stats, name) for name in subject.stats.__slots__}
        counts["memory_hits"] += self.hit_path.hits()
        counts["entries"] = 0 if subject.table is None else len(subject.table)
        return Statistics(**counts)

    # The same, as steps of the engine

    def _live(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[LiveCalls]:
        if self.is_apart:
            return (yield from self.here()._live(args, kwargs))
        notes_of(self)
        if (args or kwargs) and self.plan.exact and self._fits(args, kwargs):
            present = yield from self._peeked(args, kwargs)
            return LiveCalls([] if present is None else [(args, kwargs)])
        return (yield from live_calls(self, [self.plan.partition_scope(*args, **kwargs)]))

    def _matching_dropped(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[int]:
        return (yield from drop_calls(self.here(), args, kwargs))

    def _with_metadata(
        self, args: Arguments, kwargs: Mapping[str, Any]
    ) -> Steps[tuple[T, Metadata]]:
        outcome = yield from self._served(args, kwargs)
        value: T = self._value(outcome, args, kwargs)
        return value, self._metadata(outcome, outcome.status, args, kwargs)

    def _cache_only(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[T | Missing]:
        outcome = yield from self._peeked(args, kwargs)
        return CACHE_MISSING if outcome is None else self._value(outcome, args, kwargs)

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
        value: T = self._value(outcome, args, kwargs)
        return value

    def _around(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[T]:
        outcome = yield from self._bypassed(args, kwargs)
        value: T = outcome.value
        return value

    def _deleted(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[bool]:
        return (yield from drop_key(self.subject, self.call(args, kwargs)))

    def _retired(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[bool]:
        return (yield from retire(self.subject, self.call(args, kwargs)))

    def _partition_dropped(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[None]:
        if self.is_apart:
            return (yield from self.here()._partition_dropped(args, kwargs))
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
        split = [arguments_of(call) for call in calls]
        around = [self._is_bypassed(*each) for each in split]
        rest = [each for each, apart in zip(split, around, strict=True) if not apart]
        fetched = (yield from fetch_many(self.subject, [*starmap(self.call, rest)])) if rest else []
        apart = yield Gather([self._bypassed(*each) for each in compress(split, around)])
        found = {False: iter(fetched), True: iter(apart)}
        return [
            self._value(next(found[how]), *each) for how, each in zip(around, split, strict=True)
        ]

    def _peeked(self, args: Arguments, kwargs: Mapping[str, Any]) -> Steps[Outcome | None]:
        if switch.is_off():
            return None
        return (yield from peek(self.subject, self.call(args, kwargs)))

    def _value(self, outcome: Outcome, args: Arguments, kwargs: Mapping[str, Any]) -> Any:
        """Return what a call returns for an outcome."""
        return value_of(outcome)

    def _metadata(
        self, outcome: Outcome, status: Status, args: Arguments, kwargs: Mapping[str, Any]
    ) -> Metadata:
        key = self.call(args, kwargs).key.text
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


def arguments_of(call: Any) -> tuple[Arguments, Mapping[str, Any]]:
    """Return the arguments of a call as `many` takes it: a tuple, keywords, or the only one."""
    if isinstance(call, tuple):
        return call, {}
    if isinstance(call, dict):
        return (), call
    return (call,), {}
