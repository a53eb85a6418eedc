"""`request_cached`: computed once per request, as Alan spells it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar, Unpack, overload

from tiercel.cached import CachedFunction
from tiercel.decorate import Decorator
from tiercel.engine.state import Subject
from tiercel.errors import ConfigurationError
from tiercel.options import Caching, Options
from tiercel.scope import RequestScope, current_scope
from tiercel.settings import Home
from tiercel.tiers import CacheTiers

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

MAX_ENTRIES: Final = 10_000
"""How many entries one scope holds at most."""


class RequestCachedFunction(CachedFunction[P, R, T]):
    """A function whose results are kept as long as the request that is being served.

    It has every method of a cached function; they work on the scope of the request. Outside a
    request, or with another HTTP method than it was decorated for, it is simply called.
    """

    has_fast_hits = False

    def __init__(self, *args: Any, methods: frozenset[str] | None, **kwargs: Any) -> None:
        self._methods = methods
        self._has_plan = False
        super().__init__(*args, **kwargs)

    def _bind(self) -> Subject:
        scope = self._scope() or RequestScope()
        return scope.subject(self, self._made_for, _new_tiers)

    def _made_for(self, home: Home) -> Subject:
        if not self._has_plan:  # not earlier: integrations may still add types to keys
            self.plan = self._compile_plan(home.prefix, home.encoders)
            self._has_plan = True
        return self._make_subject(home)

    def _scope(self) -> RequestScope | None:
        scope = current_scope()
        if scope is None or (self._methods is not None and scope.method not in self._methods):
            return None
        return scope

    def _is_bypassed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        return self._scope() is None or super()._is_bypassed(args, kwargs)


@overload
def request_cached(
    function: Callable[P, Coroutine[Any, Any, T]], /
) -> CachedFunction[P, Coroutine[Any, Any, T], T]: ...


@overload
def request_cached(function: Callable[P, T], /) -> CachedFunction[P, T, T]: ...


@overload
def request_cached(
    *, for_http_methods: Collection[str] | None = None, **options: Unpack[Options]
) -> Caching: ...


def request_cached(
    function: Any = None, /, *, for_http_methods: Collection[str] | None = None, **options: Any
) -> Any:
    """Cache the results of a function for the request that is being served.

    At most 10,000 results are kept for one request. They are shared objects: two calls in one
    request return the same one. Nothing is kept from one request to the next.

    Args:
        function: The function, where the decorator stands without parentheses.
        for_http_methods: HTTP methods during which results are kept, such as {"GET"}; None: all,
            and also where a scope is open without a request.
        **options: Those of `Cache.cached`, except those about a shared tier; without `ttl` a
            result lives as long as the request.

    Raises:
        ConfigurationError: An option is unknown, wrong, or does not fit the function.
    """
    methods = _checked_methods(for_http_methods)
    if "tiers" in options:
        raise ConfigurationError("request_cached keeps results in memory only: remove tiers=")
    given = {"ttl": None, **options, "tiers": "memory"}
    make: Any = partial(RequestCachedFunction, methods=methods)
    decorator = Decorator(_nowhere, shared=False, follows=False, make=make)
    return decorator.decorate(function, given)


def _checked_methods(methods: Any) -> frozenset[str] | None:
    if methods is None:
        return None
    if isinstance(methods, str) or not all(isinstance(each, str) and each for each in methods):
        raise ConfigurationError(
            f'request_cached: for_http_methods={methods!r} must be a set of names such as {{"GET"}}'
        )
    return frozenset(each.upper() for each in methods)


def _new_tiers() -> CacheTiers:
    return CacheTiers(name="request", memory=MAX_ENTRIES)


def _nowhere() -> Home:
    raise ConfigurationError("a request-cached function asks its scope, never a cache")
