"""Hit ratios of the memory tier on access traces, beside other policies.

`python benchmarks/eviction.py TRACES_DIR` replays each trace through the memory tier itself, and
through LRU, SIEVE (Zhang et al., NSDI 2024), W-TinyLFU as theine has it, and the optimum of Belady
(1966), which knows the future.

The traces are real ones in the formats in which Caffeine's simulator keeps them: big-endian 32-bit
integers (`*.xz`) or one integer per line (`*.gz`). Besides: Zipf, Zipf with scans, a loop.
"""

from __future__ import annotations

import gzip
import heapq
import lzma
import math
import random
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from theine import Cache as TinyLFU

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

Policy = Callable[[Sequence[int], int], int]
"""Replays keys through a cache of so many entries; returns the hits."""


@dataclass(frozen=True, slots=True)
class Row:
    """The hit ratios of one trace at one capacity, in %, by policy."""

    trace: str
    capacity: int
    ratios: Mapping[str, float]
    expected: float | None = None

    @property
    def reached(self) -> bool:
        """Whether ours is what was simulated, or better."""
        return self.expected is None or self.ratios["tiercel"] >= self.expected - TOLERANCE


def read(path: Path) -> Sequence[int]:
    """Return the keys of a trace file."""
    if path.suffix == ".xz":
        data = lzma.decompress(path.read_bytes())
        return struct.unpack(f">{len(data) // 4}i", data)
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    return [int(line) for line in lines if line.strip().isdigit()]


def ours(keys: Sequence[int], capacity: int) -> int:
    """Replay through the memory tier."""
    table = MemoryTier(capacity).table("trace")
    entries, hits = table.entries, 0
    for key in keys:
        entry = entries.get((int, key))
        if entry is None:
            table.commit(table.reserve((int, key)), key, math.inf)
        else:
            entry.visited = True
            hits += 1
    return hits


def lru(keys: Sequence[int], capacity: int) -> int:
    """Replay through one that evicts what was used longest ago."""
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in keys:
        if key in held:
            held.move_to_end(key)
            hits += 1
            continue
        if len(held) >= capacity:
            held.popitem(last=False)
        held[key] = None
    return hits


def sieve(keys: Sequence[int], capacity: int) -> int:
    """Replay through a queue whose hand spares what was visited, and stays where it is."""
    slots: list[int | None] = []  # from old to new; None where one was evicted
    visited: dict[int, bool] = {}
    hand, hits = 0, 0
    for key in keys:
        if key in visited:
            visited[key] = True
            hits += 1
            continue
        while len(visited) >= capacity:
            hand = hand if hand < len(slots) else 0
            seen = slots[hand]
            if seen is not None and visited[seen]:
                visited[seen] = False
            elif seen is not None:
                del visited[seen]
                slots[hand] = None
            hand += 1
        if len(slots) > 4 * capacity:
            hand -= slots[:hand].count(None)
            slots = [slot for slot in slots if slot is not None]
        slots.append(key)
        visited[key] = False
    return hits


def tiny_lfu(keys: Sequence[int], capacity: int) -> int:
    """Replay through theine."""
    cache: TinyLFU[int, int] = TinyLFU(capacity)
    hits = 0
    for key in keys:
        _, found = cache.get(key)
        if found:
            hits += 1
        else:
            cache.set(key, key)
    cache.close()
    return hits


def optimum(keys: Sequence[int], capacity: int) -> int:
    """Replay through one that evicts what will be used last."""
    later, following = [0] * len(keys), dict[int, int]()
    for number in range(len(keys) - 1, -1, -1):
        later[number] = following.get(keys[number], len(keys))
        following[keys[number]] = number
    held: dict[int, int] = {}
    farthest: list[tuple[int, int]] = []
    hits = 0
    for key, again in zip(keys, later, strict=True):
        hits += key in held
        held[key] = again
        heapq.heappush(farthest, (-again, key))
        while len(held) > capacity:
            use, candidate = heapq.heappop(farthest)
            if held.get(candidate) == -use:
                del held[candidate]
    return hits


POLICIES: Mapping[str, Policy] = {
    "tiercel": ours,
    "LRU": lru,
    "SIEVE": sieve,
    "W-TinyLFU": tiny_lfu,
    "optimum": optimum,
}


def hit_ratios(keys: Sequence[int], capacity: int) -> dict[str, float]:
    """Replay a trace through every policy; return the hits in %."""
    return {name: 100 * replay(keys, capacity) / len(keys) for name, replay in POLICIES.items()}


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
            yield Row(name, capacity, hit_ratios(keys, capacity), ratio)
    for name, keys in made().items():
        for capacity in (100, 500, 2000):
            yield Row(name, capacity, hit_ratios(keys, capacity))


def main() -> int:
    """Print a table; exit with 1 if a ratio is lower than it should be."""
    if len(sys.argv) != 2:
        print("usage: python benchmarks/eviction.py TRACES_DIR", file=sys.stderr)
        return 2
    print(f"{'hits in %':<24} {'entries':>7}", *(f"{name:>10}" for name in POLICIES), "  simulated")
    missed, found = 0, []
    for row in rows(Path(sys.argv[1])):
        expected = "" if row.expected is None else f"{row.expected:11.1f}"
        ratios = (f"{ratio:10.1f}" for ratio in row.ratios.values())
        print(f"{row.trace:<24} {row.capacity:>7}", *ratios, expected, flush=True)
        missed += not row.reached
        found += [row.ratios] if row.expected is not None else []
    means = (f"{sum(each[name] for each in found) / len(found):10.1f}" for name in POLICIES)
    print(f"{'mean of the real traces':<32}", *means)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
