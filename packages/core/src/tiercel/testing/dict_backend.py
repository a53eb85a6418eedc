"""The smallest shared tier a user might bring: an object with `get`, `set` and `delete`."""

from __future__ import annotations

from tiercel.clock import SYSTEM_CLOCK, Clock


class DictBackend:
    """Bytes in a dict. It knows nothing of Tiercel; `engine.keyvalue.adapt` makes a backend of it.

    Args:
        clock: Decides what has expired.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self.cells: dict[str, tuple[bytes, float]] = {}

    def get(self, key: str) -> bytes | None:
        """Return the bytes under `key`, or None."""
        value, deadline = self.cells.get(key, (None, 0.0))
        return value if self._clock.monotonic() < deadline else None

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store `value` for `ttl` seconds."""
        self.cells[key] = (value, self._clock.monotonic() + ttl)

    def delete(self, key: str) -> None:
        """Forget `key`."""
        self.cells.pop(key, None)
