"""The two clocks that Tiercel reads, behind one object that tests can replace."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What the engine needs of time.

    Attributes:
        monotonic: Seconds that never go back; for deadlines inside a process.
        time: Seconds since the Unix epoch; for metadata shown to people.
    """

    @property
    def monotonic(self) -> Callable[[], float]: ...

    @property
    def time(self) -> Callable[[], float]: ...


class SystemClock:
    """The clocks of the operating system."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


SYSTEM_CLOCK = SystemClock()
