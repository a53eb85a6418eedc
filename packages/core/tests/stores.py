"""Key-value stores that several modules of tests need."""

from __future__ import annotations

import threading

from tiercel.clock import Clock
from tiercel.testing import DictBackend


class WithAdd(DictBackend):
    """A dict that can store only what is absent, of several threads for one."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._lock = threading.Lock()

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        with self._lock:
            if self.get(key) is not None:
                return False
            self.set(key, value, ttl)
            return True
