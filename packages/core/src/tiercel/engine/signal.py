"""A flag that threads and tasks of any event loop can wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct, field


class Signal(Struct, eq=False, kw_only=True):
    """Set once; everybody who waits or comes later goes on.

    Cheaper than an `Event` until somebody really waits, and usable from threads and event loops
    at once. There is no lock: who waits looks again after he has registered, so either he sees
    that it is set, or he is found by who sets it.
    """

    is_set: bool = False
    _wakers: list[Callable[[], object]] = field(default_factory=list)

    def set(self) -> None:
        """Let everybody go on."""
        self.is_set = True
        while self._wakers:
            try:
                wake = self._wakers.pop(0)
            except IndexError:
                return  # he who waited is gone, or another sets it, too
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
        self._wakers.append(wake)
        if self.is_set:
            self._forget(wake)
            return False
        return True

    def _forget(self, wake: Callable[[], object]) -> None:
        with suppress(ValueError):
            self._wakers.remove(wake)
