"""Which caches this process has: those that are configured, and those made by hand."""

from __future__ import annotations

from tiercel.caches import Cache
from tiercel.configuration import get_cache
from tiercel.oversight import cache_names
from tiercel.tiers import living_caches


def caches_by_hand() -> dict[str, Cache]:
    """Return the caches that are not configured, by name; of several of one name, one."""
    configured = set(cache_names())
    living = [each for each in living_caches() if isinstance(each, Cache)]
    return {each.name: each for each in living if each.name not in configured}


def known_caches() -> dict[str, Cache]:
    """Return all caches of this process, by name.

    Raises:
        TiercelError: One is configured, but cannot be made.
    """
    return {**{name: get_cache(name) for name in cache_names()}, **caches_by_hand()}


def known_cache(name: str) -> Cache:
    """Return the cache of a name.

    Raises:
        ConfigurationError: There is none.
    """
    return caches_by_hand().get(name) or get_cache(name)
