"""Cached methods: a descriptor whose bound object has everything that a cached function has."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from tiercel.hitpath import BoundMethod
from tiercel.keys.names import receiver_name

First = TypeVar("First", contravariant=True)
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)
T = TypeVar("T", covariant=True)

METHODS: Final = (
    "get_with_metadata",
    "aget_with_metadata",
    "get_cache_only",
    "aget_cache_only",
    "get_cached_metadata",
    "aget_cached_metadata",
    "refresh",
    "arefresh",
    "refresh_every",
    "bypass_cache",
    "abypass_cache",
    "delete_cache",
    "adelete_cache",
    "mark_stale",
    "amark_stale",
    "delete_by_prefix",
    "adelete_by_prefix",
    "invalidate_all",
    "ainvalidate_all",
    "many",
    "amany",
    "get_cache_key",
    "live_calls",
    "alive_calls",
    "delete_matching",
    "adelete_matching",
    "stats",
)
"""What can be asked of whatever a decorator leaves in place of a function."""

_OF_THE_FUNCTION = frozenset(
    {
        "invalidate_all",
        "ainvalidate_all",
        "many",
        "amany",
        "drop_namespace",
        "adrop_namespace",
        "stats",
    }
)
"""Methods that take no arguments of a call, so no object either."""


class Taking(Protocol[First, Q, R, T]):
    """What takes an object or a class before the arguments of a call, for type checkers.

    As a protocol, since mypy does not compare what stands before the `ParamSpec` of a class.
    """

    def __call__(self, first: First, /, *args: Q.args, **kwargs: Q.kwargs) -> R: ...

    def refresh(self, first: First, /, *args: Q.args, **kwargs: Q.kwargs) -> T: ...


def is_method(function: Callable[..., Any]) -> bool:
    """Tell whether a function is defined in a class and takes its object, or class, first."""
    return bool(receiver_name(function))


class BoundCachedMethod(BoundMethod, eq=False):
    """A cached method together with its object."""

    def __getattr__(self, name: str) -> Any:
        cached = type(self).function.cached_function.here()  # type: ignore[attr-defined]
        if name == "refresh_every":
            return partial(_after_first, cached.refresh_every, self.instance)
        if name in cached.methods and name not in _OF_THE_FUNCTION:
            return partial(getattr(cached, name), self.instance)
        return getattr(type(self).function, name)  # type: ignore[attr-defined]


def _after_first(
    method: Callable[..., Any], instance: Any, first: Any, *args: Any, **kwargs: Any
) -> Any:
    """Call a method that takes something else before the arguments of a call."""
    return method(first, instance, *args, **kwargs)


class CachedMethod:
    """Stands in a class for a cached method; bound to an object when it is taken from one."""

    def __init__(self, function: Callable[..., Any], bound: type[BoundMethod]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._bound = bound
        if _takes_class(function):
            self.__dict__.update(_methods_with_class(function))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return self._bound(instance)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)


class CachedClassMethod(classmethod):  # type: ignore[type-arg]
    """A class method around a cached one, bound by it.

    From Python 3.13 on `classmethod` does not ask what it wraps, so only calls would get the class.
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        kind = type(instance) if owner is None else owner
        return self.__func__.__get__(kind, type(kind))


def rewrapped(
    given: classmethod[Any, Any, Any] | staticmethod[Any, Any], made: Callable[..., Any]
) -> Any:
    """Return what a decorator above `@classmethod` or `@staticmethod` leaves there.

    Args:
        given: What it got.
        made: What became of the function inside.
    """
    if type(given) is classmethod and sys.version_info >= (3, 13):
        return CachedClassMethod(made)
    return type(given)(made)


def _takes_class(function: Callable[..., Any]) -> bool:
    return next(iter(inspect.signature(function).parameters), "") == "cls"


def _methods_with_class(function: Any) -> dict[str, Callable[..., Any]]:
    """The methods that take the arguments of a call, which refuse one that lacks the class."""
    names = set(function.cached_function.methods) - _OF_THE_FUNCTION
    return {name: partial(_with_class, function, name) for name in names}


def _with_class(function: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method, whose first argument would else be taken for the class."""
    first = kwargs.get("cls", *args[method == "refresh_every" :][:1])
    if (args or kwargs) and not isinstance(first, type):
        raise TypeError(
            f"{function.__qualname__}: from Python 3.13 on, {method}() of a class method that is "
            "cached below @classmethod takes the class first: put the decorator above it"
        )
    return getattr(function, method)(*args, **kwargs)
