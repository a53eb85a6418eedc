"""`FunctionJob`: a job that calls a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import Any, Final
from weakref import WeakValueDictionary

from tiercel.caches import Cache
from tiercel.hitpath import BoundMethod
from tiercel.jobs.base import Bound, Job, Many
from tiercel.jobs.making import AnyJobFunction, check_times, decorated
from tiercel.keys.names import name_of
from tiercel.methods import rewrapped
from tiercel.policy import Seconds

_known: Final[WeakValueDictionary[str, Callable[..., Any]]] = WeakValueDictionary()
"""Functions that jobs of this process were given, by name: a task calls no others."""

_decorated: Final[WeakValueDictionary[str, AnyJobFunction]] = WeakValueDictionary()
"""Cached functions of those that were decorated."""


class FunctionJob(Job):
    """A job that calls a function, which is the first argument of every method.

    Functions that `cacheback` has decorated have entries of their own, and can be refreshed by
    workers. Others share those of this class, and are refreshed in this process.
    """

    def __init__(
        self,
        lifetime: Seconds | None = None,
        fetch_on_miss: bool | None = None,
        cache_alias: str | Cache | None = None,
        task_options: Mapping[str, Any] | None = None,
        set_data_kwarg: str | None = None,
    ) -> None:
        """Choose attributes for this job; None leaves those of the class.

        Raises:
            ConfigurationError: `lifetime` is no duration.
        """
        given = {
            "lifetime": lifetime,
            "fetch_on_miss": fetch_on_miss,
            "cache_alias": cache_alias,
            "task_options": task_options,
            "set_data_kwarg": set_data_kwarg,
        }
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)
        check_times(type(self).__name__, self)

    def prepare_args(self, /, *args: Any) -> tuple[Any, ...]:
        """Replace the function by its name, `module:qualname`."""
        function, *others = args
        return (name_of_function(function), *others)

    prepare_args.is_default = True  # type: ignore[attr-defined]

    def fetch(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function.

        Args:
            function: The function, or its name if this process knows it.
            *args: Its arguments.
            **kwargs: The same, by name.

        Raises:
            LookupError: This process does not know a function of this name.
        """
        return (function if callable(function) else _function(function))(*args, **kwargs)

    def decorate(self, function: Any, options: Mapping[str, Any]) -> Any:
        """Return what stands in place of a function, so that calling it is `get`.

        Args:
            function: The function.
            options: Those of `Cache.cached`, except those that an attribute stands for.

        Raises:
            ConfigurationError: An attribute or option is wrong, or does not fit the function.
        """
        if isinstance(function, (classmethod, staticmethod)):
            return rewrapped(function, self.decorate(function.__func__, options))
        lead = self.prepare_args(function) if callable(function) else ()
        made = decorated(self, function, {**self.options, **options}, lead)
        for each in (made.cached_function, made.cached_function.hit_path.function):
            each.fn, each.job = function, self
        _decorated[name_of_function(function)] = made.cached_function
        return made

    @classmethod
    def _is_whole(cls) -> bool:
        return False  # nobody needs it before a function is passed that was not decorated

    def _prepared(self, args: Any, kwargs: Any) -> Bound:
        if not args:
            raise TypeError(f"{type(self).__name__}: the first argument is the function")
        function, *others = args
        own = _own_function(function)
        if own is None:
            _take_note(function)
            prepared, named = self.prepare_args(*args), self.prepare_kwargs(**kwargs)
            return super()._bound(prepared, named)
        return own, *own.prepared((*_object_of(function), *others), kwargs)

    def _bound(self, args: Any, kwargs: Any) -> Bound:
        function, *others = args
        own = _own_function(function)
        if own is None:
            return super()._bound((name_of_function(function), *others), kwargs)
        return own, others, kwargs

    def _keeping(self, key: str) -> AnyJobFunction:
        for each in list(_decorated.values()):
            if each.owner is self and each.here().texts.knows(key):
                return each.here()
        return super()._keeping(key)

    def _many(self, calls: Iterable[Any]) -> Many:
        raise TypeError(
            f"{type(self).__name__} has no many(): call that of a decorated function, with the "
            "arguments of its calls"
        )

    def _check_carried(self, /, *args: Any, **kwargs: Any) -> None:
        raise TypeError(
            f"{args[0]} is not decorated, so no worker knows that it may be called: decorate it "
            "with @cacheback, or choose a dispatcher of this process"
        )


def name_of_function(function: Any) -> str:
    """Return the name of a function, decorated or not, or of one that is given by its name.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(function, str):
        return function
    plain = getattr(function, "fn", function)
    if not callable(plain) or not hasattr(plain, "__qualname__"):
        raise TypeError(f"{function!r} is no function, nor the name of one")
    return name_of(plain)


def _own_function(function: Any) -> AnyJobFunction | None:
    """Return what caches a decorated function, however that is given, where it is called."""
    own: AnyJobFunction | None = getattr(function, "cached_function", None)
    if own is None:
        own = _decorated.get(name_of_function(function))
        if own is None or not (isinstance(function, str) or own.func is function):
            return None
    return own.here()


def _object_of(function: Any) -> tuple[Any, ...]:
    """Return the object of a bound method, or its class, as the first of its arguments."""
    if isinstance(function, BoundMethod):
        return (function.instance,)
    return (function.__self__,) if isinstance(function, MethodType) else ()


def _take_note(function: Any) -> None:
    """Note that a function may be called by its name.

    Raises:
        TypeError: Another living function has the same name, so their data would be mixed up.
    """
    if isinstance(function, str):
        return
    name = name_of_function(function)
    if _known.setdefault(name, function) is not function:
        raise TypeError(
            f"two functions are called {name}, so their data would be mixed up: decorate each "
            "with @cacheback(name=...)"
        )


def _function(name: str) -> Callable[..., Any]:
    try:
        return _known[name]
    except KeyError:
        raise LookupError(f"no job of this process was given the function {name}") from None
