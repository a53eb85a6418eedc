"""`django://alias`: any cache of Django's `CACHES` as a shared tier, at guarantee G1."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache import BaseCache, caches
from django.core.cache.backends.base import MEMCACHE_MAX_KEY_LENGTH
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import Error as DatabaseError
from django.db import router
from django.utils.module_loading import import_string

from tiercel.spi import (
    BackendLocation,
    BackendRefused,
    ConfigurationError,
    KeyValueStore,
)
from tiercel_django.cache import TiercelCache
from tiercel_django.tasks import release_connections

Reply = TypeVar("Reply")
Calls = Generator[tuple[Any, ...], Any, Reply]
"""Calls of a cache of Django: the name of a method and its arguments; resumed with the reply."""

_REDIS = ("django.core.cache.backends.redis", "django_redis.cache")
_FILES = "django.core.cache.backends.filebased"
_CANDID = (
    *_REDIS,
    _FILES,
    "django.core.cache.backends.locmem",
    "django.core.cache.backends.memcached",
)
"""Modules of caches that raise what goes wrong. Django's database cache does not."""


def open_alias(location: BackendLocation) -> KeyValueStore:
    """Return the store behind `django://alias`; without an alias the default one.

    Raises:
        ConfigurationError: There is no such alias, or it cannot be a shared tier.
    """
    parts = urlsplit(location.url)
    if parts.path.strip("/") or "@" in parts.netloc:
        raise ConfigurationError(
            "the URL of a cache of Django is django:// and its alias, such as django://default"
        )
    alias = unquote(parts.netloc) or "default"
    has_own = type(_open(alias)).aget is not BaseCache.aget
    return AsyncDjangoStore(alias) if has_own else DjangoStore(alias)


class DjangoStore(KeyValueStore):
    """Bytes in a cache of Django, under its key prefix, version and key function.

    Async code uses it in the thread in which Django's own async methods would run it. How long a
    command may take is up to the cache; what it raises counts as unavailable.

    Args:
        alias: A name in `settings.CACHES`.

    Raises:
        ConfigurationError: There is no such alias, or it cannot be a shared tier.
    """

    def __init__(self, alias: str) -> None:
        cache = _open(alias)
        _refuse_replicas(alias, cache)
        self.alias = alias
        self._room = MEMCACHE_MAX_KEY_LENGTH - len(cache.make_key(""))
        self.hides_failures = not _is_candid(alias, cache)
        if _made_in(cache) == _FILES:
            self.add = None  # type: ignore[assignment]  # it looks, and then writes

    def __repr__(self) -> str:
        return f"CACHES[{self.alias!r}]"

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._run(self._get_many(keys))

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self._run(self._set(key, value, ttl))

    def delete(self, key: str) -> None:
        self._run(self._delete(key))

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        return self._run(self._add(key, value, ttl))

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(function, thread_sensitive=True)(*args)

    # The same, as calls of the cache

    def _get_many(self, keys: Sequence[str]) -> Calls[list[bytes | None]]:
        names = [self._name(key) for key in keys]
        found = yield "get_many", names
        return [found.get(name) for name in names]

    def _set(self, key: str, value: bytes, ttl: float) -> Calls[None]:
        yield "set", self._name(key), value, _life(ttl)

    def _delete(self, key: str) -> Calls[None]:
        yield "delete", self._name(key)

    def _add(self, key: str, value: bytes, ttl: float) -> Calls[bool]:
        return bool((yield "add", self._name(key), value, _life(ttl)))

    def _run(self, calls: Calls[Reply]) -> Reply:
        cache = caches[self.alias]  # not kept: a client may belong to one thread
        reply = None
        while True:
            try:
                method, *args = calls.send(reply)
            except StopIteration as stop:
                result: Reply = stop.value
                return result
            try:
                reply = getattr(cache, method)(*args)
            except DatabaseError:
                release_connections()  # in a thread of ours no request ends, which would do it
                raise
            except (SynchronousOnlyOperation, TypeError) as error:
                raise self._refused(error) from error

    def _name(self, key: str) -> str:
        """What Django is given for a key: a digest where its prefix leaves too little room."""
        if len(key) <= self._room:
            return key
        return "#" + hashlib.blake2b(key.encode(), digest_size=32).hexdigest()

    def _refused(self, error: Exception) -> BackendRefused:
        reason = f"it cannot store bytes ({error}): give it a serializer that can, such as pickle"
        if isinstance(error, SynchronousOnlyOperation):
            reason = (
                "a plain function cannot use it where an event loop runs: make the function "
                "async, or call it by sync_to_async"
            )
        return BackendRefused(f"{self!r}: {reason}")


