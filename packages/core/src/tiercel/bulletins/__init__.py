"""What a process tells those who watch all processes of a cache: counts and recent events.

bulletin    what is told               collecting  the observer that gathers it
publishing  telling it, while asked    reading     reading what all processes tell

Nobody tells anything unless somebody watches, or the cache has `events=true`. A bulletin is an
entry of a function with an index, so every shared tier that can list entries carries it, signed
and encrypted like all values. It lives for seconds and is never kept in memory.
"""

from __future__ import annotations

from tiercel.bulletins.bulletin import Bulletin, Happening, sum_counts
from tiercel.bulletins.publishing import Publisher
from tiercel.bulletins.reading import Watch

__all__ = ["Bulletin", "Happening", "Publisher", "Watch", "sum_counts"]
