"""The contract of the smallest shared tier: bytes under text keys."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any


class KeyValueStore(ABC):
    """The smallest thing that can be a shared tier: bytes under text keys.

    Promise: what one process stored and was told so, every process reads. An entry may vanish at
    any time. `asynchronous` stores implement the methods as coroutines. A store may have both
    kinds: then the coroutines are called `aget_many`, `aset`, `adelete` and, with `add`, `aadd`.
    Errors name it by its `repr`.

    Attributes:
        asynchronous: Whether its methods are coroutines.
        hides_failures: Whether a write that failed may look like one that was done. Drops are then
            read back.
    """

    asynchronous: bool = False
    hides_failures: bool = False

    def __repr__(self) -> str:
        return type(self).__name__

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> Any:
        """Return the bytes, or None, for each key, in order."""

    @abstractmethod
    def set(self, key: str, value: bytes, ttl: float) -> Any:
        """Store bytes for at most `ttl` seconds."""

    @abstractmethod
    def delete(self, key: str) -> Any:
        """Remove a key, whether or not it is there. Raise if that failed."""

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function that calls plain methods, for async code; by default in any thread."""
        return await asyncio.to_thread(function, *args)

    add: Callable[[str, bytes, float], Any] | None = None
    """Store bytes for at most `ttl` seconds if there are none, atomically; None if it cannot.

    `add(key, value, ttl) -> bool` leaves alone what is there, and replies whether it has stored.
    """
