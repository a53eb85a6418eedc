"""Which values plain msgpack carries exactly, so that nothing need be tagged."""

from __future__ import annotations

import gc
from types import NoneType
from typing import Any

MAX_DEPTH = 100
"""Containers within containers that codec "safe" takes; what it writes, it must read anywhere."""

SCALARS: frozenset[type] = frozenset({NoneType, bool, int, float, str, bytes})
_is_scalar = SCALARS.issuperset
_is_plain = (SCALARS | {list, dict}).issuperset


def is_plain(value: Any) -> bool:
    """Tell whether a value is made of lists, dicts and scalars of exactly these types.

    Walks level by level, so that the interpreter's own loops do the work. `gc.get_referents`
    gives the items of lists, and the keys and values of dicts; it leaves out only string keys,
    and only where the dict knows that all of them are exactly `str`.

    Args:
        value: Must not contain itself: levels would grow without end.
    """
    kind = type(value)
    if kind is not dict and kind is not list:
        return kind in SCALARS
    level = gc.get_referents(value)
    for _ in range(1, MAX_DEPTH):
        if _is_scalar(map(type, level)):
            return True
        if not _is_plain(map(type, level)):
            return False
        level = gc.get_referents(*level)
    return False
