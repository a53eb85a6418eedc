"""The settings of django-cacheback, as far as they mean something here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

DISPATCHERS: Final[Mapping[str, str]] = {"celery": "celery", "rq": "django_rq"}
"""The dispatcher for each value of `CACHEBACK_TASK_QUEUE`."""

KNOWN: Final[Mapping[str, type]] = {
    "CACHEBACK_CACHE_ALIAS": str,
    "CACHEBACK_TASK_QUEUE": str,
    "CACHEBACK_TASK_IGNORE_RESULT": bool,
    "CACHEBACK_VALIDATE_JOB_REFRESH_NEEDED": bool,
    "CACHEBACK_VERIFY_CACHE_WRITE": bool,
}
"""The last three are accepted and change nothing: results are never kept, refreshes that nobody
needs any more are never done, and what a shared tier refuses is always noticed."""


def default_alias() -> str | None:
    """Return the cache of jobs that choose none: a name, or None for the default one."""
    alias: str | None = getattr(settings, "CACHEBACK_CACHE_ALIAS", None)
    return alias


def default_dispatcher() -> str | None:
    """Return the dispatcher of jobs that choose none; None: that of `TIERCEL`.

    Raises:
        ImproperlyConfigured: `CACHEBACK_TASK_QUEUE` names no queue.
    """
    queue = getattr(settings, "CACHEBACK_TASK_QUEUE", None)
    if queue is not None and queue not in DISPATCHERS:
        raise ImproperlyConfigured(_wrong_queue(queue))
    return None if queue is None else DISPATCHERS[queue]


def check_settings(**_: Any) -> list[CheckMessage]:
    """Say what is wrong with the settings, as `manage.py check` shows it."""
    hints = {**dict(_unknown()), **dict(_wrong())}
    return [Error(text, hint=hint, id="tiercel.E008") for text, hint in hints.items()]


def _unknown() -> Iterator[tuple[str, str]]:
    for name in dir(settings):
        if name.startswith("CACHEBACK_") and name not in KNOWN:
            close = get_close_matches(name, KNOWN, n=1)
            known = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(KNOWN)}."
            yield f"there is no setting {name}", known


def _wrong() -> Iterator[tuple[str, str]]:
    for name, kind in KNOWN.items():
        value = getattr(settings, name, None)
        if value is not None and type(value) is not kind:
            what = "a text" if kind is str else "True or False"
            yield f"{name} must be {what}, not {value!r}", "Correct it, or leave it out."
    queue = getattr(settings, "CACHEBACK_TASK_QUEUE", None)
    if isinstance(queue, str) and queue not in DISPATCHERS:
        yield _wrong_queue(queue), "Other dispatchers are named in TIERCEL, or by dispatcher=."


def _wrong_queue(queue: object) -> str:
    return f"CACHEBACK_TASK_QUEUE must be one of {', '.join(DISPATCHERS)}, not {queue!r}"
