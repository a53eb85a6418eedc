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
AtomicWrites = Literal["at_least_once"]
DEFAULT_TTL = 3600.0
DEFAULT_EXCEPTION_TTL = 30.0


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
        lease: After how long a silent holder of a lease is taken for dead.
        cache_if: Stores the result only if this returns true.
        cache_unless: Stores the result unless this returns true.
        unless: Called with the function and its arguments; true bypasses the cache.
        copy: Hand out copies of values in memory instead of the shared objects.
        tiers: Which tiers hold the entries.
        atomic_writes: What concurrent cold callers are promised.
    """

    ttl: float | Callable[..., Any] | None = DEFAULT_TTL
    jitter: float = 0.0
    stale: float = 0.0
    stale_on_error: float = 0.0
    refresh_ahead: float = 0.0
    negative_ttl: float | None = None
    cache_exceptions: tuple[type[Exception], ...] = ()
    wait: float = 30.0
    lease: float = 10.0
    cache_if: Callable[..., Any] | None = None
    cache_unless: Callable[..., Any] | None = None
    unless: Callable[..., Any] | None = None
    copy: bool = False
    tiers: Tiers = "both"
    atomic_writes: AtomicWrites = "at_least_once"

    @property
    def grace(self) -> float:
        """Seconds that an entry is kept after its ttl."""
        return max(self.stale, self.stale_on_error)

    @property
    def is_plain(self) -> bool:
        """Whether every entry has the same life, so that its end tells when it began."""
        fixed = not callable(self.ttl) and not self.jitter and self.negative_ttl is None
        return fixed and not self.refresh_ahead

    def lives(self, ttl: float | None) -> tuple[float, float]:
        """Return the soft and the hard life of an entry with this ttl, jitter taken off."""
        if ttl is None:
            return FOREVER, FOREVER
        soft = max(ttl - random.uniform(0.0, self.jitter), ttl / 2) if self.jitter else ttl
        return soft, soft + self.grace

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
    policy = Policy(**options)
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


_POSITIVE = {"ttl", "negative_ttl", "lease"}
_DURATIONS = _POSITIVE | {"jitter", "stale", "stale_on_error", "wait"}


def duration(owner: str, name: str, value: Any) -> float | None:
    """Return the option `name` in seconds; None only where it may be.

    Raises:
        ConfigurationError: It is no duration, or too short for this option.
    """
    if name in {"ttl", "negative_ttl"} and value is None:
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
    if policy.cache_if is not None and policy.cache_unless is not None:
        raise ConfigurationError(f"{owner}: give cache_if or cache_unless, not both")
    for name in ("cache_if", "cache_unless", "unless"):
        predicate = getattr(policy, name)
        if predicate is not None and not callable(predicate):
            raise ConfigurationError(f"{owner}: {name}={predicate!r} must be callable")
    beta = policy.refresh_ahead
    if type(beta) not in (int, float) or not beta >= 0:
        raise ConfigurationError(f"{owner}: refresh_ahead={beta!r} must be a number, 0 or more")
    if not isinstance(policy.copy, bool):
        raise ConfigurationError(f"{owner}: copy={policy.copy!r} must be True or False")
    if policy.tiers not in get_args(Tiers):
        raise ConfigurationError(f"{owner}: tiers={policy.tiers!r}: one of {get_args(Tiers)}")
    if policy.atomic_writes not in get_args(AtomicWrites):
        known = get_args(AtomicWrites)
        raise ConfigurationError(f"{owner}: atomic_writes={policy.atomic_writes!r}: {known}")


def accepting(
    owner: str, function: Callable[..., Any], signature: inspect.Signature, first: int = 1
) -> Callable[..., Any]:
    """Return `function` such that it may be called with `first` values and then a call's arguments.

    Of the call's arguments it gets those that its own signature names, by name, or all of them
    if it takes `*args, **kwargs`. Decided once, at decoration.

    Raises:
        ConfigurationError: It names an argument that the cached function does not have.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return lambda *args, **_: function(*args[:first])
    kinds = {parameter.kind for parameter in parameters}
    if {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds:
        return function
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
