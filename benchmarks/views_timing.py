"""Timing whole requests and views: the median of single calls, in turn, with a few to warm up.

One call takes long enough to be timed by itself. So the median leaves out those that the system
interrupted for another program, which weigh on means, and most on those who wait for a server.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import Any

from measure import AsyncCase, Case

WARMING = 5

Around = Callable[[], AbstractContextManager[Any]]
"""Opens what a call runs in, such as a request, whose time does not count."""


def medians_of_calls(
    cases: Mapping[str, tuple[Case, Around]], *, calls: int = 25, rounds: int = 40
) -> dict[str, float]:
    """Return the median microseconds of one call of each case.

    Args:
        cases: What to call, and what around each call, by name.
        calls: How often each is called in its turn, besides a few times to warm up.
        rounds: How many turns each has.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, (case, around) in cases.items():
                times[name] += [_timed(case, around) for _ in range(WARMING + calls)][WARMING:]
            gc.collect()
    finally:
        gc.enable()
    return {name: median(taken) for name, taken in times.items()}


def medians_of_requests(cases: Mapping[str, Case], **options: int) -> dict[str, float]:
    """Return the same for what needs nothing around it."""
    return medians_of_calls({name: (case, nullcontext) for name, case in cases.items()}, **options)


async def amedians_of_requests(
    cases: Mapping[str, AsyncCase], *, calls: int = 25, rounds: int = 40
) -> dict[str, float]:
    """Return the same for coroutine functions."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, case in cases.items():
                times[name] += [await _atimed(case) for _ in range(WARMING + calls)][WARMING:]
            gc.collect()
    finally:
        gc.enable()
    return {name: median(taken) for name, taken in times.items()}


def _timed(case: Case, around: Around) -> float:
    with around():
        began = time.perf_counter()
        case()
        return (time.perf_counter() - began) * 1e6


async def _atimed(case: AsyncCase) -> float:
    began = time.perf_counter()
    await case()
    return (time.perf_counter() - began) * 1e6
