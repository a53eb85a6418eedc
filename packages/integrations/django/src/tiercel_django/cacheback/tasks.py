"""`refresh_cache`, as django-cacheback has it in its module `tasks`.

Tiercel's own refreshes are messages of its dispatchers, and do not come here. Register this
function under the name `cacheback.tasks.refresh_cache` to work off what django-cacheback has left
in a queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiercel_django.cacheback.base import Job

__all__ = ["refresh_cache"]


def refresh_cache(
    klass_str: str,
    obj_args: Sequence[Any],
    obj_kwargs: Mapping[str, Any],
    call_args: Sequence[Any],
    call_kwargs: Mapping[str, Any],
) -> None:
    """Refresh a call of a job that is known by name; see `Job.perform_async_refresh`."""
    Job.perform_async_refresh(klass_str, obj_args, obj_kwargs, call_args, call_kwargs)
