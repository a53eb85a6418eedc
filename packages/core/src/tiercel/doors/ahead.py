"""Calls whose results are computed before anybody asks: again and again, or at the start."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tiercel.cached import CachedFunction
from tiercel.errors import ConfigurationError
from tiercel.keys.plan import function_name
from tiercel.policy import Seconds, duration, seconds
from tiercel.warmup import Arguments, warm_up


@dataclass(frozen=True, slots=True)
class Ahead:
    """What `cached_for` was told about it.

    Attributes:
        every: How often results are computed again; None: not.
        at_start: Whether they are computed when the application starts.
        listed: The arguments of the calls, each a tuple or a dict; None: one call without any.
    """

    every: Seconds | None
    at_start: bool
    listed: Iterable[Any] | None

    def check(self, life: Any) -> None:
        """Check what needs no function.

        Raises:
            ConfigurationError: A value cannot work.
        """
        if not isinstance(self.at_start, bool):
            raise ConfigurationError(
                f"cached_for: warmup_on_startup={self.at_start!r} must be True or False"
            )
        listed: Any = self.listed
        if not isinstance(listed, Iterable | None) or isinstance(listed, str | Mapping):
            raise ConfigurationError(
                f"cached_for: async_refresh_args={listed!r} must be a list of calls, each a "
                "tuple of arguments or a dict of them by name"
            )
        if self.listed is not None and not self.asked:
            raise ConfigurationError(
                "cached_for: async_refresh_args= needs async_refresh_every= or warmup_on_startup="
            )
        if self.every is not None:
            self._check_pace(life)

    def _check_pace(self, life: Any) -> None:
        every = duration("cached_for", "async_refresh_every", self.every)
        if not every:
            raise ConfigurationError("cached_for: async_refresh_every must be more than 0 seconds")
        timed = isinstance(life, (int, float, timedelta)) and not isinstance(life, bool)
        if timed and every >= seconds(life):
            raise ConfigurationError(
                f"cached_for: async_refresh_every={self.every!r} must be shorter than the "
                f"lifetime of {seconds(life):g} seconds, or results end before they are renewed"
            )

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return self.every is not None or self.at_start

    def calls(self, function: Callable[..., Any]) -> list[Arguments]:
        """Return the arguments of the calls, once it is sure that the function takes them.

        Raises:
            ConfigurationError: It does not, or its arguments have to be listed.
        """
        name, signature = function_name(function), inspect.signature(function)
        calls = [_arguments(name, each) for each in ([()] if self.listed is None else self.listed)]
        for args, kwargs in calls:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise ConfigurationError(_refusal(name, self.listed is None, error)) from None
        return calls

    def begin(self, cached: CachedFunction[..., Any, Any], calls: list[Arguments]) -> None:
        """Have them computed from now on."""
        for args, kwargs in calls if self.every is not None else ():
            cached.refresh_every(self.every or 0, *args, **kwargs)
        if self.at_start:
            warm_up(cached, calls)


def _arguments(name: str, given: Any) -> Arguments:
    if isinstance(given, Mapping):
        return (), dict(given)
    if isinstance(given, tuple):
        return given, {}
    raise ConfigurationError(
        f"{name}: async_refresh_args holds {given!r}, which is neither a tuple of arguments nor a "
        "dict of them by name"
    )


def _refusal(name: str, unlisted: bool, error: TypeError) -> str:
    if unlisted:
        return (
            f"{name}: {error}: async_refresh_every and warmup_on_startup call it without "
            "arguments, so list them: async_refresh_args=[(...), {...}]"
        )
    return f"{name}: async_refresh_args: {error}"
