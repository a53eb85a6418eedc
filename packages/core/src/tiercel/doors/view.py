"""`cached_view` and `cache_response`: HTTP views, as Duck and Restflow spell them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any, Final, ParamSpec, Protocol, TypeVar, cast, overload
from weakref import WeakKeyDictionary

from tiercel.caches import Cache
from tiercel.configuration import decorator_for
from tiercel.contracts.backend import Backend
from tiercel.contracts.key_field import KeyField
from tiercel.decorate import Decorator
from tiercel.errors import ConfigurationError, ViewCachingError
from tiercel.keys.constructor import KeyConstructor, as_constructor
from tiercel.keys.plan import function_name
from tiercel.outcomes import CACHE_MISSING
from tiercel.plugins import default_registry
from tiercel.policy import Seconds
from tiercel.web.asking import ViewOptions
from tiercel.web.fields import default_fields, namespace_field, target_field, view_fields
from tiercel.web.headers import CACHE_STATUS, STATUS_HEADERS, X_CACHE
from tiercel.web.shortcut import KEYED
from tiercel.web.storable import KEPT_STATUSES, SAFE_METHODS, ResponseRules
from tiercel.web.targets import compile_targets
from tiercel.web.view import ViewFunction

P = ParamSpec("P")
T = TypeVar("T")

_UNSET: Final[Any] = object()


class CachingView(Protocol):
    """A decorator of views that was given its options."""

    @overload
    def __call__(
        self, view: Callable[P, Coroutine[Any, Any, T]], /
    ) -> ViewFunction[P, Coroutine[Any, Any, T], T]: ...

    @overload
    def __call__(self, view: Callable[P, T], /) -> ViewFunction[P, T, T]: ...


class InMemoryCache(Cache):
    """A cache in the memory of this process, as Duck names it; a backend for `cached_view`.

    Args:
        maxkeys: How many entries are kept at most; None: 1,000,000.
    """

    def __init__(self, maxkeys: int | None = None) -> None:
        super().__init__(memory=1_000_000 if maxkeys is None else maxkeys, name="in-memory")

    def set(self, key: Any, value: Any, ttl: Seconds | None = None) -> bool:
        """Set the value of a key; without a ttl, for good."""
        return super().set(key, value, ttl)

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key and return its value, or the default.

        Raises:
            KeyError: The key has no value, and no default was given.
        """
        value = self.get(key, CACHE_MISSING)
        self.delete(key)
        if value is not CACHE_MISSING:
            return value
        if not default:
            raise KeyError(key)
        return default[0]


def cached_view(
    targets: Any = None,
    expiry: Any = _UNSET,
    cache_backend: Any = None,
    namespace: str | Callable[..., Any] | None = None,
    skip_cache_attr: str = "skip_cache",
    on_cache_result: Callable[..., Any] | None = None,
    returns_static_response: bool = False,
    *,
    methods: Collection[str] = SAFE_METHODS,
    statuses: Collection[int] = KEPT_STATUSES,
    buffer: int = 0,
    status_headers: Collection[str] = (CACHE_STATUS,),
    obey_no_cache: bool = False,
    cache: str | Cache | None = None,
    **options: Any,
) -> CachingView:
    """Cache the responses of a view, function or method, plain or coroutine.

    Safe unless told otherwise: only GET and HEAD, only successful responses; never one that sets a
    cookie, says `private` or `no-store`, used the session or answers a request with credentials,
    unless the key says whose it is, by `namespace` or a target such as `user`. The view itself,
    what the URL gave it and what the response varies with are always part of the key.

    Args:
        targets: What else decides which entry answers: a list of attributes of the request, such
            as "path" or "user.id"; or a dict from such names, or callables, to the `args` and
            `kwargs` that they are called with, in which `{request.path}` stands for an attribute;
            or a key constructor. None: scheme, host, path and query.
        expiry: The same as `ttl`: seconds, a timedelta, None for no expiry, or a callable.
        cache_backend: A cache, its name, or any object with `get` and `set`, plain or coroutine.
        namespace: Keeps entries apart, per user or tenant: a callable that gets the request, or a
            text, which tells no users apart. The entries of one value are dropped by
            `view.drop_namespace(value)`.
        skip_cache_attr: An attribute of the request that, where true, bypasses the cache.
        on_cache_result: Called on each hit with the request and the result, or the result alone.
        returns_static_response: Results that are no responses may be shared between requests;
            else each hit gets a copy.
        methods: HTTP methods whose responses are kept.
        statuses: Status codes that are kept.
        buffer: Bytes up to which a streamed body is read and kept; 0: streams pass through.
        status_headers: Which headers say how a response was served: "cache-status" (RFC 9211),
            "x-cache" (Restflow's).
        obey_no_cache: Whether `Cache-Control: no-cache` in a request computes anew.
        cache: The same as `cache_backend`.
        **options: Those of `Cache.cached`.

    Raises:
        ViewCachingError: A target, the backend or the namespace cannot work.
        ConfigurationError: An option is unknown or wrong, or does not fit the view.
    """
    if callable(targets) and not _is_key(targets):
        raise ViewCachingError(
            f"cached_view: {targets!r} is no target; the decorator is called: @cached_view()"
        )
    given = dict(options)
    if expiry is not _UNSET:
        if "ttl" in given:
            raise ConfigurationError("cached_view: expiry= and ttl= mean the same: give one")
        given["ttl"] = expiry
    if cache_backend is not None and cache is not None:
        raise ConfigurationError("cached_view: cache_backend= and cache= mean the same: give one")
    headers = _checked_headers(status_headers)
    source = _decorator(cache if cache_backend is None else cache_backend)
    _check_callables(namespace, on_cache_result)
    plain = on_cache_result is None and not obey_no_cache and not callable(namespace)
    by_request = plain and (targets is None or _are_keyed(targets))

    def decorate(view: Any) -> Any:
        adopted = _adopted(view, decorate_function, given)
        return decorate_function(view) if adopted is None else adopted

    def decorate_function(view: Any, **named: str) -> Any:
        owner = {**named, **given}.get("name") or function_name(view)
        resolved = [] if _is_key(targets) else compile_targets(owner, targets, view)
        key = _constructor(targets, [each.name for each in resolved], namespace, view)
        identities = [_identity(each) for each in key.key_fields.values() if _identifies(each)]
        personal = bool(callable(namespace) or identities or any(t.personal for t in resolved))
        rules = ResponseRules(
            frozenset(each.upper() for each in methods), frozenset(statuses), personal, buffer
        )
        view_options = ViewOptions(
            resolved,
            namespace,
            skip_cache_attr,
            on_cache_result,
            returns_static_response,
            rules,
            headers,
            obey_no_cache,
            identities,
            by_request,
        )
        make: Any = partial(ViewFunction, options=view_options)
        chosen = {"dispatcher": "inline", **named, **given, "key": key}
        return source.making(make).decorate(view, chosen)

    return decorate


