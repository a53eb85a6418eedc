"""`cached_for`: results kept for a stretch of time, in two tiers, as Alan spells it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from math import inf
from typing import Any, Final, Literal, Unpack

from tiercel.caches import Cache
from tiercel.configuration import decorator_for
from tiercel.decorate import OPTIONS
from tiercel.doors.ahead import Ahead
from tiercel.errors import ConfigurationError
from tiercel.keys.call_fields import ObjectKeyField, PrefixKeyField
from tiercel.keys.constructor import KeyConstructor
from tiercel.keys.fields import ArgsKeyField, ConstantKeyField
from tiercel.keys.plan import function_name
from tiercel.methods import rewrapped
from tiercel.options import Caching, Options

MAX_LEVELS: Final = 8
"""How many leading arguments entries can be dropped by (protocol rule 16)."""

SECONDS: Final = {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "seconds": 1.0}

OBJECT_IS_DESTROYED: Final = "object_is_destroyed"
_NOT_GIVEN: Final[Any] = object()


def cached_for(
    *,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    local_ram_cache_only: bool = False,
    shared_redis_cache_only: bool = False,
    expire_when: Literal["object_is_destroyed"] | None = None,
    cache_key_prefix: str | Callable[..., Any] | None = None,
    cache_key_with_func_args: bool = True,
    cache_key_with_full_args: bool = False,
    args_to_ignore: Collection[str] = (),
    async_refresh_every: float | timedelta | None = None,
    async_refresh_args: Iterable[Any] | None = None,
    warmup_on_startup: bool = False,
    cache: str | Cache | None = None,
    **options: Unpack[Options],
) -> Caching:
    """Cache the results of a function for a stretch of time: `@cached_for(minutes=30)`.

    Args:
        days: Added to the other units.
        hours: Likewise.
        minutes: Likewise.
        seconds: Likewise.
        local_ram_cache_only: Keep results in the memory of this process only.
        shared_redis_cache_only: Keep them in the shared tier only.
        expire_when: "object_is_destroyed": results live in the memory of this process, at most as
            long as the function's first argument, which is told from all other objects by its
            identity. No duration is needed then.
        cache_key_prefix: A text, or a callable that gets the function and those arguments of the
            call that it names; what it returns becomes part of the key.
        cache_key_with_func_args: Whether the arguments are part of the key.
        cache_key_with_full_args: Whether entries can be dropped by their leading arguments, with
            `Cache.clear_cached_func_some`; costs one stamp for each of the first eight.
        args_to_ignore: Arguments that are not part of the key; a name that the function does not
            have is pointed out by a warning.
        async_refresh_every: Compute the results again and again, in the background and by one
            process each time; one that fails leaves the old result until that ends.
        async_refresh_args: The arguments of the calls that this is done for, each a tuple, or a
            dict of arguments by name; needed by a function that cannot be called without.
        warmup_on_startup: Compute the results of these calls in the background when the caches
            are configured or first used, once for each deploy: `TIERCEL_DEPLOY` names it, else
            the code of the function does.
        cache: A cache or its name; None: the default cache.
        **options: Those of `Cache.cached`; `ttl` instead of the units.

    Raises:
        ConfigurationError: There is no duration, or options exclude each other.
    """
    units = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
    _check_flags(
        local_ram_cache_only=local_ram_cache_only,
        shared_redis_cache_only=shared_redis_cache_only,
        cache_key_with_func_args=cache_key_with_func_args,
        cache_key_with_full_args=cache_key_with_full_args,
    )
    _check_units(options)
    life = _life(units, options.get("ttl", _NOT_GIVEN), expire_when)
    tiers = _tiers(local_ram_cache_only, shared_redis_cache_only, expire_when)
    if tiers and "tiers" in options:
        raise ConfigurationError("cached_for: tiers= says it all: remove the options besides it")
    key = _KeyChoices(
        cache_key_prefix,
        cache_key_with_func_args,
        cache_key_with_full_args,
        args_to_ignore,
        expire_when is not None,
    )
    key.check()
    ahead = Ahead(async_refresh_every, warmup_on_startup, async_refresh_args)
    ahead.check(life)
    if key.chosen and ("key" in options or "key_constructor" in options):
        raise ConfigurationError("cached_for: key= says all about the key: remove other options")

    def decorate(function: Any) -> Any:
        if isinstance(function, (classmethod, staticmethod)):
            return rewrapped(function, decorate(function.__func__))
        given: dict[str, Any] = {**tiers, **options, "ttl": life}
        calls = ahead.calls(function) if ahead.asked else []
        fields = dict(key.fields(function)) if key.chosen else {}
        if key.chosen:
            # Not an inline constructor: those are remembered, and with them the function.
            given["key"] = type("TimedKey", (KeyConstructor,), fields)
        made = decorator_for(cache).decorate(function, given)
        if expire_when is not None:
            fields["object"].follow(made.cached_function)
        if ahead.asked:
            ahead.begin(made.cached_function, calls)
        return made

    return decorate


def _check_units(options: Mapping[str, Any]) -> None:
    """Point out a misspelt unit, where it would look like no duration at all."""
    for name in sorted(options.keys() - OPTIONS):
        for close in get_close_matches(name, SECONDS, n=1):
            raise ConfigurationError(
                f"cached_for: unknown option {name!r}; did you mean {close!r}?"
            )


def _life(units: dict[str, Any], ttl: Any, expire_when: str | None) -> Any:
    if expire_when not in (None, OBJECT_IS_DESTROYED):
        raise ConfigurationError(
            f"cached_for: expire_when={expire_when!r} must be {OBJECT_IS_DESTROYED!r} or None"
        )
    for name, value in units.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < inf:
            raise ConfigurationError(f"cached_for: {name}={value!r} must be a number, 0 or more")
    together = sum(SECONDS[name] * value for name, value in units.items())
    if ttl is not _NOT_GIVEN:
        if together:
            raise ConfigurationError("cached_for: give ttl= or units such as minutes=, not both")
        return ttl
    if together or expire_when:
        return together or None
    raise ConfigurationError("cached_for: give a duration, such as minutes=30, or ttl=None")


def _check_flags(**flags: Any) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"cached_for: {name}={value!r} must be True or False")


def _tiers(memory_only: bool, shared_only: bool, expire_when: str | None) -> dict[str, str]:
    if memory_only and shared_only:
        raise ConfigurationError(
            "cached_for: local_ram_cache_only and shared_redis_cache_only exclude each other"
        )
    if shared_only and expire_when:
        raise ConfigurationError(
            f"cached_for: expire_when={expire_when!r} keeps results in this process, so "
            "shared_redis_cache_only makes no sense with it"
        )
    if memory_only or expire_when:
        return {"tiers": "memory"}
    return {"tiers": "shared"} if shared_only else {}


@dataclass(frozen=True, slots=True)
class _KeyChoices:
    """What `cached_for` was told about the key."""

    prefix: str | Callable[..., Any] | None
    with_args: bool
    by_argument: bool
    ignored: Collection[str]
    by_identity: bool

    def check(self) -> None:
        """Check what needs no function.

        Raises:
            ConfigurationError: A value cannot work.
        """
        if not (self.prefix is None or isinstance(self.prefix, str) or callable(self.prefix)):
            raise ConfigurationError(
                f"cached_for: cache_key_prefix={self.prefix!r} must be a text or a callable"
            )
        ignored: Any = self.ignored
        named = isinstance(ignored, Collection) and not isinstance(ignored, (str, bytes))
        if not named or not all(isinstance(each, str) for each in ignored):
            raise ConfigurationError(
                f"cached_for: args_to_ignore={ignored!r} must be a list of names of arguments"
            )

    @property
    def chosen(self) -> bool:
        """Whether anything differs from a key of all arguments."""
        plain = self.with_args and not (self.by_argument or self.ignored or self.by_identity)
        return not plain or self.prefix is not None

    def fields(self, function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
        """Yield the key fields for a function, by name."""
        if isinstance(self.prefix, str):
            yield "prefix", ConstantKeyField("prefix", self.prefix)
        elif self.prefix is not None:
            yield "prefix", PrefixKeyField(function, self.prefix)
        names = self._arguments(function)
        receiver = next(iter(inspect.signature(function).parameters), None)
        if self.by_identity and receiver in self.ignored:
            raise ConfigurationError(
                f"{function_name(function)}: args_to_ignore names {receiver!r}, the object whose "
                "results these are"
            )
        if self.by_identity:
            yield "object", ObjectKeyField()
            names = [name for name in names if name != receiver]
        if self.by_argument:
            for level, name in enumerate(names):
                yield f"argument_{name}", ArgsKeyField(name, partition=level < MAX_LEVELS)
        elif names:
            yield "arguments", ArgsKeyField(names)

    def _arguments(self, function: Callable[..., Any]) -> list[str]:
        """Return the arguments that are part of the key."""
        known = list(inspect.signature(function).parameters)
        unknown = sorted(set(self.ignored) - set(known))
        if unknown:
            _warn(f"{function_name(function)}: args_to_ignore names {unknown}; it has {known}")
        if not self.with_args:
            if self.prefix is None and not self.by_identity:
                _warn(f"{function_name(function)}: without arguments in the key it has one entry")
            return known[:1] if self.by_identity else []
        return [name for name in known if name not in self.ignored]


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=5)
