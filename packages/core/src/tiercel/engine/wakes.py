"""Waiting for computations in other processes: one mailbox per cache and process (rule 13)."""

from __future__ import annotations

import logging
import threading
import uuid

from tiercel.contracts.backend import Backend, Mailbox
from tiercel.engine.signal import Signal
from tiercel.errors import BackendError

log = logging.getLogger("tiercel.wakes")


class Wakes:
    """Hands wakes that arrive in this process's mailbox to those who wait for a key.

    Attributes:
        address: Name of the mailbox; what a waiter gives to `Begin`. None until it is open.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._attempts = 0
        self._waiting: dict[str, list[Signal]] = {}
        self._closed = threading.Event()
        self.address: str | None = None
        self.settled = False

    def open(self) -> None:
        """Open the mailbox unless it is open; live when this returns.

        Where a backend cannot wake anybody, `address` stays None and waiters use their timers.
        Who has waited for another's attempt makes none of its own: it would take as long again.
        """
        attempts = self._attempts
        with self._opening:
            if self.settled or self._attempts != attempts:
                return
            self._attempts += 1
            address = uuid.uuid4().hex
            try:
                mailbox = self._backend.open_mailbox(address)
            except BackendError as error:
                log.debug("no mailbox, waiting by timer: %s", error)
                return
            self.settled = True
            if mailbox is not None:
                self.address = address
                threading.Thread(
                    target=self._deliver,
                    args=(mailbox, self._closed),
                    name="tiercel-wakes",
                    daemon=True,
                ).start()

    def expect(self, text: str) -> Signal:
        """Return a signal that a wake for this key sets; `forget` it in the end."""
        signal = Signal()
        with self._lock:
            self._waiting.setdefault(text, []).append(signal)
        return signal

    def forget(self, text: str, signal: Signal) -> None:
        """Stop expecting."""
        with self._lock:
            signals = self._waiting.get(text, [])
            if signal in signals:
                signals.remove(signal)
            if not signals:
                self._waiting.pop(text, None)

    def wake(self, text: str) -> None:
        """Set the signals of everybody who waits for this key."""
        with self._lock:
            signals = list(self._waiting.get(text, ()))
        for signal in signals:
            signal.set()

    def wake_all(self) -> None:
        """Set the signals of everybody who waits: wakes do not arrive any more."""
        with self._lock:
            signals = [signal for waiting in self._waiting.values() for signal in waiting]
        for signal in signals:
            signal.set()

    def close(self) -> None:
        """Close the mailbox; its thread ends soon after."""
        self._closed.set()

    def forget_thread(self) -> None:
        """Start anew after a fork: the mailbox belongs to the parent."""
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._waiting = {}
        self._closed = threading.Event()
        self.address, self.settled = None, False

    def _deliver(self, mailbox: Mailbox, closed: threading.Event) -> None:
        try:
            while not closed.is_set():
                for text in mailbox.receive(timeout=1.0):
                    self.wake(text)
        except BackendError as error:
            log.debug("mailbox lost: %s", error)
        finally:
            mailbox.close()
            with self._opening:
                if self._closed is closed:
                    self.address, self.settled = None, False
            self.wake_all()