def cache_response(
    key_constructor: Any = None,
    ttl: Any = 3600,
    *,
    set_cache_headers: bool = False,
    **options: Any,
) -> CachingView:
    """Cache the responses of a view, as Restflow spells it.

    Args:
        key_constructor: A key constructor, besides what is always part of the key; None: scheme,
            host, path and query.
        ttl: As of `Cache.cached`.
        set_cache_headers: Whether responses get `X-Cached-at`, `X-Cache-reset-at` and
            `X-Cache-status`.
        **options: Those of `cached_view`.

    Raises:
        ConfigurationError: An option is unknown or wrong, or does not fit the view.
    """
    chosen = (CACHE_STATUS, X_CACHE) if set_cache_headers else (CACHE_STATUS,)
    return cached_view(key_constructor, ttl, **{"status_headers": chosen, **options})


def _adopted(view: Any, decorate: Callable[..., Any], options: Mapping[str, Any]) -> Any | None:
    """Let the frameworks decorate what they have made themselves, as of a class."""
    if not hasattr(view, "__wrapped__") and "<locals>" not in getattr(view, "__qualname__", ""):
        return None
    for integration in default_registry().integrations.values():
        if integration.web is not None:
            adopted = integration.web.adopt(view, decorate, options)
            if adopted is not None:
                return adopted
    return None


def _are_keyed(targets: Any) -> bool:
    """Tell whether targets name nothing but what a request says itself."""
    return isinstance(targets, (list, tuple)) and all(
        isinstance(each, str) and each in KEYED for each in targets
    )


def _is_key(targets: Any) -> bool:
    if targets is None or isinstance(targets, KeyConstructor):
        return True
    if isinstance(targets, type):
        return issubclass(targets, KeyConstructor)
    values = targets.values() if isinstance(targets, Mapping) else ()
    return bool(values) and all(isinstance(each, KeyField) for each in values)


def _constructor(
    targets: Any, names: Collection[str], namespace: Any, view: Callable[..., Any]
) -> type[KeyConstructor]:
    """Return what builds the keys of a view."""
    fields: dict[str, KeyField] = {}
    if namespace is not None:
        fields["namespace"] = namespace_field()
    base = KeyConstructor
    if targets is None:
        fields |= default_fields()
    elif names:
        fields |= {f"target{number}": target_field(name) for number, name in enumerate(names)}
    else:
        base = as_constructor(targets)
    return cast("type[KeyConstructor]", type("ViewKey", (base,), {**fields, **view_fields()}))


def _identifies(field: KeyField) -> bool:
    return bool(getattr(field, "identifies_user", False))


def _identity(field: KeyField) -> Callable[[Any], Any]:
    """Return what reads from a request who asks; some fields find the request themselves."""
    read: Callable[..., Any] = getattr(field, "read")  # noqa: B009
    return read if inspect.signature(read).parameters else lambda _: read()


def _checked_headers(headers: Collection[str]) -> frozenset[str]:
    chosen = frozenset(each.lower() for each in headers)
    unknown = sorted(chosen - STATUS_HEADERS)
    if unknown or isinstance(headers, str):
        known = ", ".join(sorted(STATUS_HEADERS))
        raise ConfigurationError(f"cached_view: status_headers={headers!r}: a set of {known}")
    return chosen


def _check_callables(namespace: Any, hook: Any) -> None:
    if namespace is not None and not isinstance(namespace, str) and not callable(namespace):
        raise ViewCachingError(
            f"cached_view: namespace={namespace!r} must be a text, or a callable that gets the "
            "request"
        )
    if hook is not None and not callable(hook):
        raise ViewCachingError(f"cached_view: on_cache_result={hook!r} must be callable")


_backends: WeakKeyDictionary[Any, Cache] = WeakKeyDictionary()


def _decorator(given: Any) -> Decorator:
    """Return what decorates for a cache, a name, or an object with `get` and `set`."""
    if given is None or isinstance(given, (str, Cache)):
        return decorator_for(given)
    if isinstance(given, Backend):
        return Cache(backend=given, memory=0).decorator
    missing = [name for name in ("get", "set") if not callable(getattr(given, name, None))]
    if missing:
        raise ViewCachingError(
            f"cached_view: cache_backend={given!r} has no {' and no '.join(missing)} to call"
        )
    try:
        known = _backends.get(given)
    except TypeError:  # it cannot be hashed or referred to weakly, so views do not share it
        return Cache(backend=given, memory=0).decorator
    if known is None:
        known = _backends.setdefault(given, Cache(backend=given, memory=0))
    return known.decorator
