"""While the shared tier cannot be reached: a breaker, and the drops that are still owed."""

from __future__ import annotations

import random
import threading

from tiercel.clock import Clock
from tiercel.contracts.backend import DropKey, DropScopes, Key, Scope
from tiercel.entry import FOREVER
from tiercel.errors import BackendRefused, BackendUnavailable

Drop = DropKey | DropScopes


class Breaker:
    """Makes a dead server cost a comparison instead of a time-out per call.

    Opens after `threshold` failures in a row, lets one probe through after `pause` seconds
    (Nygard, "Release It!"), with jitter so that processes do not probe in step.

    Attributes:
        failures: Failures in a row; while it is 0, nothing needs to be checked.
    """

    def __init__(self, clock: Clock, threshold: int = 3, pause: float = 1.0) -> None:
        self._clock = clock
        self._threshold = threshold
        self._pause = pause
        self.failures = 0
        self._closed_from = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether commands are refused without trying."""
        return self.failures >= self._threshold and self._clock.monotonic() < self._closed_from

    def check(self) -> None:
        """Raise `BackendUnavailable` if open; else let the caller through as a probe."""
        if self.failures < self._threshold:
            return
        if self._clock.monotonic() < self._closed_from:
            raise BackendUnavailable("the shared tier failed a moment ago and is not asked yet")
        self._postpone()

    def failed(self) -> bool:
        """Count a failure; True if this one opened the breaker."""
        self.failures += 1
        if self.failures < self._threshold:
            return False
        self._postpone()
        return self.failures == self._threshold

    def succeeded(self) -> bool:
        """Count a success; True if this one closed the breaker."""
        was_open = self.failures >= self._threshold
        self.failures = 0
        return was_open

    def _postpone(self) -> None:
        self._closed_from = self._clock.monotonic() + self._pause * random.uniform(0.8, 1.2)


class PendingDrops:
    """Drops that the shared tier has not acknowledged, to be issued before anything is read.

    Bounded: beyond `limit` a drop is widened to its whole function.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._owed: dict[str, Drop] = {}

    def __bool__(self) -> bool:
        return bool(self._owed)

    def __len__(self) -> int:
        return len(self._owed)

    def add(self, drop: Drop, function: Scope) -> None:
        """Remember a drop that failed or was not acknowledged in time."""
        with self._lock:
            for name, part in _parts(drop):
                if name in self._owed or len(self._owed) < self._limit:
                    self._owed[name] = part
                else:
                    life = drop.life if isinstance(drop, DropScopes) else FOREVER
                    self._owed[function.name] = DropScopes((function,), life)

    def covers(self, key: Key) -> bool:
        """Tell whether an entry may not be read from the shared tier yet."""
        owed = self._owed
        return bool(owed) and (key.text in owed or any(name in owed for name in key.scopes))

    def owed(self) -> list[tuple[str, Drop]]:
        """Return what has to be issued again, by name."""
        with self._lock:
            return list(self._owed.items())

    def paid(self, name: str, drop: Drop) -> None:
        """Forget a drop that was acknowledged, unless it has been owed anew meanwhile."""
        with self._lock:
            if self._owed.get(name) is drop:
                del self._owed[name]


def unexpected(command: object, error: Exception) -> BackendRefused:
    """Return the error for a backend that broke its promise to raise backend errors only."""
    kind = type(error).__name__
    return BackendRefused(f"the backend failed at {type(command).__name__}: {kind}: {error}")


def _parts(drop: Drop) -> list[tuple[str, Drop]]:
    if isinstance(drop, DropKey):
        return [(drop.key.text, DropKey(drop.key))]
    return [(scope.name, DropScopes((scope,), drop.life, drop.provenance)) for scope in drop.scopes]
