"""What is made of a class of jobs, or of a function that a job fetches: its cached function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from inspect import Parameter, Signature
from typing import Any, Final

from tiercel.caches import Cache
from tiercel.decorate import Decorator
from tiercel.errors import ConfigurationError
from tiercel.jobs.function import JobFunction
from tiercel.jobs.hooks import JOB, JobHooks, job_of, without_job
from tiercel.jobs.keys import constructor_of, is_made_with_arguments
from tiercel.keys.names import name_of
from tiercel.keys.plan import function_name
from tiercel.policy import duration

AnyJobFunction = JobFunction[Any, Any, Any]

_SAID_OTHERWISE: Final[Mapping[str, str]] = {
    "async_compute": "fetch_on_miss = False",
    "async_compute_job_timeout": "refresh_timeout",
    "atomic_writes": "",
    "dispatcher_config": "task_options",
    "hard_timeout": "",
    "refresh_ahead": "",
    "soft_timeout": "",
    "stale": "cache_ttl",
    "ttl": "lifetime",
}
"""Options of other decorators that a job does not take, and its attribute instead."""


def function_of_class(
    owner: type[JobHooks], alias: str | Cache | None, given: Mapping[str, Any]
) -> AnyJobFunction:
    """Return the cached function of all jobs of a class.

    Args:
        owner: The class.
        alias: The cache, as `cache_alias` names it.
        given: The options that the class was given.

    Raises:
        ConfigurationError: An attribute or option is wrong, or does not fit `fetch`.
    """
    function = _calling(owner)
    name = given.get("name") or name_of(owner)
    return _made(owner, function, alias, {**given, "name": name}).cached_function  # type: ignore[no-any-return]


def decorated(job: Any, function: Any, given: Mapping[str, Any], lead: tuple[Any, ...]) -> Any:
    """Return what stands in place of a function that a job fetches.

    Args:
        job: The job.
        function: The function.
        given: Options of the decorator.
        lead: What hooks of the job get before the arguments of a call.

    Raises:
        ConfigurationError: An attribute or option is wrong, or does not fit the function.
    """
    if not callable(function):
        raise ConfigurationError(
            f"{function!r} cannot be cached: cacheback takes options by name, such as lifetime=600"
        )
    return _made(job, function, job.cache_alias, dict(given), lead)


def check_times(owner: str, job: JobHooks | type[JobHooks]) -> None:
    """Check the attributes of a job that are times.

    Raises:
        ConfigurationError: One is no duration, or too short.
    """
    for name in ("lifetime", "refresh_timeout", "cache_ttl", "fetch_on_stale_threshold"):
        value = getattr(job, name)
        if value is None and name == "fetch_on_stale_threshold":
            continue
        if not duration(owner, name, value):
            raise ConfigurationError(f"{owner}: {name}={value!r} must be more than 0 seconds")


def _made(
    owner: Any,
    function: Any,
    alias: str | Cache | None,
    given: dict[str, Any],
    lead: tuple[Any, ...] = (),
) -> Any:
    name = given.get("name") or function_name(function)
    options = _options(name, owner, given)
    for spelling in ("key", "key_constructor"):
        key = options.pop(spelling, None)
        if key is not None:
            break
    options["key"] = constructor_of(owner, function, key, lead)
    make: Any = partial(JobFunction, owner=owner, lead=lead)
    return _decorator(owner, alias).making(make).decorate(function, options)


def _options(name: str, owner: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    for option in sorted(given.keys() & _SAID_OTHERWISE.keys()):
        instead = _SAID_OTHERWISE[option]
        hint = f"say {instead} instead" if instead else "remove it"
        raise ConfigurationError(f"{name}: a job takes no option {option!r}: {hint}")
    check_times(name, owner)
    life, kept = (duration(name, each, getattr(owner, each)) for each in ("lifetime", "cache_ttl"))
    assert life is not None
    assert kept is not None
    options = {**given, "ttl": lambda result: life, "stale": max(kept - life, 0.0)}
    if given.get("dispatcher") is not None and owner.task_options:
        options["dispatcher_config"] = owner.task_options
    return options


def _decorator(owner: Any, alias: str | Cache | None) -> Decorator:
    if isinstance(alias, Cache):
        return alias.decorator
    if alias is not None and not isinstance(alias, str):
        raise ConfigurationError(f"cache_alias={alias!r}: give the name of a cache or a Cache")
    return Decorator(lambda: owner.find_cache(alias), shared=False, follows=True)


def _calling(owner: type[JobHooks]) -> Callable[..., Any]:
    """Return a function that has a job of a class fetch, with the signature of its `fetch`."""
    fetch = owner.fetch

    async def acall(*args: Any, **kwargs: Any) -> Any:
        return await job_of(owner, kwargs).fetch(*args, **without_job(kwargs))

    def call(*args: Any, **kwargs: Any) -> Any:
        return job_of(owner, kwargs).fetch(*args, **without_job(kwargs))

    made: Any = acall if inspect.iscoroutinefunction(fetch) else call
    update_wrapper(made, fetch)
    made.__qualname__ = owner.__qualname__
    made.__module__ = owner.__module__
    made.__signature__ = _signature(owner)
    return made  # type: ignore[no-any-return]


def _signature(owner: type[JobHooks]) -> Signature:
    """Return that of `fetch`, and besides how the job is made, if jobs can differ in that."""
    signature = inspect.signature(owner.fetch)
    _, *parameters = signature.parameters.values()
    if not is_made_with_arguments(owner):
        return signature.replace(parameters=parameters)
    if any(each.name == JOB for each in parameters):
        raise ConfigurationError(f"{name_of(owner)}.fetch: rename its argument {JOB!r}")
    last = [each for each in parameters if each.kind is Parameter.VAR_KEYWORD]
    others = [each for each in parameters if each.kind is not Parameter.VAR_KEYWORD]
    made_with = Parameter(JOB, Parameter.KEYWORD_ONLY, default=None)
    return signature.replace(parameters=[*others, made_with, *last])
