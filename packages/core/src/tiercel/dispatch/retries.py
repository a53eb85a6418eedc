"""How often, and after which pauses, a task that failed is performed again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tiercel.dispatch.options import check_number
from tiercel.errors import ConfigurationError

_MOST_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class Retries:
    """Exponential back-off with a cap.

    Attributes:
        max_retries: How often a task that failed is performed again, before it is given up to
            the dead letters of its broker.
        min_backoff: Seconds before the first retry; each further pause is twice as long.
        max_backoff: Seconds that no pause exceeds.

    Raises:
        ConfigurationError: A value that cannot work.
    """

    max_retries: int = 5
    min_backoff: float = 1.0
    max_backoff: float = 300.0

    def __post_init__(self) -> None:
        check_number("max_retries", self.max_retries, 0)
        check_number("min_backoff", self.min_backoff, 0.0)
        check_number("max_backoff", self.max_backoff, 0.0)
        if self.max_backoff < self.min_backoff:
            raise ConfigurationError(
                f"max_backoff={self.max_backoff!r} must be at least min_backoff, which is "
                f"{self.min_backoff!r}"
            )

    def delay(self, attempt: int, *, jitter: bool = False) -> float:
        """Return the seconds to wait before a retry.

        Args:
            attempt: How often the task has failed so far, so 1 before the first retry.
            jitter: Take up to half of it off, at random, so that tasks that failed together do
                not come back together.
        """
        doublings = min(max(attempt - 1, 0), _MOST_DOUBLINGS)
        pause = min(self.min_backoff * 2.0**doublings, self.max_backoff)
        return pause * random.uniform(0.5, 1.0) if jitter else pause
