"""Where writes of models are seen: methods that every write, and every commit, goes through.

Django's signals tell of `save`, `delete` and relations only, after the row was overwritten. So
the methods that write are wrapped instead. The wrappers are put in place when the first rule on a
model is made, and pass everything on that concerns a model without rules.
"""

from __future__ import annotations

import threading
from functools import update_wrapper
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.deletion import Collector

from tiercel_django.changes import deletes, inserts, saves, updates
from tiercel_django.changes.historical import with_history
from tiercel_django.transactions import observe_commit_hooks

_WRAPPED: tuple[tuple[Any, str, Any], ...] = (
    (models.Model, "save_base", saves.observe_save_base),
    (models.Model, "_save_table", saves.observe_save_table),
    (models.QuerySet, "update", updates.observe_update),
    (models.QuerySet, "bulk_create", inserts.observe_bulk_create),
    (models.QuerySet, "_raw_delete", deletes.observe_raw_delete),
    (Collector, "delete", deletes.observe_collector_delete),
    (BaseDatabaseWrapper, "run_and_clear_commit_hooks", observe_commit_hooks),
)
_WRITING = frozenset({"save_base", "update", "bulk_create", "_raw_delete", "delete"})
_lock = threading.Lock()
_installed = False


def install() -> None:
    """Put the wrappers in place; later calls do nothing."""
    global _installed
    if _installed:
        return
    with _lock:
        if not _installed:
            for owner, name, observe in _WRAPPED:
                original = getattr(owner, name)
                observed = update_wrapper(observe(original), original)
                if name in _WRITING:
                    observed = with_history(owner, observed, original)
                setattr(owner, name, observed)
            _installed = True
