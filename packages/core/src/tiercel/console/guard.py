"""What keeps strangers, other sites and scripts out of the console.

Forms carry the value of a cookie that other sites neither know nor may send along (`SameSite`),
and the browser must say that the form stands on a page of this site. See the OWASP cheat sheet on
cross-site request forgery: double submit, and verifying the origin.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from hmac import digest as keyed_digest
from typing import Final
from urllib.parse import urlsplit

from tiercel.console.exchange import ConsoleRequest

COOKIE: Final = "tiercel-console"
FIELD: Final = "token"

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)

SAFE_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
"""Of every response: nothing runs, nothing is loaded from elsewhere, nothing is kept."""


def token_of(request: ConsoleRequest) -> str:
    """Return the token of whoever looks, a new one if there is none."""
    return request.cookie(COOKIE) or secrets.token_urlsafe(32)


def set_cookie(request: ConsoleRequest, token: str) -> tuple[str, str]:
    """Return the header that gives a browser its token."""
    secure = "; Secure" if request.secure else ""
    path = request.root or "/"
    return "Set-Cookie", f"{COOKIE}={token}; Path={path}; HttpOnly; SameSite=Strict{secure}"


def is_forged(request: ConsoleRequest) -> bool:
    """Tell whether a form may come from another site."""
    token = request.cookie(COOKIE)
    if not token or not compare_digest(token.encode(), request.form.get(FIELD, "").encode()):
        return True
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site != "same-origin"
    return origin is None or urlsplit(origin).netloc != request.headers.get("host")


def sign(token: str, text: str) -> str:
    """Return what proves that a text was written by this console, for whoever has the token."""
    return keyed_digest(token.encode(), text.encode(), "sha256").hex()


def is_signed(token: str, text: str, proof: str) -> bool:
    """Tell whether `sign` has made this proof."""
    return compare_digest(sign(token, text).encode(), proof.encode())
