"""The options of every decorator, for type checkers, and what decorators are to them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, TypedDict, TypeVar, overload

from tiercel.cached import CachedFunction
from tiercel.contracts.codec import Codec
from tiercel.invalidation import InvalidationRule
from tiercel.policy import AtomicWrites, Tiers

P = ParamSpec("P")
T = TypeVar("T")


class Options(TypedDict, total=False):
    """What `Cache.cached` takes; `tiercel.policy.Policy` says what each of them means."""

    key: Any
    key_constructor: Any
    ttl: float | timedelta | Callable[..., Any] | None
    jitter: float | timedelta
    stale: float | timedelta
    stale_on_error: float | timedelta
    refresh_ahead: float
    negative_ttl: float | timedelta | None
    cache_exceptions: type[Exception] | Iterable[type[Exception]]
    wait: float | timedelta
    soft_timeout: float | timedelta | None
    hard_timeout: float | timedelta | None
    lease: float | timedelta
    atomic_writes: AtomicWrites
    async_compute: bool
    async_compute_job_timeout: float | timedelta
    cache_if: Callable[..., Any] | None
    cache_unless: Callable[..., Any] | None
    unless: Callable[..., Any] | None
    copy: bool
    tiers: Tiers
    tags: Sequence[str] | Callable[..., Sequence[str]] | None
    invalidates_on: Sequence[InvalidationRule] | InvalidationRule | None
    index: bool | int
    dispatcher: str | None
    dispatcher_config: Mapping[str, Any]
    codec: str | Codec | None
    compress: str | Mapping[str, Any] | None
    version: int | str | None
    name: str | None


class Caching(Protocol):
    """A decorator that was given its options."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> CachedFunction[P, Coroutine[Any, Any, T], T]: ...

    @overload
    def __call__(self, function: Callable[P, T], /) -> CachedFunction[P, T, T]: ...
