"""The off switch: while it is off, every cached function is simply called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_off = 1 if os.environ.get("TIERCEL_DISABLED", "0") not in ("", "0") else 0
_listeners: list[Callable[[bool], None]] = []


def is_off() -> bool:
    """Tell whether caching is switched off in this process."""
    return _off > 0


def on_change(listener: Callable[[bool], None]) -> None:
    """Call `listener` with True when caching is switched off, with False when on again."""
    _listeners.append(listener)


@contextmanager
def disabled() -> Iterator[None]:
    """Switch caching off in this process while the block runs.

    Cached functions are called as if they were not cached; nothing is read, stored or refreshed.
    Drops still take effect, so that nothing outdated is served afterwards. May be nested. The
    environment variable `TIERCEL_DISABLED=1` does the same for the whole process.
    """
    _turn(+1)
    try:
        yield
    finally:
        _turn(-1)


def _turn(step: int) -> None:
    global _off
    was_off = is_off()
    _off += step
    if was_off != is_off():
        for listener in _listeners:
            listener(is_off())
