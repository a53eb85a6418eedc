"""Headers that say how a response was served: RFC 9111, RFC 9211, and Restflow's."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final

from tiercel.contracts.web import Headers, StoredResponse
from tiercel.engine.state import Outcome
from tiercel.events import Cause, Status
from tiercel.outcomes import Metadata

CACHE_STATUS: Final = "cache-status"
X_CACHE: Final = "x-cache"
STATUS_HEADERS: Final = frozenset({CACHE_STATUS, X_CACHE})

_HIT: Final = "hit"
_FORWARDED: Final = {
    Cause.EXPIRED: "stale",
    Cause.DROPPED: "stale",
    Cause.VERSION: "stale",
    Cause.REQUESTED: "request",
    Cause.UNAVAILABLE: "bypass",
}
"""Why a request went on to the view, in the words of RFC 9211, section 2.2."""


def with_status(
    response: StoredResponse,
    outcome: Outcome,
    metadata: Metadata | None,
    chosen: Collection[str],
    grace: float = 0.0,
) -> StoredResponse:
    """Say how old a response is, and by the chosen headers how it was served.

    And for how long it is fresh, where it says nothing of that.

    Args:
        response: The response as it is kept.
        outcome: How it was served.
        metadata: The same in the words of `get_with_metadata`.
        chosen: Which headers say how it was served.
        grace: Seconds that it is kept after its ttl: for caches further down it is stale then.
    """
    told, left = None, None if math.isinf(outcome.left) else math.floor(outcome.left - grace)
    if CACHE_STATUS in chosen:
        told = _HIT if outcome.status is Status.HIT else _how(outcome)
    limited = "cache-control" in map(str.lower, dict(response.headers))
    headers = response.headers + _added(int(outcome.age), left, limited, told)
    if X_CACHE in chosen and metadata is not None:
        headers = (*headers, *restflow_headers(metadata).items())
    return StoredResponse(response.status, headers, response.body, response.life, response.varying)


@lru_cache(1024)
def _added(age: int, left: int | None, limited: bool, told: str | None) -> Headers:
    """Return what a second of a response's life adds to it, whichever response it is.

    Args:
        age: Seconds since it was kept.
        left: Seconds for which it is still fresh, negative once it is stale; None: without end.
        limited: Whether it says that itself.
        told: How it was served; None: it does not say.
    """
    added = [("Age", str(age))]
    if left is not None and not limited:
        # RFC 9111, section 4.2: what is left of it is this less the `Age` beside it.
        added.append(("Cache-Control", f"max-age={age + max(left, 0)}"))
    if told is not None:
        ttl = f"; ttl={left}" if left is not None and told == _HIT else ""
        added.append(("Cache-Status", f"tiercel; {told}{ttl}"))
    return tuple(added)


def restflow_headers(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return Restflow's headers for the metadata of a call; without those that have no value."""
    named = {
        "X-Cached-at": metadata.get("cached_at"),
        "X-Cache-reset-at": metadata.get("cache_reset_at"),
        "X-Cache-status": metadata.get("cache_status"),
    }
    return {name: str(value) for name, value in named.items() if value}


def set_response_cache_header(response: Any, metadata: Mapping[str, Any] | None) -> Any:
    """Say in the headers of a response how a cached function was served.

    Args:
        response: Anything whose headers are set like items, or that has such `headers`.
        metadata: What `get_with_metadata` returned; None or an empty one changes nothing.

    Returns:
        The response.
    """
    headers = getattr(response, "headers", response)
    for name, value in restflow_headers(metadata or {}).items():
        headers[name] = value
    return response


def _how(outcome: Outcome) -> str:
    """Tell how a response was served, in the words of RFC 9211."""
    if outcome.status in (Status.HIT, Status.STALE):
        return _HIT
    if outcome.status is Status.BYPASS:
        return "fwd=bypass"
    why = _FORWARDED.get(outcome.cause, "uri-miss") if outcome.cause else "uri-miss"
    return f"fwd={why}" + ("; stored" if outcome.stored else "")
