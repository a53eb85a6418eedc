"""Cached methods: a descriptor whose bound object has everything that a cached function has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Final

from tiercel.hitpath import BoundMethod

METHODS: Final = (
    "get_with_metadata",
    "aget_with_metadata",
    "get_cache_only",
    "aget_cache_only",
    "get_cached_metadata",
    "aget_cached_metadata",
    "refresh",
    "arefresh",
    "bypass_cache",
    "abypass_cache",
    "delete_cache",
    "adelete_cache",
    "delete_by_prefix",
    "adelete_by_prefix",
    "invalidate_all",
    "ainvalidate_all",
    "many",
    "amany",
    "get_cache_key",
)
"""What can be asked of whatever a decorator leaves in place of a function."""

_OF_THE_FUNCTION = frozenset({"invalidate_all", "ainvalidate_all", "many", "amany"})
"""Methods that take no arguments of a call, so no object either."""


def is_method(function: Callable[..., Any]) -> bool:
    """Tell whether a function is defined in a class and takes its object, or class, first."""
    scope, _, _ = function.__qualname__.rpartition(".")
    if not scope or scope.endswith("<locals>"):
        return False
    return next(iter(inspect.signature(function).parameters), "") in {"self", "cls"}


class BoundCachedMethod(BoundMethod, eq=False):
    """A cached method together with its object."""

    def __getattr__(self, name: str) -> Any:
        cached = type(self).function.cached_function  # type: ignore[attr-defined]
        if name in METHODS and name not in _OF_THE_FUNCTION:
            return partial(getattr(cached, name), self.instance)
        return getattr(type(self).function, name)  # type: ignore[attr-defined]


class CachedMethod:
    """Stands in a class for a cached method; bound to an object when it is taken from one."""

    def __init__(self, function: Callable[..., Any], bound: type[BoundMethod]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._bound = bound

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return self._bound(instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)
