"""A broker that let somebody wait in vain is left alone for a while: others have no time either."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LONG: Final = 0.5
"""Seconds from which a failure counts as waiting in vain: a broker that is down refuses at once."""

PAUSE: Final = 5.0
"""Seconds for which the broker is not asked then."""


class Stall:
    """Notes when a broker does not answer.

    Args:
        now: Tells the monotonic time.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until = float("-inf")

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Have the body ask the broker.

        Raises:
            ConnectionError: It let somebody wait in vain a moment ago; the body is not run.
        """
        began = self._now()
        if began < self._until:
            raise ConnectionError("the broker did not answer a moment ago and is not asked yet")
        try:
            yield
        except Exception:
            ended = self._now()
            if ended - began > LONG:
                self._until = ended + PAUSE
            raise
