"""What may be stored, for how long, and what may be served when: checked once, at decoration."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from tiercel.entry import FOREVER
from tiercel.errors import ConfigurationError

Seconds = float | timedelta
Tiers = Literal["both", "memory", "shared"]
AtomicWrites = Literal["at_least_once", "at_most_once"]
DEFAULT_TTL = 3600.0
DEFAULT_EXCEPTION_TTL = 30.0
DEFAULT_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The checked options of one cached function. All times are seconds.

    Attributes:
        ttl: Life of a fresh entry; None for no expiry; or a callable that gets the result (and
            the call's arguments where its signature takes them) and returns either.
        jitter: Up to this much is taken off each life, at random, so that entries filled
            together do not expire together.
        stale: How long after its ttl an entry may still be served while it is refreshed.
        stale_on_error: How long after its ttl an entry may be served if the computation fails.
        refresh_ahead: Beta of XFetch (Vattani et al., VLDB 2015): how eagerly a fresh entry is
            refreshed before it ends; 0 is never, 1 is optimal for exponential arrivals.
        negative_ttl: Life of a None and of a cached exception.
        cache_exceptions: Exception types that are stored and raised again.
        wait: How long a caller waits for another's computation before it computes by itself.
        soft_timeout: How long a caller waits for a computation where an old entry may stand in for
            it, as `stale_on_error` says; None: as without one. The computation goes on.
        hard_timeout: How long a caller waits in any case before `ComputationTimeout` is raised;
            None: without end. The computation goes on, and is stored.
        lease: After how long a silent holder of a lease is taken for dead.
        cache_if: Stores the result only if this returns true.
        cache_unless: Stores the result unless this returns true.
        unless: Called with the function and its arguments; true bypasses the cache.
        copy: Hand out copies of values in memory instead of the shared objects.
        tiers: Which tiers hold the entries.
        atomic_writes: What concurrent cold callers are promised.
        async_compute: Have values built in the background: a caller who finds none is told so by
            `AsyncValueBeingBuiltException`, instead of computing it or waiting for it.
        async_compute_job_timeout: How long a build may wait for a worker, and then how long it may
            take, before it counts as lost.
    """

    ttl: float | Callable[..., Any] | None = DEFAULT_TTL
    jitter: float = 0.0
    stale: float = 0.0
    stale_on_error: float = 0.0
    refresh_ahead: float = 0.0
    negative_ttl: float | None = None
    cache_exceptions: tuple[type[Exception], ...] = ()
    wait: float = DEFAULT_WAIT
    soft_timeout: float | None = None
    hard_timeout: float | None = None
    lease: float = 10.0
    cache_if: Callable[..., Any] | None = None
    cache_unless: Callable[..., Any] | None = None
    unless: Callable[..., Any] | None = None
    copy: bool = False
    tiers: Tiers = "both"
    atomic_writes: AtomicWrites = "at_least_once"
    async_compute: bool = False
    async_compute_job_timeout: float = 300.0

    @property
    def grace(self) -> float:
        """Seconds that an entry is kept after its ttl."""
        return max(self.stale, self.stale_on_error)

    @property
    def is_limited(self) -> bool:
        """Whether callers wait for a computation for a limited time only."""
        return self.soft_timeout is not None or self.hard_timeout is not None

    @property
    def is_plain(self) -> bool:
        """Whether every entry has the same life, so that its end tells when it began."""
        fixed = not callable(self.ttl) and not self.jitter and self.negative_ttl is None
        return fixed and not self.refresh_ahead

    def ttl_of(self, value: Any) -> float | Callable[..., Any] | None:
        """Return the ttl of a result, or the callable that decides."""
        negative = value is None and self.negative_ttl is not None
        return self.negative_ttl if negative else self.ttl

    def lives(self, ttl: float | None) -> tuple[float, float]:
        """Return the soft and the hard life of an entry with this ttl, jitter taken off."""
        if ttl is None:
            return FOREVER, FOREVER
        soft = max(ttl - random.uniform(0.0, self.jitter), ttl / 2) if self.jitter else ttl
        return soft, soft + self.grace if self.stale or self.stale_on_error else soft

    def exception_ttl(self) -> float:
        """Return the life of a cached exception."""
        if self.negative_ttl is not None:
            return self.negative_ttl
        plain = self.ttl if isinstance(self.ttl, (int, float)) else DEFAULT_EXCEPTION_TTL
        return min(plain, DEFAULT_EXCEPTION_TTL)


