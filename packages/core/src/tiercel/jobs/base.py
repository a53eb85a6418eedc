"""`Job`: something that is fetched, kept, served stale and refreshed in the background."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Final, Self, TypeVar, Unpack

from tiercel.cached import arguments_of
from tiercel.caches import Cache
from tiercel.engine.effects import Steps
from tiercel.engine.manual import put
from tiercel.errors import ConfigurationError
from tiercel.jobs.finding import find_class
from tiercel.jobs.function import Asked, JobFunction
from tiercel.jobs.hooks import JOB, USED, Call, JobHooks, Used
from tiercel.jobs.making import AnyJobFunction, function_of_class
from tiercel.options import Options

log = logging.getLogger("tiercel.jobs")

V = TypeVar("V")

Entry = tuple[float, Any]
"""When data becomes stale, as a Unix timestamp, and the data."""

Bound = tuple[AnyJobFunction, Any, Any]
"""A cached function, and the arguments that it is to be called with."""

Many = tuple[AnyJobFunction, list[Asked]]
"""A cached function, and the calls that it is to serve at once."""

_SHORTEST: Final = 0.001
"""Seconds that data is fresh at least which is set by hand."""


class Job(JobHooks):
    """Something that is fetched, kept, and served stale while it is refreshed in the background.

    A subclass defines `fetch`, and may be given options of `Cache.cached`, such as rules:

        class UserTweets(Job, invalidates_on=[...], dispatcher="rq"):
            lifetime = 300

            def fetch(self, username):
                return download(username)

        UserTweets().get("ann")

    The methods to be called have twins with `a` in front, to be awaited. If `fetch` is a coroutine
    method, the plain ones raise TypeError and name the twin.
    """

    options: ClassVar[dict[str, Any]] = {}
    _own_options: ClassVar[Mapping[str, Any]] = {}
    _functions: ClassVar[dict[Any, AnyJobFunction]] = {}

    def __init_subclass__(cls, **options: Unpack[Options]) -> None:
        """Check the class, as far as that is possible before it is used.

        Args:
            **options: Those of `Cache.cached`, except those that an attribute stands for.

        Raises:
            ConfigurationError: An attribute or option is unknown or wrong, or does not fit `fetch`.
        """
        super().__init_subclass__()
        cls._own_options = dict(options)
        cls.options = {}
        for base in reversed(cls.__mro__):
            cls.options |= vars(base).get("_own_options", {})
        cls._functions = {}
        if cls._is_whole():
            cls.function_on(cls.cache_alias)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls.__init__ is object.__init__ and (args or kwargs):
            raise TypeError(f"{cls.__name__}() takes no arguments; pass them to get()")
        made = super().__new__(cls)
        made._given = args, kwargs
        return made

    # What is called

    def get(self, *raw_args: Any, **raw_kwargs: Any) -> Any:
        """Return the data of a call: kept, if possible, or fetched, or stale, or `empty()`."""
        function, bound, named = self._prepared(raw_args, raw_kwargs)
        outer = USED.set(Used(self, Call(raw_args, raw_kwargs)))
        try:
            if function.has_fast_hits and not function.asynchronous:
                return function(*bound, **named)
            return function._sync("get", partial(_got, function), bound, named)
        finally:
            USED.reset(outer)

    async def aget(self, *raw_args: Any, **raw_kwargs: Any) -> Any:
        """The twin of `get`."""
        return await self._arun(_got, raw_args, raw_kwargs)

    def many(self, calls: Iterable[Any]) -> list[Any]:
        """Return what `get` returns for many calls, looked up in one round trip.

        Args:
            calls: For each call its arguments: a tuple, a dict of keywords, or the only argument.

        Returns:
            The data, in the order of `calls`.
        """
        function, asked = self._many(calls)
        with self._used((), {}):
            return function._sync("many", lambda calls, _: function.got_many(calls), asked, {})

    async def amany(self, calls: Iterable[Any]) -> list[Any]:
        """The twin of `many`; what is missing is fetched concurrently."""
        function, asked = self._many(calls)
        with self._used((), {}):
            return await function._arun(function.got_many(asked))

    def invalidate(self, *raw_args: Any, **raw_kwargs: Any) -> bool:
        """Make the data of a call stale, if there is any, and have it fetched in the background.

        Until that has happened the old data is served; `delete` drops it at once. Should the
        refresh get lost, readers ask for it again after `refresh_timeout`.

        Returns:
            Whether there was any.
        """
        return self._run("invalidate", JobFunction.invalidated, raw_args, raw_kwargs)

    async def ainvalidate(self, *raw_args: Any, **raw_kwargs: Any) -> bool:
        """The twin of `invalidate`."""
        return await self._arun(JobFunction.invalidated, raw_args, raw_kwargs)

    def delete(self, *raw_args: Any, **raw_kwargs: Any) -> bool:
        """Drop the data of a call; tell whether there was any, as far as is known."""
        return self._run("delete", JobFunction._deleted, raw_args, raw_kwargs)

    async def adelete(self, *raw_args: Any, **raw_kwargs: Any) -> bool:
        """The twin of `delete`."""
        return await self._arun(JobFunction._deleted, raw_args, raw_kwargs)

    def set(self, *raw_args: Any, **raw_kwargs: Any) -> bool:
        """Keep data that comes last, or under the name that `set_data_kwarg` says, for a call.

        Returns:
            Whether it was kept.

        Raises:
            TypeError: There is no data.
        """
        data, call = self._data_of(raw_args, raw_kwargs)
        return self._run("set", _putting(data), call.args, call.kwargs)

    async def aset(self, *raw_args: Any, **raw_kwargs: Any) -> bool:
        """The twin of `set`."""
        data, call = self._data_of(raw_args, raw_kwargs)
        return await self._arun(_putting(data), call.args, call.kwargs)

    def raw_get(self, *raw_args: Any, **raw_kwargs: Any) -> Entry | None:
        """Return when the data of a call becomes stale, and the data; nothing is refreshed.

        Returns:
            None if there is no data.
        """
        return self._run("raw_get", _raw, raw_args, raw_kwargs)

    async def araw_get(self, *raw_args: Any, **raw_kwargs: Any) -> Entry | None:
        """The twin of `raw_get`."""
        return await self._arun(_raw, raw_args, raw_kwargs)

    def refresh(self, *raw_args: Any, **raw_kwargs: Any) -> Any:
        """Fetch now, keep the data and return it, without `process_result`."""
        return self._run("refresh", JobFunction._refreshed, raw_args, raw_kwargs)

    async def arefresh(self, *raw_args: Any, **raw_kwargs: Any) -> Any:
        """The twin of `refresh`."""
        return await self._arun(JobFunction._refreshed, raw_args, raw_kwargs)

    def async_refresh(self, *raw_args: Any, **raw_kwargs: Any) -> None:
        """Have data fetched in the background; here and now if no dispatcher takes that.

        Data that cannot be fetched then is logged, not raised.
        """
        self._run("async_refresh", JobFunction.requested, raw_args, raw_kwargs)

    async def aasync_refresh(self, *raw_args: Any, **raw_kwargs: Any) -> None:
        """The twin of `async_refresh`."""
        await self._arun(JobFunction.requested, raw_args, raw_kwargs)

    def should_refresh(self, *raw_args: Any, **raw_kwargs: Any) -> bool:
        """Tell whether the data of a call is missing or stale."""
        entry = self.raw_get(*raw_args, **raw_kwargs)
        return entry is None or entry[0] <= self.cache.clock.time()

    def store(self, key: str, expiry: float, data: Any) -> bool:
        """Keep data under a key that `key` has returned, fresh until a timestamp.

        Raises:
            ConfigurationError: It is no key that `key` has returned in this process lately; or
                `key` is your own, and entries have tags.
        """
        function = self._keeping(key)
        call, life = function.texts.call_of(key), max(expiry - self.cache.clock.time(), _SHORTEST)
        return function._run(put(function.subject, call, self.freeze(data), life))

    cache_set = store

    # How it is known

    def key(self, /, *args: Any, **kwargs: Any) -> str:
        """Return the key of a call; what a subclass returns stands in the key in its place.

        It gets what `prepare_args` and `prepare_kwargs` have returned.
        """
        function, bound, named = self._bound(args, kwargs)
        with self._used(args, kwargs):
            return function.texts.text_of(bound, named)

    key.is_default = True  # type: ignore[attr-defined]

    def hash(self, value: Any) -> str:
        """Return a text that differs for different values, for keys of your own.

        Raises:
            UnkeyableValue: The value has no such text.
        """
        return self.cache.encoders.text(value, f"a value of {type(self).__name__}.hash")

    @property
    def class_path(self) -> str:
        """The module and name of the class."""
        return f"{type(self).__module__}.{type(self).__name__}"

    @property
    def function(self) -> Any:
        """The `CachedFunction` that this job is, with every method of one."""
        return self._function()

    @classmethod
    def function_on(cls, alias: str | Cache | None) -> AnyJobFunction:
        """Return the cached function of this class on the cache of an alias.

        Raises:
            ConfigurationError: The class does not say how to fetch, or something in it is wrong.
        """
        if cls.fetch is JobHooks.fetch:
            raise ConfigurationError(f"{cls.__name__} must define fetch()")
        function = cls._functions.get(alias)
        if function is None:
            made = function_of_class(cls, alias, cls.options)
            function = cls._functions.setdefault(alias, made)
        return function

    # What workers call that were sent a job by name

    @classmethod
    def perform_async_refresh(
        cls,
        klass_str: str,
        obj_args: Sequence[Any],
        obj_kwargs: Mapping[str, Any],
        call_args: Sequence[Any],
        call_kwargs: Mapping[str, Any],
    ) -> None:
        """Refresh a call of a job that is known by name: what tasks in old queues ask for.

        Args:
            klass_str: Module and name of a class of jobs, whose package this process has imported.
            obj_args: What the job is made with.
            obj_kwargs: The same, by name.
            call_args: Arguments of the call.
            call_kwargs: The same, by name.

        Raises:
            Exception: What `fetch` raised, so that the queue tries again.
        """
        found = find_class(klass_str, Job)
        if found is None:
            log.error("a task is for the job %s, which this worker does not have", klass_str)
            return
        found(*obj_args, **obj_kwargs).refresh(*call_args, **call_kwargs)

    job_refresh = perform_async_refresh

    # How a method is carried out

    @classmethod
    def _is_whole(cls) -> bool:
        """Tell whether the cached function of this class can be made now."""
        return cls.fetch is not JobHooks.fetch

    def _run(
        self,
        method: str,
        operation: Callable[[AnyJobFunction, Any, Any], Steps[V]],
        args: Any,
        kwargs: Any,
    ) -> V:
        function, bound, named = self._prepared(args, kwargs)
        with self._used(args, kwargs):
            return function._sync(method, partial(operation, function), bound, named)

    async def _arun(
        self, operation: Callable[[AnyJobFunction, Any, Any], Steps[V]], args: Any, kwargs: Any
    ) -> V:
        function, bound, named = self._prepared(args, kwargs)
        with self._used(args, kwargs):
            return await function._arun(operation(function, bound, named))

    def _many(self, calls: Iterable[Any]) -> Many:
        """Return the cached function of this job, and what it is asked for many calls."""
        asked: list[Asked] = []
        for args, kwargs in map(arguments_of, calls):
            _, bound, named = self._prepared(args, kwargs)
            asked.append((bound, named, Call(tuple(args), kwargs)))
        return self._function(), asked

    def _prepared(self, args: Any, kwargs: Any) -> Bound:
        """Return what serves a call as its caller wrote it."""
        return self._bound(self.prepare_args(*args), self.prepare_kwargs(**kwargs))

    def _bound(self, args: Any, kwargs: Any) -> Bound:
        """Return the cached function of this job, and what it gets for arguments of `fetch`."""
        function = self._functions.get(self.cache_alias)
        if function is None or function.is_apart:
            function = self._function()
        recipe = self.recipe if function.is_told_recipes else None
        return function, args, kwargs if recipe is None else {**kwargs, JOB: recipe}

    def _function(self) -> AnyJobFunction:
        """Return the cached function of this job in the running application."""
        return self.function_on(self.cache_alias).here()

    def _keeping(self, key: str) -> AnyJobFunction:
        """Return the cached function that has an entry under a key."""
        return self._function()

    @contextmanager
    def _used(self, args: Any, kwargs: Any) -> Iterator[None]:
        """Let hooks be called on this very job."""
        outer = USED.set(Used(self, Call(tuple(args), kwargs)))
        try:
            yield
        finally:
            USED.reset(outer)

    def _data_of(self, args: Any, kwargs: Any) -> tuple[Any, Call]:
        """Return the data that `set` was given, and the call that it is for."""
        if self.set_data_kwarg in kwargs:
            named = {name: each for name, each in kwargs.items() if name != self.set_data_kwarg}
            return kwargs[self.set_data_kwarg], Call(args, named)
        if not args:
            raise TypeError(
                f"{type(self).__name__}.set() got no data: pass it last, or as "
                f"{self.set_data_kwarg}="
            )
        return args[-1], Call(args[:-1], kwargs)


def _got(function: AnyJobFunction, args: Any, kwargs: Any) -> Steps[Any]:
    outcome = yield from function._served(args, kwargs)
    return function._value(outcome, args, kwargs)


def _raw(function: AnyJobFunction, args: Any, kwargs: Any) -> Steps[Entry | None]:
    outcome = yield from function._peeked(args, kwargs)
    if outcome is None:
        return None
    fresh = outcome.left - function.settings.policy.grace
    now = function.subject.engine.clock.time()
    return now + fresh, function._value(outcome, args, kwargs)


def _putting(data: Any) -> Callable[[AnyJobFunction, Any, Any], Steps[bool]]:
    def putting(function: AnyJobFunction, args: Any, kwargs: Any) -> Steps[bool]:
        life = max(function._life(data, *args, **kwargs), _SHORTEST)
        kept = function.owner.freeze(data)
        return (yield from put(function.subject, function.call(args, kwargs), kept, life))

    return putting
