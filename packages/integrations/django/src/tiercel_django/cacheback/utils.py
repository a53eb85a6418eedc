"""Classes of jobs by name, and tasks for them, as django-cacheback has them in `utils`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

import tiercel

__all__ = ["enqueue_task", "get_job_class"]

logger = logging.getLogger("tiercel.jobs")


def get_job_class(klass_str: str) -> type[tiercel.Job] | None:
    """Return a class of jobs by its module and name; None, and a line in the log, if there is none.

    Never pass what an untrusted source says: the module is imported.
    """
    try:
        found = import_string(klass_str)
    except ImportError as error:
        logger.error("there is no job %s: %s", klass_str, error)
        return None
    if isinstance(found, type) and issubclass(found, tiercel.Job):
        return found
    logger.error("%s is no class of jobs", klass_str)
    return None


def enqueue_task(kwargs: Mapping[str, Any], task_options: Mapping[str, Any] | None = None) -> None:
    """Have a call of a job refreshed in the background.

    Args:
        kwargs: `klass_str`, `obj_args`, `obj_kwargs`, `call_args` and `call_kwargs`: the class by
            its name, what a job is made with, and the arguments of the call.
        task_options: Instead of those of the job.
    """
    found = get_job_class(kwargs["klass_str"])
    if found is None:
        return
    job = found(*kwargs["obj_args"], **kwargs["obj_kwargs"])
    if task_options is not None:
        job.task_options = task_options
    job.async_refresh(*kwargs["call_args"], **kwargs["call_kwargs"])
