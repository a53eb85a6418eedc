"""The caches that jobs are kept in: those of `TIERCEL`, and those of `CACHES`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from tiercel import Cache, get_cache
from tiercel.spi import ConfigurationError, cache_names
from tiercel_django.cache import TiercelCache
from tiercel_django.opened import open_cache

_OF_ONE_PROCESS = (
    "django.core.cache.backends.dummy.DummyCache",
    "django.core.cache.backends.locmem.LocMemCache",
)

_PREFIX = "django."
"""Stands before the alias in the name of the cache behind a `TiercelCache`, and so in tasks."""

_opened: dict[tuple[str, str], Cache] = {}


def find_cache(alias: str | None) -> Cache:
    """Return the cache of an alias; None: the default one.

    Raises:
        ConfigurationError: Neither `TIERCEL` nor `CACHES` has one of this name.
    """
    if alias is None or alias in cache_names():
        return get_cache(alias)
    alias = alias.removeprefix(_PREFIX) if alias not in settings.CACHES else alias
    if alias not in settings.CACHES:
        known = ", ".join(sorted({*cache_names(), *settings.CACHES}))
        raise ConfigurationError(f"no cache is called {alias!r}; TIERCEL and CACHES have: {known}")
    identity = alias, repr(settings.CACHES[alias])
    cache = _opened.get(identity)
    if cache is None:
        cache = _opened.setdefault(identity, _open(alias, settings.CACHES[alias]))
    return cache


def _open(alias: str, given: Mapping[str, Any]) -> Cache:
    backend = given["BACKEND"]
    if backend in _OF_ONE_PROCESS:
        return Cache(name=alias)
    kind = import_string(backend)
    if isinstance(kind, type) and issubclass(kind, TiercelCache):
        return open_cache(given.get("LOCATION"), given.get("OPTIONS") or {})()
    return Cache(f"django://{alias}", name=alias)
