"""The caches of an application, by name; which one a function uses is decided at its first call."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, cast

from tiercel.apart import set_apart
from tiercel.caches import Cache
from tiercel.decorate import Decorator
from tiercel.errors import ConfigurationError
from tiercel.function import living_functions
from tiercel.plugins import default_registry

DEFAULT = "default"

_caches: dict[str, Cache] = {}
_lock = threading.RLock()


def configure(**caches: str | Mapping[str, Any] | Cache) -> None:
    """Configure the caches of this application, instead of those configured before.

    Example:
        tiercel.configure(
            default="redis://localhost/0",
            reports={"url": "sqlite:///reports.db", "max_lag": 2},
        )

    Args:
        **caches: For each name a URL, a dict of options with the URL under `url`, or a `Cache`.

    Raises:
        ConfigurationError: An option is unknown or wrong.
        PluginError: Nobody provides a URL's scheme.
    """
    made = {name: _make(name, given) for name, given in caches.items()}
    use_caches(made)
    default_registry().configured(made)
    for cache in made.values():
        cache.in_use()


def use_caches(caches: Mapping[str, Cache]) -> dict[str, Cache]:
    """Replace the configured caches and return the former ones; every function binds anew."""
    global _caches
    with _lock:
        former, _caches = _caches, dict(caches)
    _unbind_all()
    return former


def bind_anew(*, apart: bool) -> None:
    """Have every function that follows the configuration bind anew, at its next call.

    Args:
        apart: Whether several applications of this process have caches of their own. Then each
            call asks which application is running.
    """
    set_apart(apart)
    _unbind_all()


def _unbind_all() -> None:
    for function in living_functions():
        if function.follows_configuration:
            function.unbind()


def get_cache(name: str | None = None) -> Cache:
    """Return the cache of a name; without one, the one that the running application uses.

    The default cache exists without being configured: its URL is `TIERCEL_URL`, or what the
    framework says, or there is the memory tier only.

    Raises:
        ConfigurationError: No cache has this name.
    """
    chosen = name or DEFAULT
    cache = _caches.get(chosen)
    if cache is None or not cache.stands_in:
        cache = _of_application().get(chosen, cache)
    if cache is not None:
        return cache
    if chosen != DEFAULT:
        known = ", ".join(sorted({DEFAULT, *caches()}))
        raise ConfigurationError(
            f"no cache is called {chosen!r}; there are: {known}. "
            f"Add it with tiercel.configure({chosen}=...)"
        )
    with _lock:
        if DEFAULT not in _caches:
            _caches[DEFAULT] = Cache(_default_url(), name=DEFAULT)
        return _caches[DEFAULT]


def register_plugin(plugin: object) -> None:
    """Add a plugin that no installed distribution brings; before the first use of a cache.

    Args:
        plugin: A module, or an object with methods marked with `tiercel.spi.hookimpl`.

    Raises:
        ConfigurationError: It comes too late, or it is a class.
        PluginError: It does not keep to the hooks.
    """
    default_registry().register(plugin)


def caches() -> Mapping[str, Cache]:
    """Return the caches that the running application can use, by name."""
    replaced = {name: cache for name, cache in _caches.items() if cache.stands_in}
    return {**_caches, **_of_application(), **replaced}


def decorator_for(cache: str | Cache | None) -> Decorator:
    """Return what decorates functions for a door that was given `cache=`.

    Raises:
        ConfigurationError: It is neither a name nor a cache.
    """
    if isinstance(cache, Cache):
        return cache.decorator
    if cache is not None and not isinstance(cache, str):
        raise ConfigurationError(f"cache={cache!r}: give the name of a cache or a Cache")
    configured = _caches.get(cache or DEFAULT)
    shared = configured is not None and configured.shared is not None
    return Decorator(lambda: get_cache(cache), shared=shared, follows=True)


class _CurrentCache:
    """Stands for whatever cache is the default one at each use."""

    def __getattr__(self, name: str) -> Any:
        return getattr(get_cache(), name)

    def __repr__(self) -> str:
        return f"<default cache, now {get_cache()!r}>"


default_cache = cast(Cache, _CurrentCache())
"""The default cache, following the configuration."""


def _make(name: str, given: str | Mapping[str, Any] | Cache) -> Cache:
    if isinstance(given, Cache):
        return given
    if isinstance(given, str):
        return Cache(given, name=name)
    if isinstance(given, Mapping):
        return Cache(**{"name": name, **given})
    raise ConfigurationError(f"cache {name!r}: give a URL, a dict of options or a Cache")


def _of_application() -> Mapping[str, Cache]:
    for integration in default_registry().integrations.values():
        own = integration.caches()
        if own is not None:
            return own
    return {}


def _default_url() -> str | None:
    given = os.environ.get("TIERCEL_URL")
    if given:
        return given
    for integration in default_registry().integrations.values():
        url = integration.default_url()
        if url is not None:
            return url
    return None
