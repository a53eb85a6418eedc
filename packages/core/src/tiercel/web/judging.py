"""What becomes of a result of a view: kept for everybody, or passed on to who asked."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct, structs

from tiercel.contracts.web import StoredResponse, WebRequest
from tiercel.errors import ViewCachingWarning
from tiercel.web.conditional import with_validators
from tiercel.web.storable import ResponseRules, vary_of

_SHAREABLE = (str, bytes, int, float, bool, type(None), list, tuple, dict, set, frozenset)

MAX_VARYING = 16
"""Request headers that the responses of one view may vary with."""


class CachedResponse(Struct, frozen=True):
    """What a view returns to say how long its response is kept.

    Attributes:
        response: Whatever the view would return otherwise.
        ttl: Seconds; 0 or less: it is not kept.
    """

    response: Any
    ttl: float


class Passed(Struct, frozen=True):
    """A result that is for the request that brought it, and for no other.

    Attributes:
        native: What the view returned.
        request: The framework's request that it answers.
        reason: Why it is not kept.
    """

    native: Any
    request: Any
    reason: str


@dataclass(slots=True)
class Varying:
    """The request headers that responses of a view vary with, as far as they have been seen."""

    names: tuple[str, ...] = ()

    def of(self, request: WebRequest) -> dict[str, str | None]:
        """Return what a request has of them."""
        return {name: request.header(name) for name in self.names}

    def learn(self, names: Sequence[str]) -> bool:
        """Take note of names; tell whether one of them is new."""
        known = tuple(sorted({*self.names, *names}))
        if known == self.names or len(known) > MAX_VARYING:
            return False
        self.names = known
        return True


def warn_if_stateful(name: str, value: Any) -> None:
    """Say once that hits get copies of a result, where it is an object that may have state."""
    if isinstance(value, (Passed, *_SHAREABLE)):
        return
    warnings.warn(
        f"{name} returned a {type(value).__name__}, which is no response: hits get copies of it. "
        "Say returns_static_response=True if it may be shared, or rehydrate it with "
        "on_cache_result=",
        ViewCachingWarning,
        stacklevel=3,
    )


def warn_of_no_request(name: str) -> None:
    """Say that a view was called where nothing is known of any request, and what to do."""
    warnings.warn(
        f"{name} was called where no request can be found, so it is not cached: let it take the "
        "request as an argument `request`; in Starlette and FastAPI, "
        "app.add_middleware(tiercel_asgi.TiercelMiddleware) will do, too",
        ViewCachingWarning,
        stacklevel=3,
    )


def fits(request: WebRequest, stored: StoredResponse) -> bool:
    """Tell whether a kept response answers a request: what it varies with is the same."""
    varying = stored.varying
    return not varying or all(request.header(name) == value for name, value in varying)


def judge(
    request: WebRequest,
    response: StoredResponse,
    rules: ResponseRules,
    varying: dict[str, str | None],
    clock: Callable[[], float],
) -> StoredResponse | str:
    """Return a response as it is kept, or why it is not.

    Args:
        request: The request that brought it.
        response: The response.
        rules: What may be kept.
        varying: The headers by which the key already tells requests apart.
        clock: Seconds since the Unix epoch.
    """
    reason = rules.why_not_kept(request, response)
    if reason is not None:
        return reason
    names = vary_of(response)
    if not varying.keys() >= set(names):
        return "it varies with headers that were not known before"
    kept = structs.replace(response, varying=tuple((name, request.header(name)) for name in names))
    return with_validators(kept, clock())


def life_of(ttl: float | None) -> float:
    """Return a life as it is kept with a response; infinite without an end."""
    return math.inf if ttl is None else ttl
