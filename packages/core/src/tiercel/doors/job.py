"""`cacheback`: functions whose results are served stale and refreshed in the background."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, ParamSpec, Protocol, TypeVar, overload

from tiercel.caches import Cache
from tiercel.decorate import OPTIONS
from tiercel.errors import ConfigurationError
from tiercel.jobs.function import JobFunction
from tiercel.jobs.functions import FunctionJob
from tiercel.jobs.making import check_times
from tiercel.policy import Seconds

P = ParamSpec("P")
T = TypeVar("T")

_ATTRIBUTES: Final = ("cache_ttl", "data_type", "fetch_on_stale_threshold", "refresh_timeout")


class CachingJob(Protocol):
    """A decorator that makes jobs of functions."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> JobFunction[P, Coroutine[Any, Any, T], T]: ...

    @overload
    def __call__(self, function: Callable[P, T], /) -> JobFunction[P, T, T]: ...


@overload
def cacheback(
    function: Callable[P, Coroutine[Any, Any, T]], /
) -> JobFunction[P, Coroutine[Any, Any, T], T]: ...


@overload
def cacheback(function: Callable[P, T], /) -> JobFunction[P, T, T]: ...


@overload
def cacheback(
    lifetime: Seconds | None = None,
    fetch_on_miss: bool | None = None,
    cache_alias: str | Cache | None = None,
    job_class: type[FunctionJob] | None = None,
    task_options: Mapping[str, Any] | None = None,
    *,
    cache: str | Cache | None = None,
    **options: Any,
) -> CachingJob: ...


def cacheback(
    lifetime: Any = None,
    fetch_on_miss: bool | None = None,
    cache_alias: str | Cache | None = None,
    job_class: type[FunctionJob] | None = None,
    task_options: Mapping[str, Any] | None = None,
    *,
    cache: str | Cache | None = None,
    **options: Any,
) -> Any:
    """Have results of a function served stale and refreshed in the background.

    `@cacheback`, `@cacheback(lifetime=300)`. What stands in place of the function has every method
    of a cached function; `fn` is the function itself, and `job` its job, whose methods take the
    function before the arguments of a call: `f.job.invalidate(f, 1)`.

    Args:
        lifetime: How long a result is fresh, in seconds or as a timedelta; None: as the class of
            the job says, 600 seconds by default.
        fetch_on_miss: Whether a caller who finds nothing calls the function; else he gets None,
            and it is called in the background. None: as the class says, by default True.
        cache_alias: A cache or its name; None: the default cache.
        job_class: A subclass of `FunctionJob`.
        task_options: Options of the dispatcher that carries refreshes, such as the queue.
        cache: The same as `cache_alias`.
        **options: `refresh_timeout`, `cache_ttl`, `fetch_on_stale_threshold`, `data_type`, as
            attributes of `Job`; those of `Cache.cached`, except those that such an attribute
            stands for; what else `job_class` is made with.

    Raises:
        ConfigurationError: An option is unknown or wrong, or does not fit the function.
    """
    if callable(lifetime):
        return cacheback()(lifetime)
    if cache is not None and cache_alias is not None:
        raise ConfigurationError("cacheback: cache= and cache_alias= mean the same: give one")
    kind: Any = FunctionJob if job_class is None else job_class
    if not (isinstance(kind, type) and issubclass(kind, FunctionJob)):
        raise ConfigurationError(f"job_class={job_class!r} must be a subclass of FunctionJob")
    attributes = {name: options.pop(name) for name in _ATTRIBUTES if name in options}
    chosen = {name: options.pop(name) for name in list(options) if name in OPTIONS}
    job = _make(kind, lifetime, fetch_on_miss, cache or cache_alias, task_options, options)
    for name, value in attributes.items():
        setattr(job, name, value)
    check_times(kind.__name__, job)
    return lambda function: job.decorate(function, chosen)


def _make(
    kind: type[FunctionJob],
    lifetime: Any,
    fetch_on_miss: Any,
    alias: Any,
    task_options: Any,
    others: Mapping[str, Any],
) -> FunctionJob:
    try:
        return kind(
            lifetime=lifetime,
            fetch_on_miss=fetch_on_miss,
            cache_alias=alias,
            task_options=task_options,
            **others,
        )
    except TypeError as error:
        raise ConfigurationError(f"{kind.__name__} cannot be made: {error}") from error
