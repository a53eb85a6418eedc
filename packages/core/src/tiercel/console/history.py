"""How functions were served in the last minutes: samples in the shared tier, one in ten seconds.

Whoever watches first in such a stretch of time writes the sample of all processes, the others read
it. A sample lives as long as it is shown, so what is kept is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from tiercel.caches import Cache
from tiercel.inspection import FunctionCounts

EVERY: Final = 10
"""Seconds between two samples."""

SAMPLES: Final = 60
"""Samples that are shown."""

SPACE: Final = "tiercel.console"

OWN: Final = f"values.{SPACE}"
"""What counts call the values of this space."""

Sample = Mapping[str, Sequence[int]]
"""For each function how many of its calls were served, and how many computed, since ever."""


class History:
    """The samples of one cache."""

    def __init__(self, cache: Cache) -> None:
        """Prepare.

        Args:
            cache: Where samples are kept.
        """
        self._values = cache.space(SPACE)
        self._clock = cache.engine.clock
        self._noted = -1

    def note(self, count: Callable[[], Sequence[FunctionCounts]]) -> None:
        """Keep a sample of what `count` returns, unless there is one of these ten seconds."""
        now = self._bucket()
        if now != self._noted:
            self._noted = now
            sample = {each.function: (each.served, each.computations) for each in count()}
            self._values.add(now, sample, (SAMPLES + 1) * EVERY)

    def read(self) -> list[tuple[int, Sample]]:
        """Return the samples there are, oldest first, with the numbers of their stretches."""
        now = self._bucket()
        numbers = range(now - SAMPLES + 1, now + 1)
        return sorted(self._values.get_many(numbers).items())

    def _bucket(self) -> int:
        return int(self._clock.time()) // EVERY


def rates_of(samples: Sequence[tuple[int, Sample]], function: str) -> list[tuple[float, float]]:
    """Return calls and computations of a function in each second, from sample to sample.

    Counts fall where a process has ended; then nothing is known, which shows as 0.
    """
    known = [(number, sample[function]) for number, sample in samples if function in sample]
    rates = []
    for (before, old), (after, new) in pairwise(known):
        seconds = (after - before) * EVERY
        served, computed = max(new[0] - old[0], 0), max(new[1] - old[1], 0)
        rates.append(((served + computed) / seconds, computed / seconds))
    return rates
