"""A clock that moves only when a test says so."""

from __future__ import annotations


class VirtualClock:
    """Both clocks of `tiercel.clock.Clock`, advanced by hand.

    Args:
        monotonic: What the monotonic clock shows at first, in seconds.
        time: What the wall clock shows at first, in seconds since the Unix epoch.
    """

    def __init__(self, monotonic: float = 1_000.0, time: float = 1_800_000_000.0) -> None:
        self._monotonic = monotonic
        self._time = time

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return self._time

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks.

        Raises:
            ValueError: `seconds` is negative; only the wall clock can go back, see `jump`.
        """
        if seconds < 0:
            raise ValueError(
                f"time cannot pass backwards: {seconds}; use jump() for the wall clock"
            )
        self._monotonic += seconds
        self._time += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator or NTP would."""
        self._time += seconds
