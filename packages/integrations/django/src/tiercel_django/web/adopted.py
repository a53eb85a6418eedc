"""Views that Django made: of a class by `as_view`, or for one call by `method_decorator`.

`method_decorator` decorates anew at each call, and once a function that is never called, so as to
copy its attributes. What it decorates for a call is bound to an object of the view's class: the
method is cached once for each class, and each call brings what it wants to be called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from types import MethodType
from typing import Any, Final
from weakref import WeakKeyDictionary

from asgiref.sync import iscoroutinefunction

from tiercel.spi import ConfigurationError

Decorate = Callable[..., Any]
Methods = WeakKeyDictionary[type, dict[Callable[..., Any], Any]]

_called: Final[ContextVar[Callable[..., Any]]] = ContextVar("tiercel_django_called")
_methods: Final[WeakKeyDictionary[Decorate, Methods]] = WeakKeyDictionary()


def adopt(view: Any, decorate: Decorate, options: Mapping[str, Any]) -> Any | None:
    """Decorate what a view was made of; None if Django did not make it.

    Raises:
        ConfigurationError: Rules are given, and the view is decorated by `method_decorator`.
    """
    if _is_placeholder(view):
        if options.get("invalidates_on"):
            raise ConfigurationError(
                "cached_view: invalidates_on= does not work through method_decorator, which "
                "decorates at the first request: decorate the method itself, or what as_view() "
                "returns"
            )
        return view
    bound = _bound_method(view)
    if bound is not None:
        return _of_call(view, bound, decorate)
    kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if not inspect.isclass(kind):
        return None
    made, name = _of_class(view, kind)
    return decorate(made, name=name)


def _is_placeholder(view: Any) -> bool:
    """Tell whether this is the function that `method_decorator` has decorated for its looks."""
    name = getattr(view, "__qualname__", "")
    made_by_django = getattr(view, "__module__", "") == "django.utils.decorators"
    return made_by_django and name == "_update_method_wrapper.<locals>.dummy"


def _bound_method(view: Any) -> MethodType | None:
    """Return the method that a view made for one call leads to, under other decorators or not."""
    while view is not None:
        if isinstance(view, partial) and inspect.ismethod(view.func):
            return view.func
        view = getattr(view, "__wrapped__", None)
    return None


def _of_call(view: Callable[..., Any], bound: MethodType, decorate: Decorate) -> Any:
    instance, function = bound.__self__, bound.__func__
    kind = type(instance)
    known = _methods.setdefault(decorate, WeakKeyDictionary()).setdefault(kind, {})
    cached: Any = known.get(function)
    if cached is None:
        name = f"{kind.__module__}:{kind.__qualname__}.{function.__name__}"
        made = _calling(function, asynchronous=iscoroutinefunction(view) or _is_async(kind))
        cached = known.setdefault(function, decorate(made, name=name))

    def call(*args: Any, **kwargs: Any) -> Any:
        with _calls(view):
            return cached(instance, *args, **kwargs)

    async def acall(*args: Any, **kwargs: Any) -> Any:
        with _calls(view):
            return await cached(instance, *args, **kwargs)

    return acall if inspect.iscoroutinefunction(cached) else call


@contextmanager
def _calls(view: Callable[..., Any]) -> Iterator[None]:
    token = _called.set(view)
    try:
        yield
    finally:
        _called.reset(token)


def _is_async(kind: type) -> bool:
    return bool(getattr(kind, "view_is_async", False))


def _calling(function: Callable[..., Any], *, asynchronous: bool) -> Callable[..., Any]:
    """Return a method that looks like `function` and calls what the call brought."""

    @wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _called.get()(*args, **kwargs)

    @wraps(function)
    async def acall(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await _called.get()(*args, **kwargs)

    return acall if asynchronous else call


def _of_class(view: Any, kind: type) -> tuple[Callable[..., Any], str]:
    """Return a view that `as_view` has made, as a function of its own, and its name."""

    def call(request: Any, *args: Any, **kwargs: Any) -> Any:
        return view(request, *args, **kwargs)

    async def acall(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await view(request, *args, **kwargs)

    made: Any = acall if iscoroutinefunction(view) else call
    made.__dict__.update({k: v for k, v in vars(view).items() if k != "__wrapped__"})
    made.__name__, made.__module__ = kind.__name__, kind.__module__
    made.__qualname__, made.__doc__ = f"{kind.__qualname__}.as_view", kind.__doc__
    actions = getattr(view, "actions", None) or {}
    parts = [f"{kind.__module__}:{made.__qualname__}", *sorted(set(actions.values()))]
    return made, ".".join(parts)
