"""Timing several ways of doing one thing, interleaved in one run, as ratios of their medians.

Absolute times mean little on a shared machine; a ratio of two medians taken in turn, a few
thousand calls at a time, is steady to a few per cent.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median

from msgspec import Struct

Case = Callable[[], object]
AsyncCase = Callable[[], Awaitable[object]]


class Row(Struct):
    """One comparison.

    Attributes:
        what: What was compared.
        ours: Microseconds of one call of ours.
        theirs: Microseconds of one call of the peer.
        peer: The peer's name.
        goal: The ratio that should not be exceeded, or None.
    """

    what: str
    ours: float
    theirs: float
    peer: str
    goal: float | None = None

    @property
    def ratio(self) -> float:
        """How our time compares with the peer's."""
        return self.ours / self.theirs


def medians(cases: Mapping[str, Case], *, calls: int, rounds: int = 15) -> dict[str, float]:
    """Return the median microseconds of one call of each case, taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, case in cases.items():
                began = time.perf_counter()
                for _ in range(calls):
                    case()
                times[name].append((time.perf_counter() - began) / calls * 1e6)
    finally:
        gc.enable()
    return {name: median(taken) for name, taken in times.items()}


async def amedians(
    cases: Mapping[str, AsyncCase], *, calls: int, rounds: int = 15, tasks: int = 1
) -> dict[str, float]:
    """Return the same for coroutine functions, called by `tasks` tasks at once."""
    times: dict[str, list[float]] = {name: [] for name in cases}

    async def work(case: AsyncCase, count: int) -> None:
        for _ in range(count):
            await case()

    for _ in range(rounds):
        for name, case in cases.items():
            began = time.perf_counter()
            await asyncio.gather(*(work(case, calls // tasks) for _ in range(tasks)))
            times[name].append((time.perf_counter() - began) / (calls // tasks * tasks) * 1e6)
    return {name: median(taken) for name, taken in times.items()}


def table(rows: list[Row]) -> str:
    """Return rows as text, each with its verdict."""
    lines = [f"{'':52} {'ours us':>10} {'peer us':>10} {'ratio':>7} {'goal':>6}"]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:.2f}"
        missed = "" if row.goal is None or row.ratio <= row.goal else "  missed"
        name = f"{row.what} / {row.peer}"
        lines.append(
            f"{name:52} {row.ours:10.2f} {row.theirs:10.2f} {row.ratio:7.2f} {goal:>6}{missed}"
        )
    return "\n".join(lines)
