"""How to call an object that stores bytes under text keys, whatever its methods are called."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from tiercel.contracts.key_value import KeyValueStore
from tiercel.errors import BackendRefused, ConfigurationError

Result = TypeVar("Result")

TTL_NAMES = ("ttl", "timeout", "expiry", "expire", "ex", "ttl_seconds")
"""What the parameter of `set` that takes the life in seconds may be called."""

_NAMES = ("get", "get_many", "mget", "set", "delete", "add")


class Call(Struct, frozen=True, gc=False):
    """One call of the object; a driver makes it and resumes with what it returned."""

    method: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = {}


Calls = Generator[Call, Any, Result]
"""A decision about a key-value store: yields calls, returns a `Result`."""


class KeyValueObject:
    """The methods that were found on an object, behind four primitive operations.

    Args:
        target: A `KeyValueStore`, or anything with `get(key)` and `set(key, value)`. Understood
            besides: a ttl parameter of `set`, `delete(key)`, `get_many(keys)` or `mget(keys)`,
            and `add(key, value)` that stores only what is absent.
        mark: What its methods begin with: "a" for the coroutines of an object with both kinds.

    Attributes:
        name: What errors call it.
        asynchronous: Whether any of its methods is a coroutine function, or it says so itself
            by an attribute of this name.
        multi_get: Whether many keys take one call.
        can_add: Whether it can store only what is absent, atomically.
        hides_failures: Whether a write that failed may look like one that was done, as the object
            says itself.
        in_thread: Runs a function that calls plain methods, for async code.

    Raises:
        ConfigurationError: `get` or `set` is missing.
    """

    def __init__(self, target: Any, mark: str = "") -> None:
        exact = isinstance(target, KeyValueStore)
        self.name = repr(target) if exact else type(target).__name__
        self.hides_failures = bool(getattr(target, "hides_failures", False))
        self._get = _method(target, f"{mark}get")
        self._get_many = _method(target, f"{mark}get_many") or _method(target, f"{mark}mget")
        self._delete = _method(target, f"{mark}delete")
        setter, adder = _method(target, f"{mark}set"), _method(target, f"{mark}add")
        if setter is None or (self._get or self._get_many) is None:
            raise ConfigurationError(
                f"{self.name} cannot be a shared tier: it needs the methods get(key) and "
                "set(key, value, ttl)"
            )
        self.in_thread = target.in_thread if exact else asyncio.to_thread
        self._set = _Setter(setter, exact)
        self._add = None if adder is None else _Setter(adder, exact)
        self.multi_get = self._get_many is not None
        self.can_add = adder is not None
        methods = (self._get, self._get_many, self._delete, setter, adder)
        self.asynchronous = bool(getattr(target, "asynchronous", False)) or any(
            inspect.iscoroutinefunction(method) for method in methods
        )

    def get_many(self, keys: Sequence[str]) -> Calls[list[bytes | None]]:
        """Return the bytes, or None, for each key, in order."""
        if self._get_many is not None:
            found = yield Call(self._get_many, (list(keys),))
            return [self._bytes(value) for value in self._in_order(keys, found)]
        assert self._get is not None
        values: dict[str, bytes | None] = {}
        for key in keys:
            values[key] = self._bytes((yield Call(self._get, (key,))))
        return [values[key] for key in keys]

    def set(self, key: str, value: bytes, ttl: float) -> Calls[None]:
        """Store bytes for at most `ttl` seconds, if the object can forget at all."""
        if (yield self._set.call(key, value, ttl)) is False:
            raise BackendRefused(f"{self.name}.set() returned False for {key!r}")

    def add(self, key: str, value: bytes, ttl: float) -> Calls[bool]:
        """Store bytes only if the key is absent; reply whether they were stored."""
        assert self._add is not None
        return bool((yield self._add.call(key, value, ttl)))

    def delete(self, key: str) -> Calls[None]:
        """Remove a key, or overwrite it with nothing where the object cannot remove."""
        if self._delete is None:
            yield from self.set(key, b"", 1.0)
        else:
            yield Call(self._delete, (key,))

    def _in_order(self, keys: Sequence[str], found: Any) -> Sequence[Any]:
        if isinstance(found, Mapping):
            return [found.get(key) for key in keys]
        values = list(found)
        if len(values) != len(keys):
            raise BackendRefused(
                f"{self.name} was asked for {len(keys)} keys and replied with {len(values)} values"
            )
        return values

    def _bytes(self, value: Any) -> bytes | None:
        if value is None or isinstance(value, bytes):
            return value
        if isinstance(value, (bytearray, memoryview)):
            return bytes(value)
        raise BackendRefused(
            f"{self.name} returned {type(value).__name__} where bytes were stored: "
            "switch off its decoding"
        )


class _Setter:
    """`set` or `add`, with the life passed the way its signature asks for."""

    def __init__(self, method: Callable[..., Any], exact: bool) -> None:
        self._method = method
        self._exact = exact
        self._keyword, self._third = ("", True) if exact else _ttl_parameter(method)

    def call(self, key: str, value: bytes, ttl: float) -> Call:
        # Whole seconds, rounded up, are what every client accepts; the stored life is exact.
        life = ttl if self._exact else max(1, math.ceil(ttl))
        if self._keyword:
            return Call(self._method, (key, value), {self._keyword: life})
        return Call(self._method, (key, value, life) if self._third else (key, value))


def has_twins(target: Any) -> bool:
    """Whether an object has each of its plain methods as a coroutine with `a` in front, too."""
    plain = [name for name in _NAMES if _method(target, name) is not None]
    return bool(plain) and all(
        not inspect.iscoroutinefunction(getattr(target, name))
        and inspect.iscoroutinefunction(getattr(target, f"a{name}", None))
        for name in plain
    )


def _method(target: Any, name: str) -> Callable[..., Any] | None:
    method = getattr(target, name, None)
    return method if callable(method) else None


def _ttl_parameter(method: Callable[..., Any]) -> tuple[str, bool]:
    """Return the name of the ttl parameter, or whether the third position is one."""
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return "", False
    for name in TTL_NAMES:
        if name in parameters and parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY:
            return name, False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return "", sum(p.kind in positional for p in parameters.values()) > 2
