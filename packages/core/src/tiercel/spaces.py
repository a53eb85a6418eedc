"""Values that are set by hand: what a cache and its spaces can be asked to do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tiercel.engine import aio, sync
from tiercel.engine.effects import Steps
from tiercel.engine.state import Engine
from tiercel.policy import DEFAULT_TTL, Seconds
from tiercel.settings import Home
from tiercel.values import MISSED, Values

V = TypeVar("V")


class ValueMethods:
    """The methods for values set by hand; each has a twin with `a` in front, to be awaited.

    A ttl is seconds or a timedelta; None: no expiry.
    """

    engine: Engine
    _values: Values

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or `default`."""
        found = self._values.recall(key, None, None)
        return self._run(self._values.get(key, default)) if found is MISSED else found

    async def aget(self, key: Any, default: Any = None) -> Any:
        """The twin of `get`."""
        found = self._values.recall(key, None, None)
        return await self._arun(self._values.get(key, default)) if found is MISSED else found

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
        found = self._values.recall(key, None, None)
        return self._run(self._values.get_or_set(key, default, ttl)) if found is MISSED else found

    async def aget_or_set(
        self, key: Any, default: Any | Callable[[], Any], ttl: Seconds | None = DEFAULT_TTL
    ) -> Any:
        """The twin of `get_or_set`; `default` may be a coroutine function."""
        found = self._values.recall(key, None, None)
        if found is not MISSED:
            return found
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

    def _run(self, steps: Steps[V]) -> V:
        return sync.run(self.engine, steps)

    async def _arun(self, steps: Steps[V]) -> V:
        return await aio.run(self.engine, steps)


class Space(ValueMethods):
    """Values set by hand that have a cache's tiers in common with others, but not their keys.

    `Cache.space` makes it.
    """

    def __init__(self, home: Home, name: str, codec: str | None) -> None:
        self.name = name
        self.codec = codec
        self.engine = home.engine
        self._values = Values(home, f"values.{name}", codec)

    def clear(self) -> None:
        """Drop all values of this space, at the cost of one write."""
        self._run(self._values.clear())

    async def aclear(self) -> None:
        """The twin of `clear`."""
        await self._arun(self._values.clear())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of cache {self.engine.name!r}>"
