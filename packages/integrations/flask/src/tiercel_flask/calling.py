"""What stands in place of a function that `cached` or `memoize` decorates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from blinker import NamedSignal

from tiercel_flask.config import seconds_of
from tiercel_flask.state import current_state, find_state

Face = Any
"""A cached function; `P`, `R` and `T` of it are those of whatever was decorated."""


@dataclass(frozen=True, slots=True)
class Decorating:
    """What `cached` and `memoize` are both told; `Tiercel.cached` says what it means."""

    sender: Any
    timeout: Any
    unless: Callable[..., Any] | None
    forced_update: Callable[..., Any] | None
    is_stale: Callable[..., Any] | None
    response_filter: Callable[[Any], Any] | None
    cache_none: bool
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse now what the first call would stumble over."""
        if not callable(self.timeout):
            seconds_of("timeout", self.timeout)

    def calling(
        self,
        choose: Callable[[], Face | None],
        hit: NamedSignal,
        miss: NamedSignal,
        about: Mapping[str, Any],
    ) -> Calling:
        """Return how calls are carried out."""
        forced = lenient(self.forced_update)
        return Calling(self.sender, choose, forced, self.is_stale, hit, miss, about)

    def common(self, made: Callable[[], Any]) -> dict[str, Any]:
        """Return the options that do not depend on what is decorated.

        Args:
            made: Returns what stands in place of the function.
        """
        return {"ttl": life("timeout", made), "unless": lenient(self.unless)}

    def keeping(self) -> Callable[[Any], bool]:
        """Return what says whether a result is kept."""
        cache_none, wanted = self.cache_none, self.response_filter

        def keep(result: Any) -> bool:
            if result is None and not cache_none:
                return False
            return wanted is None or bool(wanted(result))

        return keep


@dataclass(frozen=True, slots=True)
class Calling:
    """How calls are carried out.

    Attributes:
        sender: Whose signals these are.
        choose: Returns the cached function that serves a call; None: none does.
        forced_update: Tells whether to compute anew.
        is_stale: Tells whether a value from the cache is to be computed anew.
        hit: Sent when the cache answered.
        miss: Sent when it did not.
        about: What is sent besides.
    """

    sender: Any
    choose: Callable[[], Face | None]
    forced_update: Callable[..., Any] | None
    is_stale: Callable[..., Any] | None
    hit: NamedSignal
    miss: NamedSignal
    about: Mapping[str, Any]

    def is_forced(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether this call must compute anew."""
        return self.forced_update is not None and bool(self.forced_update(*args, **kwargs))

    def is_watched(self) -> bool:
        """Whether it matters how a call is served."""
        if self.is_stale is not None:
            return True
        state = find_state()
        return state is not None and state.signals

    def finds_stale(self, value: Any) -> bool:
        """Whether a value from the cache is to be computed anew."""
        return self.is_stale is not None and bool(self.is_stale(value))

    def tell(
        self,
        metadata: Mapping[str, Any],
        hit: bool,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        """Send the signal of a call."""
        state = find_state()
        if state is not None and state.signals:
            signal = self.hit if hit else self.miss
            about = {**self.about, "args": args, "kwargs": kwargs}
            signal.send(self.sender, cache_key=metadata["key"], **about)


def in_place_of(function: Callable[..., Any], calling: Calling) -> Any:
    """Return a function that carries out calls of another one."""
    make = _coroutine if inspect.iscoroutinefunction(function) else _plain
    made: Any = make(function, calling)
    made.uncached = function
    return made


def _plain(function: Callable[..., Any], calling: Calling) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        face = calling.choose()
        if face is None:
            return function(*args, **kwargs)
        if calling.is_forced(args, kwargs):
            return face.refresh(*args, **kwargs)
        if not calling.is_watched():
            return face(*args, **kwargs)
        value, metadata = face.get_with_metadata(*args, **kwargs)
        hit = was_hit(metadata)
        if hit and calling.finds_stale(value):
            value, hit = face.refresh(*args, **kwargs), False
        calling.tell(metadata, hit, args, kwargs)
        return value

    return call


def _coroutine(function: Callable[..., Any], calling: Calling) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        face = calling.choose()
        if face is None:
            return await function(*args, **kwargs)
        if calling.is_forced(args, kwargs):
            return await face.arefresh(*args, **kwargs)
        if not calling.is_watched():
            return await face(*args, **kwargs)
        value, metadata = await face.aget_with_metadata(*args, **kwargs)
        hit = was_hit(metadata)
        if hit and calling.finds_stale(value):
            value, hit = await face.arefresh(*args, **kwargs), False
        calling.tell(metadata, hit, args, kwargs)
        return value

    return call


def was_hit(metadata: Mapping[str, Any]) -> bool:
    """Tell whether the cache answered a call."""
    return metadata["cache_status"] in ("HIT", "STALE")


def lenient(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return a callable that may be given more than it takes: it then gets nothing."""
    if function is None:
        return None
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function
    if signature.parameters:
        return function
    return lambda *args, **kwargs: function()


def life(owner: str, made: Callable[[], Any]) -> Callable[[Any], float | None]:
    """Return what says how long a result is kept: the timeout of what was made, or the default."""

    def seconds(result: Any) -> float | None:
        timeout = made().cache_timeout
        if callable(timeout):
            timeout = timeout(result)
        if timeout is None:
            return current_state().default_timeout
        return seconds_of(owner, timeout)

    return seconds
