"""Keeping leases alive while their holders compute for long (protocol rule 5)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from msgspec import Struct

from tiercel.clock import Clock
from tiercel.contracts.backend import Key, Renew
from tiercel.engine.effects import Steps
from tiercel.errors import BackendError

log = logging.getLogger("tiercel.keeper")

TICK = 0.5
"""Seconds between two looks at what is due."""


class Kept(Struct):
    """A lease that this process holds.

    Attributes:
        key: What it is the lease of.
        lease: Seconds that it lives after each renewal.
        due: Monotonic time of the next renewal.
    """

    key: Key
    lease: float
    due: float


class Keeper:
    """Renews leases a third of their life after they were taken, until they are given up.

    A lease that could not be renewed is left alone: its fill will be refused.
    """

    def __init__(self, clock: Clock, run: Callable[[Steps[None]], None]) -> None:
        self._clock = clock
        self._run = run
        self._kept: dict[bytes, Kept] = {}
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def keep(self, token: bytes, key: Key, lease: float) -> None:
        """Renew this lease until `release`."""
        self._kept[token] = Kept(key, lease, self._clock.monotonic() + lease / 3)
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def release(self, token: bytes) -> None:
        """Stop renewing it."""
        self._kept.pop(token, None)

    def renew(self) -> Steps[None]:
        """Renew what is due."""
        now = self._clock.monotonic()
        for token, kept in list(self._kept.items()):
            if kept.due <= now:
                if not (yield Renew(kept.key, token, kept.lease)):
                    self.release(token)
                kept.due = now + kept.lease / 3

    def forget(self) -> None:
        """Start anew after a fork: the leases belong to the parent."""
        self._kept = {}
        self._thread = None
        self._starting = threading.Lock()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._tick, name="tiercel-keeper", daemon=True
                )
                self._thread.start()

    def _tick(self) -> None:
        pause = threading.Event()
        while not pause.wait(TICK):
            if not self._kept:
                continue
            try:
                self._run(self.renew())
            except BackendError as error:
                log.debug("leases could not be renewed: %s", error)
