"""A flag that threads and tasks of any event loop can wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class Signal:
    """Set once; everybody who waits or comes later goes on.

    Cheaper than an `Event` until somebody really waits, and usable from threads and event loops
    at once.
    """

    __slots__ = ("_lock", "_wakers", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] | None = []

    def set(self) -> None:
        """Let everybody go on."""
        with self._lock:
            wakers, self._wakers = self._wakers, None
            self.is_set = True
        for wake in wakers or ():
            wake()

    def wait(self, timeout: float) -> bool:
        """Block this thread until set; False after `timeout` seconds."""
        gate = threading.Lock()
        gate.acquire()
        if not self._register(gate.release):
            return True
        if gate.acquire(timeout=max(timeout, 0.0)):
            return True
        self._forget(gate.release)
        return self.is_set

    async def await_(self, timeout: float) -> bool:
        """Suspend this task until set; False after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not future.done():
                future.set_result(None)

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(resolve)
            except RuntimeError:
                self._forget(wake)  # the loop was closed while its task waited

        if not self._register(wake):
            return True
        try:
            async with asyncio.timeout(max(timeout, 0.0)):
                await future
        except TimeoutError:
            return self.is_set
        finally:
            self._forget(wake)
        return True

    def _register(self, wake: Callable[[], object]) -> bool:
        with self._lock:
            if self._wakers is None:
                return False
            self._wakers.append(wake)
            return True

    def _forget(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if self._wakers is not None and wake in self._wakers:
                self._wakers.remove(wake)
