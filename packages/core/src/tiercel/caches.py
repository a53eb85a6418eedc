"""A cache: decorates functions, and holds values that are set by hand."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, ParamSpec, TypeVar, Unpack, overload

from tiercel.bulletins import Publisher
from tiercel.cached import CachedFunction
from tiercel.clearing import FunctionMethods
from tiercel.contracts.backend import DropScopes
from tiercel.decorate import Decorator
from tiercel.engine.builds import Ledger
from tiercel.engine.drop import drop_scopes
from tiercel.engine.effects import Steps
from tiercel.errors import ConfigurationError
from tiercel.function import living_functions
from tiercel.invalidation import acarry_out, carry_out, change_of, plan
from tiercel.options import Caching, Options
from tiercel.spaces import Space, ValueMethods
from tiercel.tags import tag_scope
from tiercel.tiers import CacheTiers
from tiercel.values import Values
from tiercel.warmup import start_warmups, use_all

TELLING: Final = 10.0
"""Seconds that the shared tier keeps what tells all processes to empty their memory."""

P = ParamSpec("P")
T = TypeVar("T")


class Cache(CacheTiers, ValueMethods, FunctionMethods):
    """A named configuration of tiers. `Cache("redis://localhost/0?memory=10000&max_lag=0.5")`.

    Without a URL there is the memory tier only. Options stand in the URL or are passed by name:
    `memory` (entries, 0 for none), `memory_bytes`, `max_lag` (seconds), `timeout` (seconds for
    one command), `replay_window` (seconds), `prefix`, `codec`, `guarantee`, `dispatcher`, `events`,
    and the backend's own; by name only: `compress`, `signing_key`, `encryption_keys`.

    Values set by hand are kept in both tiers like those of functions. Every method has a twin
    with `a` in front, to be awaited. A ttl is seconds or a timedelta; None: no expiry.

    Attributes:
        publisher: Tells those who watch the cache what this process does with it.
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
        self._spaces: dict[str, Space] = {}
        self._ledger: Values | None = None
        self.publisher = Publisher(self, always=self._location.events)
        self._companions.append(self.publisher)

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
                `refresh_ahead`, `negative_ttl`, `cache_exceptions`, `wait`, `soft_timeout`,
                `hard_timeout`, `lease`, `cache_if`,
                `cache_unless`, `unless`, `atomic_writes`, `async_compute`,
                `async_compute_job_timeout`, `dispatcher`, `dispatcher_config`, `codec`,
                `compress`, `copy`, `tags`, `invalidates_on`, `index`, `tiers`, `version`, `name`.
                `tiercel.policy.Policy` says what each of them means.

        Raises:
            ConfigurationError: An option is unknown, wrong, or does not fit the function.
        """
        return self.decorator.decorate(function, options)

    def space(self, name: str, codec: str | None = None) -> Space:
        """Return the values set by hand under a name of their own; always the same for one name.

        Args:
            name: Keeps their keys apart from those of the cache and of other spaces.
            codec: Instead of the codec of the cache.

        Raises:
            ConfigurationError: The space exists already, with another codec.
        """
        space = self._spaces.get(name)
        if space is None:
            space = self._spaces.setdefault(name, Space(self, name, codec))
        if space.codec != codec:
            raise ConfigurationError(
                f"space {name!r} of cache {self.name!r} has the codec {space.codec!r}, so it "
                f"cannot have {codec!r}, too: choose another name"
            )
        return space

    def in_use(self) -> None:
        """Start what `warmup_on_startup` asks for, in the background, unless that was done.

        The first use of the cache does this, as does `tiercel.configure`; call it to be earlier.
        """
        start_warmups(self)
        self.publisher.attend()

    def ledger(self) -> Ledger | None:
        """Return where processes tell each other what they build; None if nothing is shared."""
        if self._ledger is None and self.shared is not None:
            self._ledger = Values(self, "builds", tiers="shared")
        return self._ledger

    def clear(self) -> None:
        """Drop all values set by hand and all entries of the functions known to this process."""
        self._run(self._clear())

    async def aclear(self) -> None:
        """The twin of `clear`."""
        await self._arun(self._clear())

    def clear_all_cache(self) -> None:
        """Drop what `clear` drops, and entries of functions that only others have used so far."""
        use_all(self)
        self.clear()

    async def aclear_all_cache(self) -> None:
        """The twin of `clear_all_cache`."""
        use_all(self)
        await self.aclear()

    def drop_tags(self, *tags: str) -> None:
        """Drop every entry that carries one of these tags, at the cost of one write.

        Raises:
            ConfigurationError: A tag is no text, or empty.
        """
        self._run(self._drop_tags(tags))

    async def adrop_tags(self, *tags: str) -> None:
        """The twin of `drop_tags`."""
        await self._arun(self._drop_tags(tags))

    def changed(
        self,
        source: Any,
        *,
        old: Any = None,
        new: Any = None,
        kind: str | None = None,
        fields: Iterable[str] | None = None,
    ) -> None:
        """Report a change to the rules of this cache's functions; see `tiercel.changed`."""
        carry_out(plan(change_of(source, old, new, kind, fields), self.engine))

    async def achanged(
        self,
        source: Any,
        *,
        old: Any = None,
        new: Any = None,
        kind: str | None = None,
        fields: Iterable[str] | None = None,
    ) -> None:
        """The twin of `changed`."""
        await acarry_out(plan(change_of(source, old, new, kind, fields), self.engine))

    def clear_local(self) -> None:
        """Empty the memory tier of this process; the shared tier keeps what it has."""
        if self.engine.memory is not None:
            self.engine.memory.clear()

    def clear_memory(self) -> None:
        """Empty the memory tiers of all processes; the shared tier keeps what it has.

        Costs one write. Where the shared tier has no push channel, the memory of other processes
        stays: it asks the shared tier before it serves anything older than `max_lag`.

        Raises:
            BackendError: The shared tier does not answer, so nobody else was told.
        """
        self._run(self._clear_memory())

    async def aclear_memory(self) -> None:
        """The twin of `clear_memory`."""
        await self._arun(self._clear_memory())

    def _clear_memory(self) -> Steps[None]:
        self.clear_local()
        if self.shared is not None:
            yield DropScopes((self._clearing,), TELLING)

    def _clear(self) -> Steps[None]:
        yield from self._values.clear()
        for function in living_functions():
            subject = function.subject_on(self.engine)
            if subject is not None:
                yield from drop_scopes(subject, subject.function_scope)

    def _drop_tags(self, tags: Sequence[str]) -> Steps[None]:
        yield from self._values.drop(*(tag_scope(self.prefix, tag) for tag in tags))
