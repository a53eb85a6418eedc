"""The language and the time zone that are active, read for each request that is keyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import trans_real


def language() -> str | None:
    """Return the active language; None if there is none, or no translation."""
    if not settings.USE_I18N:
        return None
    return settings.LANGUAGE_CODE if _translation() is None else translation.get_language()


def zone() -> str | None:
    """Return the name of the current time zone; None if times have none."""
    if not settings.USE_TZ:
        return None
    if _zone() is None:
        return timezone.get_default_timezone_name()
    return timezone.get_current_timezone_name()


def _reader(local: Any) -> Callable[[], Any]:
    """Return what reads the `value` of a `Local`; it returns None where there is none.

    The public way raises an error then, and writes a message for it, which takes longer than all
    else that is done to answer a request from memory. Another version of asgiref may have no
    other way.
    """
    try:
        found = object.__getattribute__(local, "_storage")._storage
        found().data.get("value")
    except AttributeError:
        return lambda: getattr(local, "value", None)
    return lambda: found().data.get("value")


_translation = _reader(trans_real._active)  # type: ignore[attr-defined]
_zone = _reader(timezone._active)  # type: ignore[attr-defined]
