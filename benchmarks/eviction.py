"""Hit ratios of the memory tier on access traces: `python benchmarks/eviction.py TRACES_DIR`.

The traces are real ones in the formats in which Caffeine's simulator keeps them: big-endian 32-bit
integers (`*.xz`) or one integer per line (`*.gz`). Besides: Zipf, one scan after another, a loop.
"""

from __future__ import annotations

import gzip
import lzma
import math
import random
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiercel.memory import MemoryTier

EXPECTED = {
    "web07.trace.xz": {204: 42.5, 1024: 53.4, 4096: 62.8},
    "web12.trace.xz": {137: 41.3, 687: 63.2, 2751: 77.6},
    "orm-busy-600k.trace.xz": {356: 69.4, 1781: 82.4, 7126: 87.6},
    "sprite.trace.gz": {70: 20.5, 353: 65.4, 1415: 91.9},
    "multi3.trace.gz": {74: 10.4, 372: 32.9, 1490: 46.5},
}
"""Capacity and simulated hit ratio in % of S3-FIFO with one bit and ghosts for half of it."""

TOLERANCE = 1.0
"""Points that a ratio may lie below the simulated one."""


@dataclass(frozen=True, slots=True)
class Row:
    """The hit ratio of one trace at one capacity, in %."""

    trace: str
    capacity: int
    ratio: float
    expected: float | None = None

    @property
    def reached(self) -> bool:
        """Whether it is what was simulated, or better."""
        return self.expected is None or self.ratio >= self.expected - TOLERANCE


def read(path: Path) -> Sequence[int]:
    """Return the keys of a trace file."""
    if path.suffix == ".xz":
        data = lzma.decompress(path.read_bytes())
        return struct.unpack(f">{len(data) // 4}i", data)
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    return [int(line) for line in lines if line.strip().isdigit()]


def hit_ratio(keys: Sequence[int], capacity: int) -> float:
    """Replay a trace through a tier; return the hits in %."""
    table = MemoryTier(capacity).table("trace")
    entries, hits = table.entries, 0
    for key in keys:
        entry = entries.get((int, key))
        if entry is None:
            table.commit(table.reserve((int, key)), key, math.inf)
        else:
            entry.visited = True
            hits += 1
    return 100 * hits / len(keys)


def made(length: int = 200_000, distinct: int = 10_000) -> dict[str, Sequence[int]]:
    """Return the synthetic traces."""
    chance = random.Random(1)
    weights = [1 / rank for rank in range(1, distinct + 1)]
    zipf = chance.choices(range(distinct), weights, k=length)
    scans = [
        key
        for start in range(0, length, 20)
        for key in (*zipf[start : start + 10], *range(distinct + start, distinct + start + 10))
    ]
    return {
        "Zipf": zipf,
        "Zipf and scan": scans,
        "loop": [number % distinct for number in range(length)],
    }


def rows(directory: Path) -> Iterator[Row]:
    """Measure all traces of a directory, then the synthetic ones."""
    for name, expected in EXPECTED.items():
        keys = read(directory / name)
        for capacity, ratio in expected.items():
            yield Row(name, capacity, hit_ratio(keys, capacity), ratio)
    for name, keys in made().items():
        for capacity in (100, 500, 2000):
            yield Row(name, capacity, hit_ratio(keys, capacity))


def main() -> int:
    """Print a table; exit with 1 if a ratio is lower than it should be."""
    if len(sys.argv) != 2:
        print("usage: python benchmarks/eviction.py TRACES_DIR", file=sys.stderr)
        return 2
    missed = 0
    for row in rows(Path(sys.argv[1])):
        expected = "" if row.expected is None else f"simulated {row.expected:4.1f}"
        print(f"{row.trace:<24} {row.capacity:>6} {row.ratio:5.1f} %  {expected}")
        missed += not row.reached
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
