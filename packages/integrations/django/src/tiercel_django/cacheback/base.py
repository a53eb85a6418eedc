"""`Job`, as django-cacheback has it in its module `base`."""

from __future__ import annotations

from typing import Any

import tiercel
from tiercel_django.cacheback import conf
from tiercel_django.cacheback.aliases import find_cache
from tiercel_django.pickled import Pickled, freeze, thaw

__all__ = ["Job"]


class Job(tiercel.Job, codec="pickle"):
    """A job in Django: `tiercel.Job`, which keeps whatever can be pickled, signed.

    Each caller gets an object of its own, so that instances of models may be changed.
    `cache_alias` is the name of a cache in `TIERCEL`, or an alias of `CACHES`.
    """

    @classmethod
    def find_cache(cls, alias: str | tiercel.Cache | None) -> tiercel.Cache:
        """Return the cache of an alias; None: that of `CACHEBACK_CACHE_ALIAS`.

        Raises:
            ConfigurationError: There is none of this name.
        """
        if isinstance(alias, tiercel.Cache):
            return alias
        return find_cache(alias or conf.default_alias())

    @classmethod
    def find_dispatcher(cls) -> str | None:
        """Return the dispatcher that `CACHEBACK_TASK_QUEUE` stands for, if it is set.

        Raises:
            ImproperlyConfigured: It is no queue.
        """
        return conf.default_dispatcher()

    @staticmethod
    def freeze(data: Any) -> Any:
        """Pickle what callers could change; querysets are fetched thereby."""
        kept = freeze(data)
        if isinstance(kept, Pickled):
            kept.ready.append(data)  # for the caller who has fetched it
        return kept

    @staticmethod
    def thaw(kept: Any) -> Any:
        """Return the data, another object each time."""
        return thaw(kept)
