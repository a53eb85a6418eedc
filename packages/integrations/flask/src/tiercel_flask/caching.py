"""`cached`: Flask-Caching's decorator for views, and for functions with one result."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app, has_request_context, request
from werkzeug.wrappers import Response as BaseResponse

from tiercel import ConfigurationError, cache_result, cached_view
from tiercel_flask.calling import Decorating, in_place_of
from tiercel_flask.keys import value_key, view_key
from tiercel_flask.signals import cache_view_hit, cache_view_miss

BUFFER = 1_048_576
"""Bytes up to which what a view streams is read and kept."""

_OF_VIEWS = frozenset(
    {
        "namespace",
        "skip_cache_attr",
        "on_cache_result",
        "returns_static_response",
        "methods",
        "statuses",
        "buffer",
        "status_headers",
        "obey_no_cache",
    }
)


def cached(
    given: Decorating,
    key_prefix: str | Callable[[], Any],
    query_string: bool | None,
    make_cache_key: Callable[..., Any] | None,
    source_check: bool,
) -> Callable[[Any], Any]:
    """Return the decorator that `Tiercel.cached` describes."""
    if not callable(key_prefix) and not isinstance(key_prefix, str):
        raise ConfigurationError(f"cached: key_prefix={key_prefix!r} must be a text or a callable")
    fits_all = make_cache_key is not None or callable(key_prefix) or "%s" not in key_prefix

    def decorate(function: Any) -> Any:
        keep = given.keeping()
        options = given.common(lambda: made)
        if source_check:
            options["version"] = source_version(function)
        key = view_key(key_prefix, make_cache_key, query_string)
        wanted: Any = {"buffer": BUFFER, "cache_if": keep, **options, **given.options}
        decorated: Any = cached_view(key, **wanted)(function)
        view, value = decorated.cached_function, None
        if fits_all:
            own = {name: each for name, each in given.options.items() if name not in _OF_VIEWS}
            value_plan = value_key(key_prefix, make_cache_key)
            value = _value_face(function, value_plan, {**options, **own}, keep)

        def choose() -> Any:
            if has_request_context() and (value is None or serves_request(made)):
                return view.here()
            return None if value is None else value.here()

        made: Any = in_place_of(
            function, given.calling(choose, cache_view_hit, cache_view_miss, {})
        )
        made.cache_timeout = given.timeout
        made.make_cache_key = lambda *args, **kwargs: choose().get_cache_key(*args, **kwargs)
        return made

    return decorate


def _value_face(
    function: Any, key: Any, options: Mapping[str, Any], keep: Callable[[Any], bool]
) -> Any:
    """Return what serves calls outside of the request whose view the function is."""
    name = options.get("name") or f"{function.__module__}:{function.__qualname__}"
    given: dict[str, Any] = {
        **options,
        "name": f"{name}~value",
        "cache_if": lambda result: not _is_response(result) and keep(result),
    }
    made: Any = cache_result(key=key, **given)(function)
    return made.cached_function


def _is_response(result: Any) -> bool:
    return isinstance(result, BaseResponse)


def source_version(function: Callable[..., Any]) -> str:
    """Return a version that changes with the source of a function."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise ConfigurationError(f"source_check: {function!r} has no source: {error}") from error
    return hashlib.blake2b(source.encode(), digest_size=8).hexdigest()


def serves_request(function: Any) -> bool:
    """Tell whether a function is the view of the request that is being served."""
    if request.endpoint is None:
        return False
    view: Any = current_app.view_functions.get(request.endpoint)
    kind = getattr(view, "view_class", None)
    while view is not None:
        if view is function:
            return True
        view = getattr(view, "__wrapped__", None)
    return kind is not None and any(function in vars(each).values() for each in kind.__mro__)
