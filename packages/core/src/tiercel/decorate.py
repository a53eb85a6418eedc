"""What a decorator leaves in place of a function: a generated function, or a descriptor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from tiercel.cached import CachedFunction
from tiercel.dispatch import dispatcher_spec
from tiercel.errors import ConfigurationError
from tiercel.function import Home, Settings
from tiercel.keys.plan import function_name
from tiercel.methods import METHODS, CachedMethod
from tiercel.plugins import default_registry
from tiercel.policy import Policy, make_policy

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
    """

    def __init__(self, home: Callable[[], Home], *, shared: bool, follows: bool) -> None:
        self._home = home
        self._shared = shared
        self._follows = follows

    def decorate(self, function: Any, options: Mapping[str, Any]) -> Any:
        """Cache a function; without one, return a decorator that does.

        Raises:
            ConfigurationError: An option is unknown, wrong, or does not fit the function.
        """
        if function is None:
            return lambda given: self.decorate(given, options)
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self.decorate(function.__func__, options))
        if not callable(function):
            raise ConfigurationError(
                f"{function!r} cannot be cached: the decorator takes options by name only, "
                "such as ttl=60"
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"{function_name(function)} is a generator function: what it returns can be read "
                "only once, so it cannot be cached; let it return a list"
            )
        settings = settings_of(function, options)
        return _in_place(
            CachedFunction(
                function, settings, self._home, shared=self._shared, follows=self._follows
            )
        )


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
    if isinstance(chosen.get("codec"), str):
        default_registry().codec(chosen["codec"])
    dispatcher, config = chosen.get("dispatcher"), chosen.get("dispatcher_config")
    if dispatcher is not None:
        dispatcher_spec(dispatcher, config)
    elif config:
        raise ConfigurationError(f"{owner}: dispatcher_config= needs dispatcher=")


def _in_place(cached: CachedFunction[..., Any, Any]) -> Any:
    """Return what stands under the function's name: for methods a descriptor."""
    function: Any = cached.hit_path.function
    for name in METHODS:
        setattr(function, name, getattr(cached, name))
    function.cached_function = cached
    bound = cached.hit_path.bound
    return function if bound is None else CachedMethod(function, bound)
