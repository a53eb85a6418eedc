"""`TiercelCache`, a backend for Django's `CACHES`: two tiers behind Django's own cache API.

CACHES = {
    "default": {
        "BACKEND": "tiercel_django.cache.TiercelCache",
        "LOCATION": "redis://localhost:6379/1",
    }
}
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from tiercel import Space
from tiercel.spi import BackendError
from tiercel_django.opened import open_space
from tiercel_django.pickled import freeze, thaw

_MISSING = object()
_ENDED = 0.0
Version = int | None


class TiercelCache(BaseCache):
    """A cache of Django in the tiers of a Tiercel cache.

    It takes every value that can be pickled; each reader gets an object of its own. No method
    raises because of the shared tier: while that does not answer, the cache looks empty.

    Args:
        location: `LOCATION`: a URL such as `redis://localhost:6379/1`, the name of a cache that
            is configured in `TIERCEL`, or nothing for memory only.
        params: The other settings. `OPTIONS` takes the options of `tiercel.Cache`, and of Django's
            own `MAX_ENTRIES`, the entries in memory; `CULL_FREQUENCY` is not needed.

    Raises:
        ConfigurationError: The location or an option cannot work.
    """

    def __init__(self, location: object, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._space = open_space(location, params.get("OPTIONS") or {})

    @property
    def _values(self) -> Space:
        return self._space()

    def validate_key(self, key: str) -> None:
        """Accept any key; long ones are shortened, and every character is safe."""

    # Reading

    def get(self, key: Any, default: Any = None, version: Version = None) -> Any:
        found = self._values.get(self.make_key(key, version), _MISSING)
        return default if found is _MISSING else thaw(found)

    async def aget(self, key: Any, default: Any = None, version: Version = None) -> Any:
        found = await self._values.aget(self.make_key(key, version), _MISSING)
        return default if found is _MISSING else thaw(found)

    def get_many(self, keys: Iterable[Any], version: Version = None) -> dict[Any, Any]:
        made = self._made(keys, version)
        return _thawed(made, self._values.get_many(made))

    async def aget_many(self, keys: Iterable[Any], version: Version = None) -> dict[Any, Any]:
        made = self._made(keys, version)
        return _thawed(made, await self._values.aget_many(made))

    def has_key(self, key: Any, version: Version = None) -> bool:
        return self._values.has(self.make_key(key, version))

    async def ahas_key(self, key: Any, version: Version = None) -> bool:
        return await self._values.ahas(self.make_key(key, version))

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> Any:
        """Return the value of a key, or set what `default` is or returns: once for all callers."""
        life = self._life(timeout)
        if life == _ENDED:
            found = self.get(key, _MISSING, version)
            return _made_now(default) if found is _MISSING else found
        made = self.make_key(key, version)
        return thaw(self._values.get_or_set(made, lambda: freeze(_made_now(default)), life))

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> Any:
        """The twin of `get_or_set`; `default` may be a coroutine function."""

        async def make() -> Any:
            value = _made_now(default)
            return await value if inspect.isawaitable(value) else value

        async def make_frozen() -> Any:
            return freeze(await make())

        life = self._life(timeout)
        if life == _ENDED:
            found = await self.aget(key, _MISSING, version)
            return await make() if found is _MISSING else found
        made = self.make_key(key, version)
        return thaw(await self._values.aget_or_set(made, make_frozen, life))

    # Writing

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> None:
        made, frozen, life = self.make_key(key, version), freeze(value), self._life(timeout)
        if life == _ENDED:
            self._values.delete(made)
        else:
            self._values.set(made, frozen, life)

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> None:
        made, frozen, life = self.make_key(key, version), freeze(value), self._life(timeout)
        if life == _ENDED:
            await self._values.adelete(made)
        else:
            await self._values.aset(made, frozen, life)

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> list[Any]:
        """Set values; return the keys whose value the shared tier did not take."""
        made, frozen = self._frozen(data, version)
        life = self._life(timeout)
        if life == _ENDED:
            self._values.delete_many(made)
            return []
        return [made[name] for name in self._values.set_many(frozen, life)]

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> list[Any]:
        """The twin of `set_many`."""
        made, frozen = self._frozen(data, version)
        life = self._life(timeout)
        if life == _ENDED:
            await self._values.adelete_many(made)
            return []
        return [made[name] for name in await self._values.aset_many(frozen, life)]

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> bool:
        made, frozen, life = self.make_key(key, version), freeze(value), self._life(timeout)
        if life == _ENDED:
            return not self._values.has(made)
        return self._values.add(made, frozen, life)

    async def aadd(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> bool:
        made, frozen, life = self.make_key(key, version), freeze(value), self._life(timeout)
        if life == _ENDED:
            return not await self._values.ahas(made)
        return await self._values.aadd(made, frozen, life)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None) -> bool:
        made, life = self.make_key(key, version), self._life(timeout)
        try:
            return self._values.delete(made) if life == _ENDED else self._values.touch(made, life)
        except BackendError:
            return False

    async def atouch(
        self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Version = None
    ) -> bool:
        made, life = self.make_key(key, version), self._life(timeout)
        try:
            if life == _ENDED:
                return await self._values.adelete(made)
            return await self._values.atouch(made, life)
        except BackendError:
            return False

    def incr(self, key: Any, delta: Any = 1, version: Version = None) -> Any:
        """Add to a value; no concurrent increment is lost, and its life does not change.

        Raises:
            ValueError: The key has no value, as far as is known.
        """
        try:
            return thaw(self._values.incr(self.make_key(key, version), delta))
        except (KeyError, BackendError) as error:
            raise ValueError(f"Key {key!r} not found") from error

    async def aincr(self, key: Any, delta: Any = 1, version: Version = None) -> Any:
        """The twin of `incr`."""
        try:
            return thaw(await self._values.aincr(self.make_key(key, version), delta))
        except (KeyError, BackendError) as error:
            raise ValueError(f"Key {key!r} not found") from error

    def delete(self, key: Any, version: Version = None) -> bool:
        return self._values.delete(self.make_key(key, version))

    async def adelete(self, key: Any, version: Version = None) -> bool:
        return await self._values.adelete(self.make_key(key, version))

    def delete_many(self, keys: Iterable[Any], version: Version = None) -> None:
        self._values.delete_many(self._made(keys, version))

    async def adelete_many(self, keys: Iterable[Any], version: Version = None) -> None:
        await self._values.adelete_many(self._made(keys, version))

    def clear(self) -> None:
        """Remove all values of this location, whatever their prefix; at the cost of one write."""
        self._values.clear()

    async def aclear(self) -> None:
        """The twin of `clear`."""
        await self._values.aclear()

    # `close` does nothing: Django calls it after each request, and the connections are for all.

    def _life(self, timeout: Any) -> float | None:
        """Seconds that a value lives; None for ever, `_ENDED` not at all."""
        life = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if life is None else max(float(life), _ENDED)

    def _made(self, keys: Iterable[Any], version: Version) -> dict[str, Any]:
        return {self.make_key(key, version): key for key in keys}

    def _frozen(
        self, data: Mapping[Any, Any], version: Version
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        made = self._made(data, version)
        return made, {name: freeze(data[key]) for name, key in made.items()}


def _thawed(made: Mapping[str, Any], found: Mapping[str, Any]) -> dict[Any, Any]:
    return {made[name]: thaw(value) for name, value in found.items()}


def _made_now(default: Any | Callable[[], Any]) -> Any:
    return default() if callable(default) else default
