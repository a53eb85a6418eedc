"""Values of a cache that are set by hand, as steps of the engine."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tiercel.cached import CachedFunction
from tiercel.contracts.backend import Scope
from tiercel.dispatch.task import running_loop
from tiercel.engine.drop import drop_key, drop_scopes
from tiercel.engine.effects import Gather, Steps
from tiercel.engine.manual import add, put, update
from tiercel.engine.peek import peek, peek_many
from tiercel.engine.read import fetch
from tiercel.engine.state import Call
from tiercel.keys.constructor import KeyConstructor
from tiercel.keys.fields import ArgsKeyField
from tiercel.outcomes import value_of
from tiercel.policy import Seconds, Tiers, duration, make_policy
from tiercel.settings import Home, Settings

MISSED: Final = object()
"""What `Values.recall` returns where memory alone cannot tell."""


class ValueKey(KeyConstructor):
    """The key of a value that is set by hand."""

    key = ArgsKeyField("key")


def _make(key: Any, default: Any, life: float | None) -> Any:
    """Return a default value, or what calling it returns; a coroutine where a loop runs."""
    value = default() if callable(default) else default
    if inspect.iscoroutine(value) and running_loop() is None:
        return asyncio.run(value)
    return value


class _Remembering(CachedFunction[Any, Any, Any]):
    """A cached function whose calls are served from memory or not at all."""

    def _serve(self, /, *args: Any, **kwargs: Any) -> Any:
        return MISSED


class Values:
    """What is set by hand, kept like the results of a function of the key.

    Args:
        home: The cache.
        name: Stands in their keys; those of functions have a colon, so this has none.
        codec: Instead of the codec of the cache.
        tiers: Which tiers hold them.

    Attributes:
        recall: Called with the key and two more, which do not matter; returns the value if a hit
            in memory needs no second look, else `MISSED`.
    """

    def __init__(
        self,
        home: Home,
        name: str = "values",
        codec: str | None = None,
        tiers: Tiers = "both",
    ) -> None:
        policy = make_policy(name, ttl=lambda result, life: life, tiers=tiers)
        settings = Settings(ValueKey, policy, name=name, codec=codec)
        self._function = _Remembering(_make, settings, lambda: home)
        self.recall: Callable[[Any, None, None], Any] = self._function.hit_path.function

    def get(self, key: Any, default: Any) -> Steps[Any]:
        """The value, or `default`."""
        present = yield from peek(self._function.subject, self._call(key))
        return default if present is None else present.value

    def has(self, key: Any) -> Steps[bool]:
        """Whether there is a value."""
        return (yield from peek(self._function.subject, self._call(key))) is not None

    def set(self, key: Any, value: Any, ttl: Seconds | None) -> Steps[bool]:
        """Set it."""
        return (yield from put(self._function.subject, self._call(key), value, _life(ttl)))

    def add(self, key: Any, value: Any, ttl: Seconds | None) -> Steps[bool]:
        """Set it unless there is one."""
        return (yield from add(self._function.subject, self._call(key), value, _life(ttl)))

    def delete(self, key: Any) -> Steps[bool]:
        """Remove it."""
        return (yield from drop_key(self._function.subject, self._call(key)))

    def touch(self, key: Any, ttl: Seconds | None) -> Steps[bool]:
        """Give it a new life."""
        subject, call, life = self._function.subject, self._call(key), _life(ttl)
        present, _ = yield from update(subject, call, lambda value: value, lambda left: life)
        return present

    def incr(self, key: Any, delta: int) -> Steps[int]:
        """Add to it."""
        subject, call = self._function.subject, self._call(key)
        present, total = yield from update(subject, call, lambda value: value + delta)
        if not present:
            raise KeyError(key)
        result: int = total
        return result

    def get_or_set(self, key: Any, default: Any, ttl: Seconds | None) -> Steps[Any]:
        """Get it, or set and return a default."""
        call = self._function.call((key, default, _life(ttl)), {})
        return value_of((yield from fetch(self._function.subject, call)))

    def get_many(self, keys: Sequence[Any]) -> Steps[dict[Any, Any]]:
        """Those of several keys that have one."""
        calls = [self._call(key) for key in keys]
        found = yield from peek_many(self._function.subject, calls)
        return {key: each.value for key, each in zip(keys, found, strict=True) if each is not None}

    def set_many(self, values: Mapping[Any, Any], ttl: Seconds | None) -> Steps[list[Any]]:
        """Set several; the keys that were not taken."""
        stored = yield Gather([self.set(key, value, ttl) for key, value in values.items()])
        return [key for key, taken in zip(values, stored, strict=True) if not taken]

    def delete_many(self, keys: Sequence[Any]) -> Steps[None]:
        """Remove several."""
        yield Gather([self.delete(key) for key in keys])

    def clear(self) -> Steps[None]:
        """Remove all."""
        yield from drop_scopes(self._function.subject, self._function.plan.scope())

    def drop(self, *scopes: Scope) -> Steps[None]:
        """Drop scopes that are not those of one function."""
        yield from drop_scopes(self._function.subject, *scopes)

    def _call(self, key: Any) -> Call:
        return self._function.call((key, None, None), {})


def _life(ttl: Seconds | None) -> float | None:
    return duration("a value set by hand", "ttl", ttl)
