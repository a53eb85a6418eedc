"""Found by itself when Django starts, if its application is installed."""

from __future__ import annotations

import os

from tiercel import cache_result

if os.environ.get("SHELF_IS_BROKEN"):
    raise ImportError("shelf cannot be imported, on purpose")


@cache_result(name="shelf.found")
def found() -> int:
    return 1
