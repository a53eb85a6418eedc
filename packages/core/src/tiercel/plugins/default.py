"""The registry that all caches of a process share."""

from __future__ import annotations

import os
import threading

from tiercel.plugins.registry import Registry

_default: Registry | None = None
_lock = threading.Lock()


def default_registry() -> Registry:
    """Return the registry that the caches of this process use; made at the first call."""
    global _default
    if _default is None:
        with _lock:
            if _default is None:
                _default = Registry()
    return _default


def set_default_registry(registry: Registry | None) -> None:
    """Replace the registry of this process; with None, a fresh one is made when needed."""
    global _default
    with _lock:  # lest another thread, which is making a fresh one, puts that in its place
        _default = registry


def _renew_locks() -> None:
    global _lock
    _lock = threading.Lock()
    if _default is not None:
        _default.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
