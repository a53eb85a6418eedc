"""What is done for the shared tier in the background: leases kept alive or given back (protocol
rule 5), and drops issued that it has not acknowledged (rule 8).
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tiercel.clock import Clock
from tiercel.contracts.backend import STAMP_BYTES, Key, Release, Renew
from tiercel.engine.effects import Steps
from tiercel.engine.outage import PendingDrops
from tiercel.errors import BackendError

log = logging.getLogger("tiercel.keeper")

TICK = 0.5
"""Seconds between two looks at what is due, where no lease is shorter than three of them."""


TOKENS = 64
"""Random tokens that are drawn at once."""


class Kept(Struct):
    """A lease that this process holds.

    Attributes:
        key: What it is the lease of.
        lease: Seconds that it lives after each renewal.
        due: Monotonic time of the next renewal.
        claim: Seconds that its claim lives after each renewal; 0: it has none.
        until: Monotonic time from which it is left to expire.
    """

    key: Key
    lease: float
    due: float
    claim: float = 0.0
    until: float = math.inf


class Keeper:
    """Renews leases a third of their life after they were taken, until they are given up.

    A lease that could not be renewed is left alone: its fill will be refused.
    """

    def __init__(
        self,
        clock: Clock,
        run: Callable[[Steps[Any]], Any],
        pending: PendingDrops | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            clock: Tells when renewals are due.
            run: Carries out steps.
            pending: The drops that are owed.
        """
        self._clock = clock
        self._run = run
        self._pending = PendingDrops() if pending is None else pending
        self._pause = TICK
        self._kept: dict[bytes, Kept] = {}
        self._tokens: list[bytes] = []
        self._unwanted: deque[tuple[float, Release]] = deque()
        self._disowned: dict[bytes, float] = {}
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._called = threading.Event()
        self._closed = threading.Event()

    def token(self) -> bytes:
        """Return a token for a lease, so that it can be given back even without an answer."""
        try:
            return self._tokens.pop()
        except IndexError:
            size = STAMP_BYTES
            drawn = os.urandom(size * TOKENS)
            self._tokens += [drawn[at : at + size] for at in range(size, len(drawn), size)]
            return drawn[:size]

    def keep(
        self, token: bytes, key: Key, lease: float, claim: float = 0.0, until: float = math.inf
    ) -> None:
        """Renew this lease, and the claim that goes with it, until `release`, or that time."""
        third = lease / 3
        if third < self._pause:
            self._pause = third
        self._kept[token] = Kept(key, lease, self._clock.monotonic() + third, claim, until)
        if not self._called.is_set():
            self.attend()

    def release(self, token: bytes) -> None:
        """Stop renewing it."""
        self._kept.pop(token, None)

    def give_back(self, token: bytes, key: Key, lease: float, claim: float = 0.0) -> None:
        """Release a lease as soon as the shared tier can be asked, unless it has expired then.

        Args:
            token: The lease.
            key: What it is the lease of.
            lease: Seconds until it expires.
            claim: Seconds until the claim expires that goes, too, as nothing was computed; or 0.
        """
        now, lease = self._clock.monotonic(), max(lease, claim)
        self._disowned = {each: until for each, until in self._disowned.items() if now < until}
        self._disowned[token] = now + lease
        self._unwanted.append((now + lease, Release(key, token, claim > 0)))
        self.attend()

    def has_disowned(self, token: bytes) -> bool:
        """Tell whether a lease was given back lately, though perhaps without effect yet."""
        return token in self._disowned

    def attend(self) -> None:
        """See to what is due, soon."""
        if not self._runs():
            self._start()
        self._called.set()

    def renew(self) -> Steps[None]:
        """Renew what is due."""
        now = self._clock.monotonic()
        for token, kept in list(self._kept.items()):
            if kept.due <= now:
                alive = now < kept.until
                if not alive or not (yield Renew(kept.key, token, kept.lease, kept.claim)):
                    self.release(token)
                kept.due = now + kept.lease / 3

    def return_unwanted(self) -> Steps[None]:
        """Give back what nobody wants any more; what has expired needs no answer."""
        while self._unwanted:
            until, release = self._unwanted[0]
            if self._clock.monotonic() < until:
                yield release
            self._unwanted.popleft()

    def forget(self) -> None:
        """Start anew after a fork: leases and the thread belong to the parent."""
        self._kept = {}
        self._tokens = []
        self._unwanted.clear()
        self._thread = None
        self._starting = threading.Lock()
        self._called = threading.Event()
        self._closed = threading.Event()

    def close(self) -> None:
        """Let the thread end after one more look at what is due; `attend` starts another."""
        with self._starting:
            self._closed.set()
            self._thread = None
        self._called.set()

    def _runs(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive() and not self._closed.is_set()

    def _start(self) -> None:
        with self._starting:
            if not self._runs():
                self._closed = threading.Event()
                self._thread = threading.Thread(
                    target=self._tick, args=(self._closed,), name="tiercel-keeper", daemon=True
                )
                self._thread.start()

    def _tick(self, closed: threading.Event) -> None:
        while not closed.is_set():
            if not (self._kept or self._unwanted or self._pending):
                self._called.wait()
            self._called.clear()
            try:
                self._run(self.renew())
                self._run(self.return_unwanted())
                while self._run(self._pending.settle()):
                    pass
            except BackendError as error:
                log.debug("leases or drops have to wait: %s", error)
            closed.wait(self._pause)
