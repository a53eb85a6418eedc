"""What a task runs in, on whichever thread and in whichever worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections


@contextmanager
def connections_kept() -> Iterator[None]:
    """Do for a task what Django does for a request: take no broken connection, leave none open
    for longer than the settings allow.
    """
    release_connections()
    try:
        yield
    finally:
        release_connections()


def release_connections() -> None:
    """Close this thread's connections that are broken or too old.

    One with an open transaction is left alone, which Django's own function would cut off.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