class AsyncDjangoStore(DjangoStore):
    """Bytes in a cache of Django that has async methods of its own, which async code uses."""

    async def aget_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._arun(self._get_many(keys))

    async def aset(self, key: str, value: bytes, ttl: float) -> None:
        await self._arun(self._set(key, value, ttl))

    async def adelete(self, key: str) -> None:
        await self._arun(self._delete(key))

    async def aadd(self, key: str, value: bytes, ttl: float) -> bool:
        return await self._arun(self._add(key, value, ttl))

    async def _arun(self, calls: Calls[Reply]) -> Reply:
        cache = caches[self.alias]
        reply = None
        while True:
            try:
                method, *args = calls.send(reply)
            except StopIteration as stop:
                result: Reply = stop.value
                return result
            try:
                reply = await getattr(cache, f"a{method}")(*args)
            except TypeError as error:
                raise self._refused(error) from error


def _life(ttl: float) -> int:
    # Whole seconds, and the database cache cuts off up to one; the stored life is exact.
    return math.ceil(ttl) + 1


def _open(alias: str) -> BaseCache:
    try:
        known = sorted(settings.CACHES)
        if alias in known:
            _refuse_circle(alias)
            return caches[alias]
    except (ImproperlyConfigured, ImportError) as error:
        raise ConfigurationError(f"django://{alias}: {error}") from error
    raise ConfigurationError(
        f"django://{alias}: CACHES has no alias {alias!r}; it has: {', '.join(known)}"
    )


def _refuse_circle(alias: str) -> None:
    """Refuse a `TiercelCache` before it is made: to be made it might need this store."""
    kind = import_string(settings.CACHES[alias]["BACKEND"])
    if isinstance(kind, type) and issubclass(kind, TiercelCache):
        raise ConfigurationError(
            f"django://{alias} leads back to Tiercel, since CACHES[{alias!r}] is a "
            f"{kind.__name__}: use what stands in its LOCATION, or another alias"
        )


def _refuse_replicas(alias: str, cache: BaseCache) -> None:
    if _reads_elsewhere(alias, cache):
        raise ConfigurationError(
            f"django://{alias} reads from replicas, where dropped entries live on for as long as "
            "they lag behind: add an alias to CACHES that names the primary only"
        )


def _reads_elsewhere(alias: str, cache: BaseCache) -> bool:
    if isinstance(cache, BaseDatabaseCache):
        model = cache.cache_model_class
        return router.db_for_read(model) != router.db_for_write(model)
    if _made_in(cache) not in _REDIS or "sharded" in str(_options(alias).get("CLIENT_CLASS")):
        return False
    location = settings.CACHES[alias].get("LOCATION", "")
    servers = re.split("[;,]", location) if isinstance(location, str) else location
    return len(servers) > 1


def _is_candid(alias: str, cache: BaseCache) -> bool:
    """Whether a cache raises an error when something goes wrong; a subclass may catch it."""
    options, module = _options(alias), type(cache).__module__
    ignores = options.get("ignore_exc")  # pymemcache
    if module.startswith("django_redis"):
        general = getattr(settings, "DJANGO_REDIS_IGNORE_EXCEPTIONS", False)
        ignores = options.get("IGNORE_EXCEPTIONS", general)
    return module in _CANDID and not ignores


def _options(alias: str) -> dict[str, Any]:
    return settings.CACHES[alias].get("OPTIONS", {})  # type: ignore[no-any-return]


def _made_in(cache: BaseCache) -> str:
    """The module of the first class of a cache that is known here, else of its own."""
    modules = [kind.__module__ for kind in type(cache).__mro__]
    return next((module for module in modules if module in _CANDID), modules[0])
