"""`cacheback`, as django-cacheback has it in its module `decorators`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tiercel
from tiercel_django.cacheback.jobs import FunctionJob

if TYPE_CHECKING:
    from tiercel import cacheback

__all__ = ["cacheback"]


def _cacheback(
    lifetime: Any = None,
    fetch_on_miss: bool | None = None,
    cache_alias: str | tiercel.Cache | None = None,
    job_class: type[tiercel.FunctionJob] | None = None,
    task_options: Mapping[str, Any] | None = None,
    **job_class_kwargs: Any,
) -> Any:
    """Do what `tiercel.cacheback` does, with jobs of Django.

    Args:
        lifetime: Seconds that a result is fresh; or the function, without parentheses.
        fetch_on_miss: Whether a caller who finds nothing calls the function.
        cache_alias: The name of a cache in `TIERCEL`, or an alias of `CACHES`.
        job_class: A subclass of `FunctionJob`.
        task_options: Options of the dispatcher that carries refreshes, such as the queue.
        **job_class_kwargs: As of `tiercel.cacheback`.

    Raises:
        ConfigurationError: An option is unknown or wrong, or does not fit the function.
    """
    if callable(lifetime):
        return _cacheback()(lifetime)
    return tiercel.cacheback(
        lifetime,
        fetch_on_miss,
        cache_alias,
        job_class or FunctionJob,
        task_options,
        **job_class_kwargs,
    )


if not TYPE_CHECKING:
    _cacheback.__name__ = _cacheback.__qualname__ = "cacheback"
    cacheback = _cacheback
