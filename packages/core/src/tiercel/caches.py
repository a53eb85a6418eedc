"""A cache: decorates functions, and holds values that are set by hand."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from tiercel.cached import CachedFunction
from tiercel.decorate import Decorator
from tiercel.engine import aio, sync
from tiercel.engine.drop import drop_scopes
from tiercel.engine.effects import Steps
from tiercel.function import living_functions
from tiercel.options import Caching, Options
from tiercel.policy import DEFAULT_TTL, Seconds
from tiercel.tags import tag_scope
from tiercel.tiers import CacheTiers
from tiercel.values import Values

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


class Cache(CacheTiers):
    """A named configuration of tiers. `Cache("redis://localhost/0?memory=10000&max_lag=0.5")`.

    Without a URL there is the memory tier only. Options stand in the URL or are passed by name:
    `memory` (entries, 0 for none), `memory_bytes`, `max_lag` (seconds), `timeout` (seconds for
    one command), `prefix`, `codec`, `guarantee`, `dispatcher`, and the backend's own; by name
    only: `compress`, `signing_key`, `encryption_keys`.

    Values set by hand are kept in both tiers like those of functions. Every method has a twin
    with `a` in front, to be awaited. A ttl is seconds or a timedelta; None: no expiry.
    """

    def __init__(self, url: str | None = None, **options: Any) -> None:
        """Check the options and load the backend; nothing is connected yet.

        Args:
            url: Where the shared tier is; None: no shared tier.
            **options: See the class; besides them `name`, by which doors and traces know the
                cache, and `backend`, an object of yours with `get` and `set` instead of a URL.

        Raises:
            ConfigurationError: An option is unknown or wrong, or weaker than `guarantee`.
            PluginError: Nobody provides the URL's scheme.
        """
        super().__init__(url, **options)
        self._values = Values(self)

    @property
    def decorator(self) -> Decorator:
        """What makes functions cached functions of this cache."""
        return Decorator(lambda: self, shared=self.shared is not None, follows=False)

    @overload
    def cached(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> CachedFunction[P, Coroutine[Any, Any, T], T]: ...

    @overload
    def cached(self, function: Callable[P, T], /) -> CachedFunction[P, T, T]: ...

    @overload
    def cached(self, **options: Unpack[Options]) -> Caching: ...

    def cached(  # type: ignore[misc]
        self, function: Any = None, /, **options: Any
    ) -> Any:
        """Cache a function: `@cache.cached` or `@cache.cached(ttl=60, ...)`.

        Args:
            function: The function, where the decorator stands without parentheses.
            **options: `key` (or `key_constructor`), `ttl`, `jitter`, `stale`, `stale_on_error`,
                `refresh_ahead`, `negative_ttl`, `cache_exceptions`, `wait`, `lease`, `cache_if`,
                `cache_unless`, `unless`, `dispatcher`, `dispatcher_config`, `codec`, `compress`,
                `copy`, `tags`, `tiers`, `version`, `name`. `tiercel.policy.Policy` says what each
                of them means.

        Raises:
            ConfigurationError: An option is unknown, wrong, or does not fit the function.
        """
        return self.decorator.decorate(function, options)

    # Values set by hand

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or `default`."""
        return self._run(self._values.get(key, default))

    async def aget(self, key: Any, default: Any = None) -> Any:
        """The twin of `get`."""
        return await self._arun(self._values.get(key, default))

    def set(self, key: Any, value: Any, ttl: Seconds | None = DEFAULT_TTL) -> bool:
        """Set the value of a key; False if the shared tier did not take it."""
        return self._run(self._values.set(key, value, ttl))

    async def aset(self, key: Any, value: Any, ttl: Seconds | None = DEFAULT_TTL) -> bool:
        """The twin of `set`."""
        return await self._arun(self._values.set(key, value, ttl))

    def add(self, key: Any, value: Any, ttl: Seconds | None = DEFAULT_TTL) -> bool:
        """Set the value of a key that has none; tell whether it was set."""
        return self._run(self._values.add(key, value, ttl))

    async def aadd(self, key: Any, value: Any, ttl: Seconds | None = DEFAULT_TTL) -> bool:
        """The twin of `add`."""
        return await self._arun(self._values.add(key, value, ttl))

    def has(self, key: Any) -> bool:
        """Tell whether a key has a value."""
        return self._run(self._values.has(key))

    async def ahas(self, key: Any) -> bool:
        """The twin of `has`."""
        return await self._arun(self._values.has(key))

    def delete(self, key: Any) -> bool:
        """Remove the value of a key; tell whether there was one, as far as is known."""
        return self._run(self._values.delete(key))

    async def adelete(self, key: Any) -> bool:
        """The twin of `delete`."""
        return await self._arun(self._values.delete(key))

    def touch(self, key: Any, ttl: Seconds | None = DEFAULT_TTL) -> bool:
        """Give a value a new life from now on; False if there is none."""
        return self._run(self._values.touch(key, ttl))

    async def atouch(self, key: Any, ttl: Seconds | None = DEFAULT_TTL) -> bool:
        """The twin of `touch`."""
        return await self._arun(self._values.touch(key, ttl))

    def incr(self, key: Any, delta: int = 1) -> int:
        """Add to an integer and return the sum; its life does not change.

        Raises:
            KeyError: The key has no value.
        """
        return self._run(self._values.incr(key, delta))

    async def aincr(self, key: Any, delta: int = 1) -> int:
        """The twin of `incr`."""
        return await self._arun(self._values.incr(key, delta))

    def get_or_set(
        self, key: Any, default: Any | Callable[[], Any], ttl: Seconds | None = DEFAULT_TTL
    ) -> Any:
        """Return the value of a key; without one, set `default` or what calling it returns."""
        return self._run(self._values.get_or_set(key, default, ttl))

    async def aget_or_set(
        self, key: Any, default: Any | Callable[[], Any], ttl: Seconds | None = DEFAULT_TTL
    ) -> Any:
        """The twin of `get_or_set`; `default` may be a coroutine function."""
        return await self._arun(self._values.get_or_set(key, default, ttl))

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return the values of those keys that have one, in one round trip."""
        return self._run(self._values.get_many(tuple(keys)))

    async def aget_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """The twin of `get_many`."""
        return await self._arun(self._values.get_many(tuple(keys)))

    def set_many(self, values: Mapping[Any, Any], ttl: Seconds | None = DEFAULT_TTL) -> list[Any]:
        """Set several values; return the keys that the shared tier did not take."""
        return self._run(self._values.set_many(values, ttl))

    async def aset_many(
        self, values: Mapping[Any, Any], ttl: Seconds | None = DEFAULT_TTL
    ) -> list[Any]:
        """The twin of `set_many`."""
        return await self._arun(self._values.set_many(values, ttl))

    def delete_many(self, keys: Iterable[Any]) -> None:
        """Remove the values of several keys."""
        self._run(self._values.delete_many(tuple(keys)))

    async def adelete_many(self, keys: Iterable[Any]) -> None:
        """The twin of `delete_many`."""
        await self._arun(self._values.delete_many(tuple(keys)))

    def clear(self) -> None:
        """Drop all values set by hand and all entries of the functions known to this process."""
        self._run(self._clear())

    async def aclear(self) -> None:
        """The twin of `clear`."""
        await self._arun(self._clear())

    def drop_tags(self, *tags: str) -> None:
        """Drop every entry that carries one of these tags, at the cost of one write.

        Raises:
            ConfigurationError: A tag is no text, or empty.
        """
        self._run(self._drop_tags(tags))

    async def adrop_tags(self, *tags: str) -> None:
        """The twin of `drop_tags`."""
        await self._arun(self._drop_tags(tags))

    def clear_local(self) -> None:
        """Empty the memory tier of this process; the shared tier keeps what it has."""
        if self.engine.memory is not None:
            self.engine.memory.clear()

    def _clear(self) -> Steps[None]:
        yield from self._values.clear()
        for function in living_functions():
            subject = function.subject_on(self.engine)
            if subject is not None:
                yield from drop_scopes(subject, subject.function_scope)

    def _drop_tags(self, tags: Sequence[str]) -> Steps[None]:
        yield from self._values.drop(*(tag_scope(self.prefix, tag) for tag in tags))

    def _run(self, steps: Steps[V]) -> V:
        return sync.run(self.engine, steps)

    async def _arun(self, steps: Steps[V]) -> V:
        return await aio.run(self.engine, steps)
