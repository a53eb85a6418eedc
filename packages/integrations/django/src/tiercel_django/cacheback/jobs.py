"""Jobs for functions and for reads of the ORM, as django-cacheback has them in `jobs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

import tiercel
from tiercel_django.cacheback.base import Job

__all__ = ["FunctionJob", "QuerySetFilterJob", "QuerySetGetJob", "QuerySetJob"]


class FunctionJob(Job, tiercel.FunctionJob):
    """A job that calls a function, which is the first argument of every method."""


class QuerySetJob(Job):
    """The base of jobs that read rows of one model."""

    def __init__(
        self,
        model: type[models.Model],
        lifetime: float | None = None,
        fetch_on_miss: bool | None = None,
        cache_alias: str | tiercel.Cache | None = None,
        task_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Choose the model and attributes of this job; None leaves those of the class."""
        self.model: Any = model
        given = {
            "lifetime": lifetime,
            "fetch_on_miss": fetch_on_miss,
            "cache_alias": cache_alias,
            "task_options": task_options,
        }
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)


class QuerySetGetJob(QuerySetJob):
    """Reads one row: `QuerySetGetJob(User).get(username="ann")`."""

    def fetch(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return the row.

        Raises:
            DoesNotExist: There is none; that is not kept.
        """
        return self.model.objects.get(*args, **kwargs)


class QuerySetFilterJob(QuerySetJob):
    """Reads rows: `QuerySetFilterJob(User).get(is_staff=True)`."""

    def fetch(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return a queryset; what is kept are its rows."""
        return self.model.objects.filter(*args, **kwargs)
