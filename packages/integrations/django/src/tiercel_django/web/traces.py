"""What a view did with a request that makes its response one for this client only."""

from __future__ import annotations

from typing import Any


def is_session_touched(request: Any) -> bool:
    """Tell whether the session was read or written."""
    session = getattr(request, "session", None)
    return session is not None and bool(session.accessed or session.modified)


def why_never_kept(request: Any) -> str | None:
    """Say why a response must not be kept, not even for this very user; None if it may.

    A token against forged requests belongs to the cookie that goes with it, and is renewed while
    a page lies in the cache. A message is for the next page only.
    """
    if request.META.get("CSRF_COOKIE_NEEDS_UPDATE"):
        return "it uses the CSRF token"
    messages = getattr(request, "_messages", None)
    if messages is not None and (messages.added_new or getattr(messages, "_loaded_data", None)):
        return "it has messages for the user"
    return None
