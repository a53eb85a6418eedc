"""Which responses may be kept for others; the rules of RFC 9111, section 3, and a few more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from tiercel.contracts.web import StoredResponse, WebRequest

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

KEPT_STATUSES: Final = frozenset({200, 203, 204, 300, 301, 308})
"""What is kept unless told otherwise: no errors, and nothing that is about a part of a body."""


@dataclass(frozen=True, slots=True)
class ResponseRules:
    """What may be kept of the responses of one view.

    Attributes:
        methods: HTTP methods whose responses are kept; responses to HEAD are never kept, but
            answered from those to GET.
        statuses: Status codes that are kept.
        personal: Whether the key says for whom a response is, so that private ones may be kept.
        stream_limit: Bytes up to which streamed bodies are read and kept.
    """

    methods: Collection[str] = SAFE_METHODS
    statuses: Collection[int] = KEPT_STATUSES
    personal: bool = False
    stream_limit: int = 0

    def of(self, somebody: bool) -> ResponseRules:
        """Return the rules for one request: what is for nobody in particular is for all.

        Args:
            somebody: Whether the key of this request says for whom the response is.
        """
        return self if somebody or not self.personal else replace(self, personal=False)

    def why_not_asked(self, request: WebRequest) -> str | None:
        """Why a request goes to the view without a look at the cache; None if it does not."""
        method = request.method
        if method not in self.methods:
            return f"the method is {method}"
        if not self.personal and request.has_credentials:
            return "the request has credentials"
        if method in SAFE_METHODS and _has_body(request):
            return "the request has a body, which means nothing with this method"
        return None

    def why_not_kept(self, request: WebRequest, response: StoredResponse) -> str | None:
        """Why a response is not kept; None if it is."""
        if response.status not in self.statuses:
            return f"the status is {response.status}"
        if request.method == "HEAD":
            return "it has no body"
        directives = directives_of(response.header("cache-control"))
        if "no-store" in directives:
            return "its Cache-Control says no-store"
        if "*" in vary_of(response):
            return "it varies with everything"
        return None if self.personal else self._why_private(request, response, directives)

    def _why_private(
        self, request: WebRequest, response: StoredResponse, directives: Collection[str]
    ) -> str | None:
        for directive in ("private", "no-cache"):
            if directive in directives:
                return f"its Cache-Control says {directive}"
        if response.header("set-cookie") is not None:
            return "it sets a cookie"
        if request.session_touched:
            return "the session of the request was used"
        return None


def _has_body(request: WebRequest) -> bool:
    length = request.header("content-length") or "0"
    return length.strip() != "0" or request.header("transfer-encoding") is not None


def directives_of(value: str | None) -> dict[str, str]:
    """Return the directives of a Cache-Control header, in lower case, with their arguments."""
    directives = {}
    for part in (value or "").split(","):
        name, _, argument = part.strip().partition("=")
        if name:
            directives[name.strip().lower()] = argument.strip().strip('"')
    return directives


def vary_of(response: StoredResponse) -> tuple[str, ...]:
    """Return the request headers that a response varies with, in lower case, sorted."""
    names = (part.strip().lower() for part in (response.header("vary") or "").split(","))
    return tuple(sorted({name for name in names if name}))
