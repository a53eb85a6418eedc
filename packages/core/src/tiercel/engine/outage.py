"""While the shared tier cannot be reached: a breaker, and the drops that are still owed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice

from tiercel.clock import Clock
from tiercel.contracts.backend import DropScopes, Key, Scope
from tiercel.contracts.reversal import Replay
from tiercel.engine.effects import Steps
from tiercel.engine.journal import Drop, Journal, merged, parts
from tiercel.entry import FOREVER
from tiercel.errors import BackendRefused, BackendUnavailable

Owed = tuple[str, Drop]
"""A drop, and the name of the key or scope that it is about."""

BATCH = 100
"""Owed drops that one caller issues before it goes on; the keeper issues the rest."""


class BreakerOpen(BackendUnavailable):
    """The shared tier was not asked, since it failed a moment ago."""


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
        self._lock = threading.Lock()
        self.failures = 0
        self._closed_from = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether commands are refused without trying."""
        return self.failures >= self._threshold and self._clock.monotonic() < self._closed_from

    def check(self) -> None:
        """Raise `BreakerOpen` if open; else let the caller through, as a probe after the pause."""
        if self.failures < self._threshold:
            return
        with self._lock:
            if self._clock.monotonic() < self._closed_from:
                raise BreakerOpen("the shared tier failed a moment ago and is not asked yet")
            self._postpone()

    def failed(self) -> bool:
        """Count a failure; True if this one opened the breaker."""
        with self._lock:
            self.failures += 1
            if self.failures < self._threshold:
                return False
            self._postpone()
            return self.failures == self._threshold

    def succeeded(self) -> bool:
        """Count a success; True if this one closed the breaker."""
        with self._lock:
            was_open = self.failures >= self._threshold
            self.failures = 0
        return was_open

    def renew_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._lock = threading.Lock()

    def _postpone(self) -> None:
        self._closed_from = self._clock.monotonic() + self._pause * random.uniform(0.8, 1.2)


class PendingDrops:
    """Drops that the shared tier has not acknowledged, to be issued before anything is read.

    Bounded: beyond `limit` a drop is widened to its whole function. Tags cannot be widened.

    Attributes:
        journal: What was acknowledged lately; None where acknowledged drops cannot get lost.
        reversals: Changes when the shared tier is found in an earlier state, before what it may
            have lost is owed and once more after that. Who has asked it anything in between does
            not know by which state it was answered.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._owed: dict[str, Drop] = {}
        self.journal: Journal | None = None
        self.reversals = 0
        self.renew_after_fork()

    def __bool__(self) -> bool:
        return bool(self._owed)

    def __len__(self) -> int:
        return len(self._owed)

    def add(self, drop: Drop, function: Scope) -> None:
        """Remember a drop that failed or was not acknowledged in time."""
        with self._lock:
            for name, part in parts(drop):
                if name not in self._owed and len(self._owed) >= self._limit:
                    name, part = _widened(name, part, function)
                self._owed[name] = part

    def owe_again(self) -> int:
        """Owe what was dropped lately, as the shared tier may have lost it; return how much."""
        if self.journal is None:
            return 0
        with self._lock:
            self.reversals += 1
            lost = self.journal.recall()
            for name, drop in lost.items():
                self._owed[name] = merged(self._owed.get(name), drop)
            self.reversals += 1
        return len(lost)

    def note(self, drop: Drop) -> None:
        """Note a drop before it is sent, in case it gets lost after it was acknowledged."""
        if self.journal is not None:
            self.journal.note(drop)

    def check(self, reversals: int) -> None:
        """Raise `BackendUnavailable` unless `reversals` is the same as it was."""
        if self.reversals != reversals:
            raise BackendUnavailable("the shared tier came back in an earlier state meanwhile")

    def among(self, names: Iterable[str]) -> list[Drop]:
        """Return the drops that are owed under these names of keys and scopes."""
        owed = self._owed
        return [owed[name] for name in names if name in owed] if owed else []

    def covers(self, key: Key) -> bool:
        """Tell whether an entry may not be read from the shared tier yet."""
        owed = self._owed
        return bool(owed) and (key.text in owed or any(name in owed for name in key.scopes))

    def bar(self, key: Key) -> None:
        """Raise `BackendUnavailable` if an entry may not be read from the shared tier yet."""
        if self.covers(key):
            raise BackendUnavailable("a drop of this entry is not acknowledged yet")

    @contextmanager
    def _claim(self) -> Iterator[list[Owed]]:
        """Yield what has to be issued now; nothing while another caller is at it."""
        if not self._claimed.acquire(blocking=False):
            yield []
            return
        try:
            with self._lock:
                batch = list(islice(self._owed.items(), BATCH))
            yield batch
        finally:
            self._claimed.release()

    def settle(self) -> Steps[int]:
        """Issue some of what is owed; return how many drops were acknowledged.

        Raises:
            BackendUnavailable: One was not acknowledged again; it stays owed.
        """
        paid = 0
        with self._claim() as batch:
            for drop, owed in _bundled(batch):
                reversals = self.reversals
                self.note(drop)
                try:
                    yield drop
                    self.check(reversals)
                except BackendRefused:
                    self._postpone(owed)
                else:
                    self._forget(owed)
                    paid += len(owed)
        return paid

    def _forget(self, owed: Sequence[Owed]) -> None:
        """Owe drops no longer, unless they have been owed anew meanwhile."""
        with self._lock:
            for name, drop in owed:
                if self._owed.get(name) is drop:
                    del self._owed[name]

    def _postpone(self, owed: Sequence[Owed]) -> None:
        """Put drops that were refused behind the others."""
        with self._lock:
            for name, _ in owed:
                if name in self._owed:
                    self._owed[name] = self._owed.pop(name)

    def renew_after_fork(self) -> None:
        """Replace the locks, which other threads of the parent may have held."""
        self._lock = threading.Lock()
        self._claimed = threading.Lock()
        if self.journal is not None:
            self.journal.renew_after_fork()


def unexpected(command: object, error: Exception) -> BackendRefused:
    """Return the error for a backend that broke its promise to raise backend errors only."""
    kind = type(error).__name__
    return BackendRefused(f"the backend failed at {type(command).__name__}: {kind}: {error}")


def _widened(name: str, part: Drop, function: Scope) -> tuple[str, Drop]:
    """Return a drop of the whole function, if the given one is of a part of it."""
    head = function.name.rpartition("!")[0]
    if not name.startswith(f"{head}:"):
        return name, part
    life = part.life if isinstance(part, DropScopes) else FOREVER
    return function.name, DropScopes((function,), life)


def _bundled(batch: Sequence[Owed]) -> Iterator[tuple[Drop, Sequence[Owed]]]:
    """Have what was announced in the same channels dropped by one command."""
    for channels, group in groupby(batch, lambda owed: getattr(owed[1], "channels", ())):
        owed = list(group)
        if channels:
            yield Replay(channels, tuple([name for name, _ in owed])), owed
        else:
            for each in owed:
                yield each[1], [each]
