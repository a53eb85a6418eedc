"""`memoize`: Flask-Caching's decorator for functions and methods, by their arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from tiercel import ConfigurationError, cache_result
from tiercel_flask.caching import source_version
from tiercel_flask.calling import Decorating, in_place_of
from tiercel_flask.keys import memoized_key
from tiercel_flask.signals import cache_memoize_hit, cache_memoize_miss


def memoize(
    given: Decorating,
    make_name: Callable[[str], str] | None,
    source_check: bool,
    args_to_ignore: Collection[str],
) -> Callable[[Any], Any]:
    """Return the decorator that `Tiercel.memoize` describes."""

    def decorate(function: Any) -> Any:
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(decorate(function.__func__))
        options = _options(given, make_name, source_check, function, lambda: made)
        key = memoized_key(function, args_to_ignore)
        decorated: Any = cache_result(key=key, **options)(function)
        face = decorated.cached_function
        signals = cache_memoize_hit, cache_memoize_miss
        made: Any = in_place_of(function, given.calling(face.here, *signals, {"f": function}))
        for name in face.methods:
            setattr(made, name, _late(face, name))
        made.cache_timeout = given.timeout
        made.make_cache_key = _late(face, "get_cache_key")
        made.delete_memoized = lambda: drop(made)
        made.memoized = face
        return made

    return decorate


def _options(
    given: Decorating,
    make_name: Callable[[str], str] | None,
    source_check: bool,
    function: Any,
    made: Callable[[], Any],
) -> dict[str, Any]:
    """The options for `cache_result`."""
    options = {**given.common(made), "cache_if": given.keeping()}
    if source_check:
        options["version"] = source_version(function)
    if make_name is not None:
        options["name"] = make_name(_name(function))
    return {**options, **given.options}


def drop(function: Any, *args: Any, **kwargs: Any) -> bool:
    """Drop the entries of a memoized function; see `Tiercel.delete_memoized`.

    Raises:
        TypeError: The function is not memoized.
    """
    instance = getattr(function, "__self__", None)
    made = getattr(function, "__func__", function)
    if isinstance(function, str) or not hasattr(made, "memoized"):
        raise TypeError(
            f"{function!r} is not memoized: give the function that memoize() has decorated, "
            "not its name"
        )
    face = made.memoized.here()
    given = args if instance is None else (instance, *args)
    if instance is not None and "instance" not in face.key_constructor.key_fields and not args:
        given = ()  # the object is no part of the key, so its entries are everybody's
    if args or kwargs:
        return bool(_delete(face, *given, **kwargs))
    face.drop_partition(*given)
    return True


def _delete(face: Any, *args: Any, **kwargs: Any) -> Any:
    if face.asynchronous:
        return asyncio.run(face.adelete_cache(*args, **kwargs))
    return face.delete_cache(*args, **kwargs)


def _late(face: Any, name: str) -> Any:
    return lambda *args, **kwargs: getattr(face.here(), name)(*args, **kwargs)


def _name(function: Any) -> str:
    if not callable(function):
        raise ConfigurationError(f"memoize: {function!r} is no function")
    return f"{function.__module__}:{function.__qualname__}"
