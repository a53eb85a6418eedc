"""What a decorator leaves in place of a function: a generated function, or a descriptor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from typing import Any

from tiercel.cached import CachedFunction
from tiercel.dispatch import checked_spec, crosses_processes, out_of_reach
from tiercel.engine.lives import claim_life
from tiercel.engine.naming import forget_dead
from tiercel.errors import ConfigurationError
from tiercel.keys.plan import function_name
from tiercel.listing import limit_of
from tiercel.methods import CachedMethod, rewrapped
from tiercel.plugins import default_registry
from tiercel.policy import Policy, make_policy
from tiercel.settings import Home, Settings

_SETTINGS = {field.name for field in fields(Settings)} - {"policy"}
_ALIASES = {"key_constructor": "key"}
OPTIONS = frozenset(_SETTINGS | _ALIASES.keys() | {field.name for field in fields(Policy)})
"""Every option of `Cache.cached`, which each door takes besides its own."""


class Decorator:
    """Turns functions into cached functions of one cache.

    Args:
        home: Returns the cache; asked at a function's first call.
        shared: Whether the cache is known to have a shared tier.
        follows: Whether another configuration may change the answer of `home`.
        make: Makes the cached function; as `CachedFunction` does.
    """

    def __init__(
        self,
        home: Callable[[], Home],
        *,
        shared: bool,
        follows: bool,
        make: Callable[..., CachedFunction[..., Any, Any]] = CachedFunction,
    ) -> None:
        self._home = home
        self._shared = shared
        self._follows = follows
        self._make = make

    def making(self, make: Callable[..., CachedFunction[..., Any, Any]]) -> Decorator:
        """Return a decorator for the same cache that makes another kind of cached functions."""
        return Decorator(self._home, shared=self._shared, follows=self._follows, make=make)

    def decorate(self, function: Any, options: Mapping[str, Any]) -> Any:
        """Cache a function; without one, return a decorator that does.

        Raises:
            ConfigurationError: An option is unknown, wrong, or does not fit the function.
        """
        if function is None:
            return lambda given: self.decorate(given, options)
        if isinstance(function, (classmethod, staticmethod)):
            return rewrapped(function, self.decorate(function.__func__, options))
        if not callable(function):
            raise _no_function(function)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"{function_name(function)} is a generator function: what it returns can be read "
                "only once, so it cannot be cached; let it return a list"
            )
        settings = settings_of(function, options)
        self._check_reach(function, settings)
        self._check_claims(function, settings)
        if self._shared:
            forget_dead(self._home().engine, settings.name or function_name(function))
        return _in_place(
            self._make(function, settings, self._home, shared=self._shared, follows=self._follows)
        )

    def _check_claims(self, function: Callable[..., Any], settings: Settings) -> None:
        """Refuse a promise that the cache cannot keep, where it is known already."""
        if settings.policy.atomic_writes == "at_most_once" and not self._follows:
            engine = self._home().engine
            owner = settings.name or function_name(function)
            capabilities = frozenset() if engine.backend is None else engine.backend.capabilities
            claim_life(f"{owner} on cache {engine.name!r}", settings.policy, capabilities)

    def _check_reach(self, function: Callable[..., Any], settings: Settings) -> None:
        """Refuse a dispatcher whose tasks could not reach the entries of this function."""
        name = settings.dispatcher
        if name is None or not crosses_processes(name):
            return
        owner = settings.name or function_name(function)
        if settings.policy.tiers == "memory":
            raise out_of_reach(owner, name, "", why="tiers='memory'")
        if not self._shared and not self._follows:
            self._home().check_dispatcher(owner, name)


def _no_function(given: Any) -> ConfigurationError:
    kind = type(given).__name__
    advice = (
        f"put the decorator below @{kind}, next to the function"
        if hasattr(given, "__get__")
        else "the decorator takes options by name only, such as ttl=60"
    )
    return ConfigurationError(f"{given!r} cannot be cached: {advice}")


def settings_of(function: Callable[..., Any], options: Mapping[str, Any]) -> Settings:
    """Check a decorator's options and sort them into settings and policy."""
    owner = options.get("name") or function_name(function)
    for alias, name in _ALIASES.items():
        if alias in options and name in options:
            raise ConfigurationError(f"{owner}: give {name} or {alias}, which mean the same")
    for name in sorted(options.keys() - OPTIONS):
        close = get_close_matches(name, OPTIONS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(OPTIONS))}"
        raise ConfigurationError(f"{owner}: unknown option {name!r}; {hint}")
    given = {_ALIASES.get(name, name): value for name, value in options.items()}
    chosen = {name: given.pop(name) for name in list(given) if name in _SETTINGS}
    _check_names(owner, chosen)
    return Settings(policy=make_policy(owner, **given), **chosen)


def _check_names(owner: str, chosen: Mapping[str, Any]) -> None:
    """Check what is given by name now, although it is looked up at the first call only."""
    name = chosen.get("name")
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigurationError(f"{owner}: name={name!r} must be a text of at least one character")
    limit_of(owner, chosen.get("index", False))
    if isinstance(chosen.get("codec"), str):
        default_registry().codec(chosen["codec"])
    dispatcher, config = chosen.get("dispatcher"), chosen.get("dispatcher_config")
    if dispatcher is not None and not isinstance(dispatcher, str):
        raise ConfigurationError(f"{owner}: dispatcher={dispatcher!r} must be the name of one")
    if dispatcher is not None:
        checked_spec(dispatcher, config)
    elif config:
        raise ConfigurationError(f"{owner}: dispatcher_config= needs dispatcher=")


def _in_place(cached: CachedFunction[..., Any, Any]) -> Any:
    """Return what stands under the function's name: for methods a descriptor."""
    function: Any = cached.hit_path.function
    for name in ("func", "is_cached_function", "key_constructor"):
        setattr(function, name, getattr(cached, name))
    for name in cached.methods:
        setattr(function, name, _method(cached, name))
    function.cached_function = cached
    bound = cached.hit_path.bound
    return function if bound is None else CachedMethod(function, bound)


def _method(cached: CachedFunction[..., Any, Any], name: str) -> Callable[..., Any]:
    """Return a method that is asked of whichever twin serves the running application."""
    method: Callable[..., Any] = getattr(cached, name)
    if not cached.follows_configuration:
        return method

    @wraps(method)
    def here(*args: Any, **kwargs: Any) -> Any:
        return getattr(cached.here(), name)(*args, **kwargs)

    @wraps(method)
    async def ahere(*args: Any, **kwargs: Any) -> Any:
        return await getattr(cached.here(), name)(*args, **kwargs)

    return ahere if inspect.iscoroutinefunction(method) else here
