"""Which types may stand for themselves in a fast key."""

from __future__ import annotations

from datetime import date
from enum import Enum
from uuid import UUID

_VETTED = frozenset({int, str, bytes, bool, type(None), UUID, date})
_VETTED_EQ = frozenset(kind.__eq__ for kind in (object, int, str, bytes))
_VETTED_HASH = frozenset({Enum.__hash__, int.__hash__, str.__hash__, bytes.__hash__})


def is_vetted(kind: type) -> bool:
    """Whether values of exactly this type are equal only if they mean the same in a key.

    So `(type(value), value)` may stand for the value. Not so for `0.0`, which equals `-0.0`, for
    `Decimal("1.0")`, which equals `Decimal("1.00")`, and for `(1,)`, which equals `(True,)`.
    """
    return kind in _VETTED or (
        issubclass(kind, Enum) and kind.__eq__ in _VETTED_EQ and kind.__hash__ in _VETTED_HASH
    )
