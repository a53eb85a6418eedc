"""Values set by hand, with the methods and the timeouts that Flask-Caching and cachelib have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tiercel.spi import BackendError
from tiercel_flask.config import seconds_of

Timeout = float | timedelta | None

ATTEMPTS = 100
"""How often `inc` gives way to others who start the same integer."""


class ValueMethods(ABC):
    """Get and set values by key.

    A timeout is seconds or a timedelta; None: the default one; 0: without end. No method raises
    because of the shared tier: while that does not answer, the cache looks empty.
    """

    @property
    @abstractmethod
    def _values(self) -> Any:
        """The cache, or the space of one, that holds them."""

    @abstractmethod
    def _default_life(self) -> float | None:
        """Seconds that a value is kept where nobody says; None: without end."""

    def _dumped(self, value: Any) -> Any:
        """Return what is stored for a value."""
        return value

    def _loaded(self, stored: Any) -> Any:
        """Undo `_dumped`."""
        return stored

    def get(self, key: str) -> Any:
        """Return the value of a key; None if it has none."""
        found = self._values.get(key)
        return None if found is None else self._loaded(found)

    def get_many(self, *keys: str) -> list[Any]:
        """Return the value of each key, None for those that have none, in one round trip."""
        found = self._values.get_many(keys)
        return [self._loaded(found[key]) if key in found else None for key in keys]

    def get_dict(self, *keys: str) -> dict[str, Any]:
        """Do what `get_many` does; return the values by their keys."""
        return dict(zip(keys, self.get_many(*keys), strict=True))

    def has(self, key: str) -> bool:
        """Tell whether a key has a value."""
        return bool(self._values.has(key))

    def set(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Set the value of a key; False if the shared tier did not take it."""
        return bool(self._values.set(key, self._dumped(value), self._life(timeout)))

    def add(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Set the value of a key that has none; tell whether it was set."""
        return bool(self._values.add(key, self._dumped(value), self._life(timeout)))

    def set_many(self, mapping: Mapping[str, Any], timeout: Timeout = None) -> list[str]:
        """Set several values; return the keys that were set."""
        stored = {key: self._dumped(value) for key, value in mapping.items()}
        refused = set(self._values.set_many(stored, self._life(timeout)))
        return [key for key in mapping if key not in refused]

    def delete(self, key: str) -> bool:
        """Remove the value of a key; tell whether there was one, as far as is known."""
        return bool(self._values.delete(key))

    def delete_many(self, *keys: str) -> list[str]:
        """Remove the values of several keys; return those that have none any more."""
        self._values.delete_many(keys)
        return list(keys)

    def clear(self) -> bool:
        """Remove all values, at the cost of one write."""
        self._values.clear()
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to an integer and return the sum; without one it starts at 0.

        No concurrent addition is lost. None: the shared tier does not answer.
        """
        for _ in range(ATTEMPTS):
            try:
                return int(self._values.incr(key, delta))
            except KeyError:
                if self._values.add(key, delta, self._life(None)):
                    return delta
            except BackendError:
                break
        return None

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Subtract from an integer; else as `inc`."""
        return self.inc(key, -delta)

    def _life(self, timeout: Timeout) -> float | None:
        return self._default_life() if timeout is None else seconds_of("timeout", timeout)
