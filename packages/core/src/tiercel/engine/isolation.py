"""Code that sees what others do not: what it computes is not stored (protocol rule 19)."""

from __future__ import annotations

import logging

from tiercel.plugins import default_registry

log = logging.getLogger("tiercel.engine")


def is_isolated() -> bool:
    """Tell whether this code runs in a transaction whose state is not, or not yet, that of all."""
    for ask in default_registry().isolations:
        try:
            if ask():
                return True
        except Exception:
            log.exception("%r failed; what is computed now is not stored", ask)
            return True
    return False