def make_policy(owner: str, **options: Any) -> Policy:
    """Check options and return the policy; `owner` names the function in errors.

    Raises:
        ConfigurationError: A wrong value, or two options that exclude each other.
    """
    for name in _DURATIONS & options.keys():
        if name != "ttl" or not callable(options[name]):
            options[name] = duration(owner, name, options[name])
    if "cache_exceptions" in options:
        options["cache_exceptions"] = _exception_types(owner, options["cache_exceptions"])
    if options.get("hard_timeout") is not None:  # nobody waits for another's for longer
        options["wait"] = min(options.get("wait", DEFAULT_WAIT), options["hard_timeout"])
    policy = Policy(**options)
    if "async_compute_job_timeout" in options and policy.async_compute is not True:
        raise ConfigurationError(f"{owner}: async_compute_job_timeout= needs async_compute=True")
    _check(owner, policy)
    return policy


def seconds(value: Seconds) -> float:
    """Return a duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def returned_life(owner: str, value: Any) -> float | None:
    """Return in seconds what a callable `ttl` has returned; 0 or less: not to be stored.

    Raises:
        TypeError: It is no duration.
    """
    if value is None:
        return None
    known = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
    if not known or seconds(value) != seconds(value):
        raise TypeError(f"{owner}: ttl returned {value!r} where seconds or a timedelta are needed")
    return min(seconds(value), FOREVER)


_MAY_BE_NONE = {"ttl", "negative_ttl", "soft_timeout", "hard_timeout"}
_POSITIVE = _MAY_BE_NONE | {"lease", "async_compute_job_timeout"}
_DURATIONS = _POSITIVE | {"jitter", "stale", "stale_on_error", "wait"}


def duration(owner: str, name: str, value: Any) -> float | None:
    """Return the option `name` in seconds; None only where it may be.

    Raises:
        ConfigurationError: It is no duration, or too short for this option.
    """
    if name in _MAY_BE_NONE and value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise ConfigurationError(f"{owner}: {name}={value!r} must be seconds or a timedelta")
    length = seconds(value)
    if not length >= 0 or (length == 0 and name in _POSITIVE):
        least = "more than 0 seconds" if name in _POSITIVE else "0 seconds or more"
        raise ConfigurationError(f"{owner}: {name}={value!r} must be {least}")
    return min(length, FOREVER)


def _exception_types(owner: str, value: Any) -> tuple[type[Exception], ...]:
    types = tuple(value) if isinstance(value, Iterable) else (value,)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise ConfigurationError(f"{owner}: cache_exceptions: {kind!r} is no exception type")
    return types


def _check(owner: str, policy: Policy) -> None:
    _check_predicates(owner, policy)
    beta = policy.refresh_ahead
    if type(beta) not in (int, float) or not beta >= 0:
        raise ConfigurationError(f"{owner}: refresh_ahead={beta!r} must be a number, 0 or more")
    for name in ("copy", "async_compute"):
        if not isinstance(chosen := getattr(policy, name), bool):
            raise ConfigurationError(f"{owner}: {name}={chosen!r} must be True or False")
    if policy.tiers not in get_args(Tiers):
        raise ConfigurationError(f"{owner}: tiers={policy.tiers!r}: one of {get_args(Tiers)}")
    if policy.atomic_writes not in get_args(AtomicWrites):
        known = get_args(AtomicWrites)
        raise ConfigurationError(f"{owner}: atomic_writes={policy.atomic_writes!r}: {known}")
    if policy.is_limited:
        _check_limits(owner, policy)
    if policy.atomic_writes == "at_most_once":
        _check_once(owner, policy)


def _check_predicates(owner: str, policy: Policy) -> None:
    if policy.cache_if is not None and policy.cache_unless is not None:
        raise ConfigurationError(f"{owner}: give cache_if or cache_unless, not both")
    for name in ("cache_if", "cache_unless", "unless"):
        predicate = getattr(policy, name)
        if predicate is not None and not callable(predicate):
            raise ConfigurationError(f"{owner}: {name}={predicate!r} must be callable")


def _check_limits(owner: str, policy: Policy) -> None:
    soft, hard = policy.soft_timeout, policy.hard_timeout
    if soft is not None and not policy.stale_on_error:
        raise ConfigurationError(
            f"{owner}: soft_timeout= needs stale_on_error=, which says how old an entry may be "
            "that is served instead of waiting"
        )
    if soft is not None and hard is not None and soft >= hard:
        raise ConfigurationError(
            f"{owner}: soft_timeout={soft:g} must be shorter than hard_timeout={hard:g}"
        )
    if policy.async_compute:
        raise ConfigurationError(
            f"{owner}: with async_compute=True nobody waits: remove soft_timeout= and hard_timeout="
        )


_AGAIN = (
    "stale",
    "stale_on_error",
    "refresh_ahead",
    "cache_if",
    "cache_unless",
    "unless",
    "async_compute",
)


def _check_once(owner: str, policy: Policy) -> None:
    """Refuse what computes again within the life of an entry, or leaves no entry to wait for."""
    why = None
    if others := [name for name in _AGAIN if getattr(policy, name)]:
        why = f"{others[0]} would compute again"
    elif callable(policy.ttl):
        why = "the life must be known before, so ttl cannot be a callable"
    elif policy.tiers == "memory":
        why = 'tiers="memory" is known to this process only, and may evict; use a shared tier'
    if why:
        raise ConfigurationError(f'{owner}: atomic_writes="at_most_once": {why}')


def negated(predicate: Callable[..., Any], asynchronous: bool) -> Callable[..., Any]:
    """Return a predicate that is true where this one is not."""

    async def anot(*args: Any, **kwargs: Any) -> bool:
        return not await predicate(*args, **kwargs)

    return anot if asynchronous else lambda *args, **kwargs: not predicate(*args, **kwargs)


def accepting(
    owner: str, function: Callable[..., Any], signature: inspect.Signature, first: int = 1
) -> Callable[..., Any]:
    """Return `function` such that it may be called with `first` values and then a call's arguments.

    Of the call's arguments it gets those that its own signature names, by name, or all of them
    if it takes `*args, **kwargs`. Decided once, at decoration.

    Raises:
        ConfigurationError: It names an argument that the cached function does not have, or does
            not take the values.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return lambda *args, **_: function(*args[:first])
    kinds = {parameter.kind for parameter in parameters}
    if {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds:
        return function
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(placed) < first and inspect.Parameter.VAR_POSITIONAL not in kinds:
        raise ConfigurationError(
            f"{owner}: {function!r} takes no argument by position, but it is called with one"
        )
    named = [p for p in parameters[first:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    wanted = [p.name for p in named if p.name in signature.parameters]
    for parameter in named:
        if parameter.name not in wanted and parameter.default is parameter.empty:
            raise ConfigurationError(
                f"{owner}: {function!r} wants {parameter.name!r}, which is no argument of {owner};"
                f" its arguments: {list(signature.parameters)}"
            )
    if not wanted:
        return lambda *args, **_: function(*args[:first])

    def by_name(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args[first:], **kwargs)
        bound.apply_defaults()
        return function(*args[:first], **{name: bound.arguments[name] for name in wanted})

    return by_name
