"""What a job says of itself: its attributes, and the methods that subclasses override."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, Final, NamedTuple

from tiercel.caches import Cache
from tiercel.configuration import get_cache
from tiercel.policy import Seconds, seconds

OPTIONS: Final = frozenset(
    {
        "cache_alias",
        "cache_ttl",
        "fetch_on_miss",
        "fetch_on_stale_threshold",
        "lifetime",
        "refresh_timeout",
        "set_data_kwarg",
        "task_options",
    }
)
"""What a job may be made with that does not change what it fetches, so it is no part of keys."""

JOB: Final = "_job"
"""The argument by which the function of a class is told how the job was made."""

Recipe = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named arguments that a job is made with, here and in workers."""


class Call(NamedTuple):
    """A call of a job, as its caller wrote it.

    Attributes:
        args: Positional arguments.
        kwargs: Arguments by name.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class JobHooks:
    """Attributes and extension points of jobs. Times are seconds or timedeltas.

    Attributes:
        lifetime: How long data is fresh after it was fetched.
        refresh_timeout: After a refresh of a call was enqueued, no other one is for this long,
            unless it has succeeded.
        cache_alias: The name of a cache, or a `Cache`; None: the default cache.
        cache_ttl: How long data is kept after it was fetched; until then it may be served stale.
        fetch_on_miss: Whether a caller who finds nothing fetches; else he gets `empty()`, and the
            data is fetched in the background.
        fetch_on_stale_threshold: Age of data, counted from when it was fetched, from which a
            caller fetches instead of being served stale; None: never.
        set_data_kwarg: The name under which `set` takes the data.
        task_options: Options of the dispatcher that carries refreshes, such as the queue.
        data_type: The type of what `fetch` returns; None: as it is annotated.
        MISS: Nothing was found.
        HIT: Fresh data was found.
        STALE: Data was found whose lifetime was over.
    """

    lifetime: Seconds = 600
    refresh_timeout: Seconds = 60
    cache_alias: str | Cache | None = None
    cache_ttl: Seconds = 2_592_000
    fetch_on_miss: bool = True
    fetch_on_stale_threshold: Seconds | None = None
    set_data_kwarg: str = "data"
    task_options: Mapping[str, Any] | None = None
    data_type: Any = None

    MISS: ClassVar[int] = 0
    HIT: ClassVar[int] = 1
    STALE: ClassVar[int] = 2

    _given: Recipe = ((), {})

    def fetch(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return the data: this is where the expensive work is done. May be a coroutine method.

        Raises:
            NotImplementedError: A subclass has to say how.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fetch()")

    def empty(self) -> Any:
        """Return what a caller gets while there is no data and it is fetched in the background."""
        return None

    def expiry(self, /, *args: Any, **kwargs: Any) -> float:
        """Return when data of a call that is fetched now becomes stale: a Unix timestamp."""
        return self.cache.clock.time() + seconds(self.lifetime)

    def timeout(self, /, *args: Any, **kwargs: Any) -> float:
        """Return until when a refresh that is enqueued now keeps others away: a timestamp."""
        return self.cache.clock.time() + seconds(self.refresh_timeout)

    def should_missing_item_be_fetched_synchronously(self, /, *args: Any, **kwargs: Any) -> bool:
        """Tell whether a caller who finds nothing fetches."""
        return self.fetch_on_miss

    def should_stale_item_be_fetched_synchronously(
        self, /, delta: float, *args: Any, **kwargs: Any
    ) -> bool:
        """Tell whether a caller who finds stale data fetches.

        Args:
            delta: Seconds since the data became stale; it was fetched a lifetime before.
            *args: Those of the call.
            **kwargs: Those of the call.
        """
        if self.fetch_on_stale_threshold is None:
            return False
        return delta > seconds(self.fetch_on_stale_threshold) - seconds(self.lifetime)

    def prepare_args(self, /, *args: Any) -> tuple[Any, ...]:
        """Return what `fetch`, `key` and workers get for the positional arguments of a caller."""
        return args

    def prepare_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        """Return the same for arguments by name."""
        return kwargs

    def process_result(
        self, result: Any, call: Call, cache_status: int, sync_fetch: bool | None = None
    ) -> Any:
        """Return what `get` returns for data; called for each `get`, and never stored.

        Args:
            result: The data.
            call: The arguments as the caller gave them.
            cache_status: `MISS`, `HIT` or `STALE`.
            sync_fetch: Whether this caller has fetched; None for a hit.
        """
        return result

    def get_init_args(self) -> tuple[Any, ...]:
        """Return the arguments with which a worker makes this job; by default those given here."""
        return self._given[0]

    def get_init_kwargs(self) -> dict[str, Any]:
        """Return the same for arguments by name."""
        return self._given[1]

    @classmethod
    def find_cache(cls, alias: str | Cache | None) -> Cache:
        """Return the cache of an alias.

        Raises:
            ConfigurationError: There is none of this name.
        """
        return alias if isinstance(alias, Cache) else get_cache(alias)

    @classmethod
    def find_dispatcher(cls) -> str | None:
        """Return the dispatcher for jobs that choose none; None: that of the cache."""
        return None

    @staticmethod
    def freeze(data: Any) -> Any:
        """Return what is kept for data; by default the data itself."""
        return data

    @staticmethod
    def thaw(kept: Any) -> Any:
        """Undo `freeze`."""
        return kept

    @property
    def cache(self) -> Cache:
        """The cache that keeps the data."""
        return self.find_cache(self.cache_alias)

    @property
    def recipe(self) -> Recipe | None:
        """What makes a job like this one in a worker; None: nothing is needed."""
        args, kwargs = tuple(self.get_init_args()), dict(self.get_init_kwargs())
        return (args, kwargs) if args or kwargs else None

    @classmethod
    def remade(cls, recipe: Recipe | None) -> JobHooks:
        """Return a job that was made by a recipe."""
        args, kwargs = recipe or ((), {})
        return cls(*args, **kwargs)

    def _check_carried(self, /, *args: Any, **kwargs: Any) -> None:
        """Refuse a call that no worker could perform, for reasons that its arguments do not show.

        Raises:
            TypeError: Says what to do.
        """


class Used(NamedTuple):
    """The job by which a function is being called.

    Attributes:
        job: The job.
        call: The arguments as its caller gave them.
    """

    job: JobHooks
    call: Call


USED: Final[ContextVar[Used | None]] = ContextVar("tiercel_job", default=None)
"""The job whose method is running, or None."""


def job_of(owner: JobHooks | type[JobHooks], kwargs: Mapping[str, Any]) -> JobHooks:
    """Return the job that a call is for: the one that makes it, or another of its recipe."""
    if not isinstance(owner, type):
        return owner
    recipe, used = kwargs.get(JOB), USED.get()
    if used is not None and type(used.job) is owner and used.job.recipe == recipe:
        return used.job
    return owner.remade(recipe)


def overrides(owner: JobHooks | type[JobHooks], *names: str) -> bool:
    """Tell whether a job has hooks of its own."""
    kind = owner if isinstance(owner, type) else type(owner)
    return any(getattr(kind, name) is not getattr(JobHooks, name) for name in names)


def prepares(owner: JobHooks) -> bool:
    """Tell whether a job changes arguments before it uses them."""
    plain = getattr(type(owner).prepare_args, "is_default", False)
    return not plain or overrides(owner, "prepare_kwargs")


def without_job(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the named arguments that the hooks of a job get."""
    return {name: value for name, value in kwargs.items() if name != JOB}
