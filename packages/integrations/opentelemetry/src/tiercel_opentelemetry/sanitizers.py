"""How a key may be shown on a span, if it is to be shown at all."""

from __future__ import annotations

from hashlib import blake2b


def plain_key(key: str) -> str:
    """Return the text of a key as it is. Keys hold arguments, so they may hold personal data."""
    return key


def digest_key(key: str) -> str:
    """Return 16 hexadecimal digits that tell a key from others and say nothing else (BLAKE2b)."""
    return blake2b(key.encode(), digest_size=8).hexdigest()
