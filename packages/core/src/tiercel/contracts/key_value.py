"""The contract of the smallest shared tier: bytes under text keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any


class KeyValueStore(ABC):
    """The smallest thing that can be a shared tier: bytes under text keys.

    Promise: what one process stored and was told so, every process reads. An entry may vanish at
    any time. `asynchronous` stores implement the methods as coroutines.
    """

    asynchronous: bool = False

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> Any:
        """Return the bytes, or None, for each key, in order."""

    @abstractmethod
    def set(self, key: str, value: bytes, ttl: float) -> Any:
        """Store bytes for at most `ttl` seconds."""

    @abstractmethod
    def delete(self, key: str) -> Any:
        """Remove a key, whether or not it is there. Raise if that failed."""

    add: Callable[[str, bytes, float], Any] | None = None
    """`add(key, value, ttl) -> bool`: store only if absent, atomically; None if it cannot."""
