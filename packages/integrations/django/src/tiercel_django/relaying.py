"""A thread that looks after outboxes, in every process that has written to one."""

from __future__ import annotations

import logging
import os
import threading

from tiercel_django import outbox
from tiercel_django.conf import current
from tiercel_django.tasks import release_connections

logger = logging.getLogger("tiercel.django")

_lock = threading.Lock()
_aliases: set[str] = set()
_owner = 0


def look_after(alias: str) -> None:
    """Let the thread of this process look after an outbox, if the settings want one."""
    global _owner
    if current().outbox_interval is None or (_owner == os.getpid() and alias in _aliases):
        return
    with _lock:
        _aliases.add(alias)
        if _owner != os.getpid():  # a thread does not survive a fork
            _owner = os.getpid()
            threading.Thread(target=_run, name="tiercel-relay", daemon=True).start()


def _run() -> None:
    global _owner
    wait = threading.Event()
    while (interval := current().outbox_interval) is not None:
        wait.wait(interval)
        for alias in sorted(_aliases):
            try:
                while any(outbox.relay(alias)):
                    pass
            except Exception:
                logger.warning("the outbox of %r cannot be read", alias, exc_info=True)
        release_connections()
    with _lock:
        _owner = 0


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
