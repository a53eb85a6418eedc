"""Keys that sign what Tiercel stores, derived of Django's secret key."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac

_PURPOSE = "tiercel.signing"


def signing_keys() -> tuple[bytes, ...]:
    """Return a key for `SECRET_KEY`, which signs, and those for `SECRET_KEY_FALLBACKS`.

    Whoever learns one of them learns nothing of the secret key, nor of keys for other purposes.
    """
    try:
        secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    except ImproperlyConfigured:  # there is no secret key
        return ()
    return tuple(
        salted_hmac(_PURPOSE, "", secret=secret, algorithm="sha256").digest() for secret in secrets
    )
