"""What observers measure from time to time: figures of the caches of this process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tiercel.engine.state import Engine
from tiercel.function import living_functions
from tiercel.observed import observe
from tiercel.tiers import living_caches


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """How a cache of this process stands.

    Attributes:
        cache: Its name.
        entries: Entries in memory.
        bytes: What they count for; 0 where bytes are not bounded.
        evictions: Entries that left memory to make room, ever.
        breaker_open: Whether the shared tier is not asked, as it failed; None without one.
        lag: Seconds since memory was last known to have followed all drops elsewhere; None where
            it follows none, or is not trusted now.
    """

    cache: str
    entries: int
    bytes: int
    evictions: int
    breaker_open: bool | None
    lag: float | None


@dataclass(frozen=True, slots=True)
class FunctionFigures:
    """What this process has counted of a function.

    Attributes:
        cache: The name of its cache.
        function: Its name across processes.
        memory_hits: Calls served from memory, ever.
    """

    cache: str
    function: str
    memory_hits: int


def cache_figures() -> Sequence[CacheFigures]:
    """Return the figures of every cache of this process."""
    return [_figures(cache.engine) for cache in living_caches()]


def function_figures() -> Sequence[FunctionFigures]:
    """Return the figures of every function that was called in this process."""
    figures = []
    for function in living_functions():
        subject = function._subject
        if subject is not None:
            hits = subject.stats.memory_hits + function.hit_path.hits()
            figures.append(FunctionFigures(subject.engine.name, function.name, hits))
    return figures


def observe_anew() -> None:
    """Ask every observer again whether it listens, for all functions that are in use already.

    For whoever begins to listen, or ends it, after caches were made.
    """
    for function in living_functions():
        if function._subject is not None:
            observe(function._subject, function.hit_path, function.plan.readable_template)


def _figures(engine: Engine) -> CacheFigures:
    memory, channel = engine.memory, engine.channel
    lag = None
    if channel is not None and channel.trusted_until > -math.inf and channel.trusted():
        lag = engine.clock.monotonic() - (channel.trusted_until - channel.max_lag)
    return CacheFigures(
        engine.name,
        len(memory) if memory is not None else 0,
        memory.bytes if memory is not None else 0,
        memory.evictions if memory is not None else 0,
        engine.breaker.is_open if engine.backend is not None else None,
        lag,
    )
