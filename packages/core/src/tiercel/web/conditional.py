"""Conditional requests: answered from the cache with 304 (RFC 9110, section 13)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from tiercel.contracts.web import StoredResponse, WebRequest

_OF_A_304: Final = frozenset(
    {"cache-control", "content-location", "date", "etag", "expires", "set-cookie", "vary"}
)


def with_validators(response: StoredResponse, now: float) -> StoredResponse:
    """Give a response an `ETag` and a `Last-Modified` where it has none.

    Args:
        response: A response that is about to be kept.
        now: Seconds since the Unix epoch.
    """
    added = []
    if response.header("etag") is None:
        added.append(("ETag", _etag(response)))
    if response.header("last-modified") is None:
        moment = datetime.fromtimestamp(int(now), UTC)
        added.append(("Last-Modified", format_datetime(moment, usegmt=True)))
    return replace(response, headers=(*response.headers, *added)) if added else response


def is_unchanged(request: WebRequest, response: StoredResponse) -> bool:
    """Tell whether the client that sent a request has this very response already.

    `If-None-Match` decides where it was sent, and `If-Modified-Since` only without it.
    """
    if response.status != 200 or request.method not in ("GET", "HEAD"):
        return False
    known = request.header("if-none-match")
    if known is not None:
        return _is_known(known, response.header("etag"))
    since = request.header("if-modified-since")
    return since is not None and _is_as_old(since, response.header("last-modified"))


def not_modified(response: StoredResponse) -> StoredResponse:
    """Return the 304 that stands for a response."""
    kept = tuple(each for each in response.headers if each[0].lower() in _OF_A_304)
    return replace(response, status=304, headers=kept, body=b"")


def without_body(response: StoredResponse) -> StoredResponse:
    """Return the answer to HEAD that stands for one to GET; its length is that of the body."""
    headers = response.headers
    if response.header("content-length") is None and response.status != 204:
        headers = (*headers, ("Content-Length", str(len(response.body))))
    return replace(response, headers=headers, body=b"")


def _etag(response: StoredResponse) -> str:
    digest = blake2b(response.body, digest_size=16)
    for name in ("content-type", "content-encoding", "content-language"):
        digest.update(b"\0%s" % (response.header(name) or "").encode("latin-1", "replace"))
    return f'"{digest.hexdigest()}"'


def _is_known(known: str, etag: str | None) -> bool:
    """Compare weakly, as is right for reading (RFC 9110, section 13.1.2)."""
    if known.strip() == "*":
        return True
    if etag is None:
        return False
    return etag.removeprefix("W/") in {part.strip().removeprefix("W/") for part in known.split(",")}


def _is_as_old(since: str, modified: str | None) -> bool:
    if modified is None:
        return False
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return False  # a date that cannot be read, or one of them without a zone
