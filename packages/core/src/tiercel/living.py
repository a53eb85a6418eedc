"""What still lives of things that are only remembered weakly."""

from __future__ import annotations

from typing import TypeVar
from weakref import WeakSet

T = TypeVar("T")


def living(remembered: WeakSet[T]) -> list[T]:
    """Return what is in a set that other threads add to at any moment."""
    while True:
        try:
            return list(remembered)
        except RuntimeError:  # it grew meanwhile
            continue
