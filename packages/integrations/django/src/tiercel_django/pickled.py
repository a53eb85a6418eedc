"""Values as a cache of Django keeps them: what cannot change as it is, all else pickled.

So a hit in memory hands out an object of its own, whatever callers do to theirs: sessions, for
one, are changed in place before they are saved.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString

PROTOCOL = 5

UNCHANGEABLE = frozenset(
    {
        NoneType,
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        SafeString,
        Decimal,
        UUID,
        date,
        datetime,
        time,
        timedelta,
    }
)
"""Types whose instances may be shared; of exactly these, since a subclass may hold more."""


class Pickled:
    """A value as bytes.

    Args:
        data: The pickled value.

    Attributes:
        ready: The value, if it was restored and nobody has it yet.
    """

    __slots__ = ("data", "ready")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.ready: list[Any] = []

    def value(self) -> Any:
        """Return the value, another object each time."""
        if self.ready:
            with suppress(IndexError):  # another thread was faster
                return self.ready.pop()
        return pickle.loads(self.data)

    def __add__(self, delta: Any) -> Any:
        return freeze(self.value() + delta)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (self.data,)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + len(self.data)


def restore(data: bytes) -> Pickled:
    """Return what another process has pickled; raises now if it cannot be restored here."""
    pickled = Pickled(data)
    pickled.ready.append(pickle.loads(data))
    return pickled


def freeze(value: Any) -> Any:
    """Return what is stored for a value.

    Raises:
        Exception: It cannot be pickled; what its class raises.
    """
    return value if type(value) in UNCHANGEABLE else Pickled(pickle.dumps(value, PROTOCOL))


def thaw(frozen: Any) -> Any:
    """Return the value for which this was stored."""
    return frozen.value() if type(frozen) is Pickled else frozen
